"""How a command answers: a table for people, or one JSON document, on stdout."""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PIPED_COLUMNS = 240
"""Width of a table that goes into a file or a pipe."""


def print_document(document: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(document, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; None is left empty."""
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console(highlight=False, markup=False)
    console.print(table) if console.is_terminal else Console(width=PIPED_COLUMNS, markup=False).print(table)
