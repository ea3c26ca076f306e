"""``tailstream run replay``: the source of real prices, in the foreground."""

import os
from datetime import datetime
from typing import Annotated

import typer

DATE = ["%Y-%m-%d"]


def replay(
    from_: Annotated[
        datetime | None, typer.Option("--from", formats=DATE, help="First day.", show_default="2007-01-01")
    ] = None,
    to: Annotated[
        datetime | None, typer.Option("--to", formats=DATE, help="Last day.", show_default="2022-12-28")
    ] = None,
    speed: Annotated[str | None, typer.Option(help="Trading days a second, or max.", show_default="1")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after the last day.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Stop before the first day with books closes.")] = False,
) -> None:
    """Replay real trading days; starting again goes on where the log ends. SIGTERM stops it."""
    from tailstream.sources.replay import main

    given = {
        "FROM": from_.date().isoformat() if from_ else None,
        "TO": to.date().isoformat() if to else None,
        "SPEED": _speed(speed),
        "ONCE": "true" if once else None,
        "PREPARE": "true" if prepare else None,
    }
    os.environ.update({f"TAILSTREAM_REPLAY_{name}": value for name, value in given.items() if value is not None})
    main()


def _speed(text: str | None) -> str | None:
    try:
        valid = text is None or text == "max" or float(text) > 0
    except ValueError:
        valid = False
    if not valid:
        raise typer.BadParameter(f"expected a number above 0 or max, was {text!r}", param_hint="--speed")
    return text
