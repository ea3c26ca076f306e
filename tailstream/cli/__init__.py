"""The command line ``tailstream``: answers on stdout, progress and errors on stderr; exit 0, 1 (wrong) or 2 (usage)."""

import importlib
import sys
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from tailstream.files.errors import WrongFile
from tailstream.runtime.errors import TailstreamError


class Mounted(NamedTuple):
    """A command that is imported when it is called: ``module`` holds it as the Typer ``app``."""

    module: str
    does: str
    is_group: bool = False
    """A command of commands, also when it has a single one."""


COMMANDS = {
    "demo": Mounted("demo", "The whole system on this machine, with real prices."),
    "stack": Mounted("stack", "Kafka, PostgreSQL and Redis on this machine.", is_group=True),
    "run": Mounted("run", "One service, or the source, in the foreground.", is_group=True),
    "watch": Mounted("watch", "A portfolio's figures as they come, over the WebSocket."),
    "var": Mounted("var", "Value at Risk and Expected Shortfall, from a file."),
    "backtest": Mounted("backtest", "Methods of VaR against what came, from a file."),
    "metrics": Mounted("metrics", "How series did, from a file."),
    "explain": Mounted("explain", "A published figure: recomputed from the log, compared, and what it is made of."),
    "topics": Mounted("topics", "The topics of the bus, against what they should be.", is_group=True),
    "quarantine": Mounted("quarantine", "Refused records: look, repair, put back.", is_group=True),
    "limits": Mounted("limits", "Limits as code.", is_group=True),
    "db": Mounted("db", "The database's schema.", is_group=True),
    "token": Mounted("token", "A token for the gateway."),
    "doctor": Mounted("doctor", "What is wrong with this installation, and what to do."),
}


class Commands(TyperGroup):
    """Lists every command from the table above and imports the one that is called, so that help is quick."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name, help=command.does) for name, command in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the real command in the place of its line of help."""
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = _load(args[0])
        return super().resolve_command(ctx, args)


def _load(name: str) -> Any:
    command = COMMANDS[name]
    app: typer.Typer = importlib.import_module(f"tailstream.cli.{command.module}").app
    loaded = typer.main.get_group(app) if command.is_group else typer.main.get_command(app)
    loaded.name, loaded.help = name, loaded.help or command.does
    return loaded


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def _tailstream() -> None:
    """Live portfolio analytics, Value at Risk and risk limits on Kafka."""


def main() -> None:
    """Run the command line of this process."""
    try:
        app(prog_name="tailstream")
    except (TailstreamError, WrongFile) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
