"""``tailstream token``: a local token for the gateway."""

import os
import time
from typing import Annotated, Literal, cast, get_args

import typer

from services.gateway.auth import ALL_PORTFOLIOS, SECRET_BYTES_MIN, Role, make_token
from tailstream.cli.answers import Json, print_document
from tailstream.runtime.errors import ConfigurationError

app = typer.Typer()
SECRET = "TAILSTREAM_JWT_SECRET"


@app.command()
def token(
    roles: Annotated[str, typer.Option(help=f"Comma separated, of {', '.join(get_args(Role))}.")] = "viewer",
    portfolios: Annotated[str, typer.Option(help="Comma separated, or * for all.")] = ALL_PORTFOLIOS,
    ttl: Annotated[int, typer.Option(min=1, help="Seconds for which it is good.")] = 3600,
    subject: Annotated[str, typer.Option(help="Whose token it is.")] = "local",
    as_json: Json = False,
) -> None:
    """Print a token that the gateway takes, signed with TAILSTREAM_JWT_SECRET."""
    now = time.time()
    made = make_token(_secret(), subject, _roles(roles), _portfolios(portfolios), ttl, now)
    if as_json:
        print_document({"token": made, "expires_at": int(now) + ttl})
    else:
        typer.echo(made)


def _secret() -> str:
    secret = os.environ.get(SECRET, "")
    size = len(secret.encode())
    if size < SECRET_BYTES_MIN:
        raise ConfigurationError(
            f"{SECRET}: expected the gateway's, {SECRET_BYTES_MIN} bytes or more, was {size} bytes"
        )
    return secret


def _roles(text: str) -> list[Role]:
    names = _listed(text, "--roles")
    if unknown := [name for name in names if name not in get_args(Role)]:
        raise typer.BadParameter(f"expected of {', '.join(get_args(Role))}, was {unknown[0]!r}", param_hint="--roles")
    return cast(list[Role], names)


def _portfolios(text: str) -> list[str] | Literal["*"]:
    return "*" if text == ALL_PORTFOLIOS else _listed(text, "--portfolios")


def _listed(text: str, option: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise typer.BadParameter(f"expected names with commas between them, was {text!r}", param_hint=option)
    return names
