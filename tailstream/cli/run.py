"""``tailstream run``: one service, or the source, in the foreground."""

import os
import sys
from typing import NoReturn

import typer

from tailstream.cli.replay import replay

app = typer.Typer(help="One service, or the source, in the foreground; SIGTERM stops it cleanly.", no_args_is_help=True)

app.command("replay")(replay)


@app.command()
def analytics() -> None:
    """NAV, returns, risk and drawdown metrics of every portfolio."""
    _become("analytics")


@app.command()
def risk() -> None:
    """Value at Risk and Expected Shortfall of every portfolio."""
    _become("risk")


@app.command()
def limits() -> None:
    """Limits, their states and alerts; needs TAILSTREAM_POSTGRES."""
    _become("limits")


@app.command()
def gateway() -> None:
    """The WebSocket and HTTP edge; needs TAILSTREAM_JWT_SECRET."""
    _become("gateway")


@app.command()
def recorder() -> None:
    """History in the database; needs TAILSTREAM_POSTGRES."""
    _become("recorder")


def _become(service: str) -> NoReturn:
    """Let the service take this process over, so that signals and exit codes are its own."""
    os.execv(sys.executable, [sys.executable, "-m", f"services.{service}"])
