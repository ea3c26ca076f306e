"""``tailstream demo``: the whole system on this machine, on real prices."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console, Group
from rich.live import Live as Screen
from rich.text import Text

from tailstream.cli.board import table
from tailstream.cli.live import Live
from tailstream.cli.summary import Summary
from tailstream.cli.system import System
from tailstream.runtime.errors import TailstreamError
from tailstream.stack import Stack, StackError

app = typer.Typer(add_completion=False)
_told = Console(stderr=True, highlight=False, soft_wrap=True)

DATE = ["%Y-%m-%d"]
DAYS_PER_SECOND = "1"
"""With all methods on, two cores measure about one and a half days a second."""
AHEAD_CLOSES_MAX = "100"
"""At full speed the source waits for the services, so that the table shows them at work and not behind."""
AHEAD_CLOSES_PACED_MAX = "1"
"""At a pace it waits for each close: live figures rest while closes are measured, and a day may take longer."""
STATUS_SECONDS = "0.25"
"""So often they say how far they have come, which is what the source waits for."""
_LINE_SECONDS = 5.0
_LINES_AROUND_TABLE = 12


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    seconds: float | None
    headless: bool
    keep: Path | None
    replay: dict[str, str]


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop after so long. [default: at Ctrl-C]")] = None,
    speed: Annotated[str, typer.Option(help="Trading days a second, or max.")] = DAYS_PER_SECOND,
    from_: Annotated[datetime | None, typer.Option("--from", formats=DATE, help="First day. [default: 2007]")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=DATE, help="Last day; stop after it.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No live table, a line of progress instead.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Run in this directory and leave the data there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
) -> None:
    """Run the whole system on this machine: Kafka, PostgreSQL, Redis, five services, and real prices since 2007.

    Ctrl-C stops everything. With an end (--seconds, --to) it exits 0 only if every service published for every
    portfolio and nothing was quarantined.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    options = Options(seconds, headless or not sys.stderr.isatty(), keep, _replay(from_, to, speed))
    try:
        summary = _run(options)
    except (TailstreamError, StackError) as error:
        _told.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _told.print("stopped before the first day")
        raise typer.Exit(1) from None
    _report(summary, as_json)
    has_end = seconds is not None or to is not None
    raise typer.Exit(1 if summary.problems and has_end else 0)


def _replay(from_: datetime | None, to: datetime | None, speed: str) -> dict[str, str]:
    """The source's settings by their variables."""
    ahead = AHEAD_CLOSES_MAX if speed == "max" else AHEAD_CLOSES_PACED_MAX
    settings = {"TAILSTREAM_REPLAY_SPEED": _speed(speed), "TAILSTREAM_REPLAY_AHEAD_CLOSES_MAX": ahead}
    if from_:
        settings["TAILSTREAM_REPLAY_FROM"] = from_.date().isoformat()
    if to:
        settings |= {"TAILSTREAM_REPLAY_TO": to.date().isoformat(), "TAILSTREAM_REPLAY_ONCE": "true"}
    return settings


def _speed(text: str) -> str:
    try:
        valid = text == "max" or 0 < float(text) < float("inf")
    except ValueError:
        valid = False
    if not valid:
        raise typer.BadParameter(f"expected a number above 0 or max, was {text!r}", param_hint="--speed")
    return text


def _run(options: Options) -> Summary:
    """Everything, from the first process to the last; the stack is gone when it returns."""
    with Stack.start(options.keep, keep=options.keep is not None, progress=_say) as stack:
        system = System(
            stack, replay=options.replay, environment={"TAILSTREAM_STATUS_INTERVAL_SECONDS": STATUS_SECONDS}
        )
        _say(f"logs are in {system.log_directory()}")
        system.prepare(_say)
        summary = asyncio.run(_live(system, options))
        _say("stopping")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        return summary


async def _live(system: System, options: Options) -> Summary:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with ExitStack() as shown:
        show = _lines() if options.headless else _screen(system, shown)
        return await Live(system).run(stopping, options.seconds, show)


def _lines() -> Callable[[Live], None]:
    """A line of progress every few seconds."""
    due = 0.0

    def show(live: Live) -> None:
        nonlocal due
        pulse = live.pulse()
        if pulse.seconds >= due:
            due = pulse.seconds + _LINE_SECONDS
            _told.print(_state(live))

    return show


def _screen(system: System, shown: ExitStack) -> Callable[[Live], None]:
    """The live table on the terminal."""
    screen = shown.enter_context(Screen(console=_told, auto_refresh=False, transient=True))
    attach = Text(_attach(system), style="dim")

    def show(live: Live) -> None:
        lines_max = _told.size.height - _LINES_AROUND_TABLE
        screen.update(Group(table(live.board.rows, lines_max=lines_max), _state(live), attach), refresh=True)

    return show


def _state(live: Live) -> Text:
    pulse, latency = live.pulse(), live.delays.measured()
    delay = f"{latency.p50_ms:.0f} ms (p99 {latency.p99_ms:.0f})" if latency.p50_ms is not None else "-"
    return Text(
        f"{pulse.seconds:4.0f} s  {pulse.period or '-'}  {pulse.closes_per_second:.1f} closes/s  "
        f"{pulse.slices_per_second:.0f} slices/s  {pulse.closes_behind} closes behind  "
        f"source to client {delay}  {live.board.alerts_raised} alerts  {pulse.quarantined} quarantined"
    )


def _attach(system: System) -> str:
    """How to look in from another terminal."""
    return f"attach:  . {system.attach_file()} && {sys.argv[0]} watch firm\nlogs:    {system.log_directory()}"


def _report(summary: Summary, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary.document(), indent=2))
    else:
        Console().print(summary.drawn())


def _say(message: str) -> None:
    _told.print(message, markup=False)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
