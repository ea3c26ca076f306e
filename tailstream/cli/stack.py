"""``tailstream stack``: the embedded stack alone."""

import json
import shlex
import signal
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from tailstream.stack import Stack, StackError
from tailstream.stack.addresses import VARIABLES
from tailstream.stack.run import standing_directory

app = typer.Typer(help="Kafka, PostgreSQL and Redis on this machine.", no_args_is_help=True)
_told = Console(stderr=True, highlight=False, soft_wrap=True)
_COLUMNS = ("name", "running", "pid", "port", "memory_mb")

Brokers = Annotated[int, typer.Option(help="Kafka brokers: 1, or 3 for tests of fail-over.")]
Docker = Annotated[bool, typer.Option("--docker", help="Run the servers as Docker containers.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def up(brokers: Brokers = 1, docker: Docker = False, as_json: Json = False) -> None:
    """Start the stack, leave it running, and print the addresses as lines for the shell.

    A stack that is already up is left as it is. Use: eval "$(tailstream stack up)".
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        found = Stack.find()
        stack = found if found and found.is_running else _start(brokers, docker)
        _check_brokers(stack, brokers)
    except StackError as error:
        _fail(str(error))
    addresses = stack.addresses.env()
    if as_json:
        typer.echo(json.dumps({"run_directory": str(stack.run.path), "addresses": addresses}, indent=2))
    else:
        typer.echo("\n".join(f"export {name}={shlex.quote(value)}" for name, value in addresses.items()))


@app.command()
def down() -> None:
    """Stop the stack and remove its data; done as well when none is running."""
    try:
        stack = Stack.find()
        if stack is None:
            _told.print("no stack is running")
            return
        stack.stop()
    except StackError as error:
        _fail(str(error))
    _told.print("stopped")


@app.command()
def status(as_json: Json = False) -> None:
    """Show the stack's processes; exit 1 unless all of them run."""
    try:
        stack = Stack.find()
    except StackError as error:
        _fail(str(error))
    if as_json:
        typer.echo(json.dumps(_document(stack), indent=2))
    elif stack is None:
        _told.print("no stack is running; `tailstream stack up` starts one")
    else:
        Console().print(_table(stack))
    if stack is None or not stack.is_running:
        raise typer.Exit(1)


def _start(brokers: int, docker: bool) -> Stack:
    stack = Stack.start(standing_directory(), brokers=brokers, docker=docker, progress=_tell)
    if stack.run.is_alive():
        stack.detach()
    else:  # the environment names all three
        stack.stop()
    return stack


def _tell(line: str) -> None:
    _told.print(line, markup=False)


def _check_brokers(stack: Stack, brokers: int) -> None:
    running = stack.run.record.brokers
    if running != brokers:
        raise StackError(f"brokers: expected {running}, as in the stack that is up, was {brokers}")


def _document(stack: Stack | None) -> dict[str, Any]:
    if stack is None:
        return {"running": False, "processes": []}
    return {
        "running": stack.is_running,
        "run_directory": str(stack.run.path),
        "addresses": {VARIABLES[server]: address for server, address in stack.run.record.addresses.items()},
        "processes": stack.processes(),
    }


def _table(stack: Stack) -> Table:
    document = _document(stack)
    table = Table(title=f"{'running' if document['running'] else 'incomplete'} in {document['run_directory']}")
    for column in _COLUMNS:
        table.add_column(column.replace("_", " "), justify="left" if column == "name" else "right")
    for row in document["processes"]:
        table.add_row(*(_shown(row.get(column)) for column in _COLUMNS))
    return table


def _shown(value: object) -> str:
    shown = {True: "yes", False: "no", None: ""}
    return shown[value] if value is None or isinstance(value, bool) else str(value)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str) -> NoReturn:
    _told.print(f"error: {message}", style="red", markup=False)
    raise typer.Exit(1)
