"""What the commands on files have in common: which files, what their numbers are, which methods and levels."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from tailstream.cli.answers import PIPED_COLUMNS
from tailstream.files.errors import UnclearKind
from tailstream.files.holdings import Portfolio, portfolio_of, read_positions
from tailstream.files.series import Kind, Series, expect_hits, periods_of, told_apart
from tailstream.files.table import STANDARD_INPUT, Table, read_table
from tailstream.quant.var import MINIMUM_OBSERVATIONS, Method
from tailstream.runtime import plugins
from tailstream.runtime.errors import ConfigurationError

LEVELS = (0.95, 0.975, 0.99, 0.995)
ALL = "all"
DRAWN_MAX = 20
"""Series on one picture, each with panels of its own."""
GAP, LEGEND_COLUMNS = 2, 100

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="CSV or Parquet: dates in the first column, then series. - is standard input."),
]
KindOption = Annotated[Kind | None, typer.Option("--kind", help="What the numbers are, where that is not clear.")]
Last = Annotated[int | None, typer.Option(min=1, help="Take the newest so many periods.")]
Positions = Annotated[
    str | None, typer.Option(help="A file of instrument, quantity: one portfolio, valued at the last prices.")
]
MethodOption = Annotated[list[str] | None, typer.Option("--method", help="An id, again for more; all unless told.")]
LevelOption = Annotated[list[float] | None, typer.Option("--level", help="A confidence such as 0.99, again for more.")]
Plot = Annotated[Path | None, typer.Option(help="Write a picture to this PNG file.")]


class Source(NamedTuple):
    """Where series come from, as the options say it."""

    files: Sequence[str]
    kind: Kind | None
    last: int | None
    positions: str | None


class Found(NamedTuple):
    """What is to be measured, one answer each; `as_of` is the newest date of all, `columns` are all the files have."""

    as_of: datetime
    kind: Kind
    each: Sequence[Series | Portfolio]
    columns: Sequence[Series]

    @property
    def in_money(self) -> bool:
        """Whether P&L is told in money and not in fractions."""
        return any(isinstance(each, Portfolio) and each.in_money for each in self.each)


def find(source: Source, horizon: int = 1) -> Found:
    """Read the files: every column a series, or with positions all of them one portfolio.

    With a `horizon` returns are overlapping ones over so many periods. Raises WrongFile, or typer.BadParameter for
    options that do not go together.
    """
    if source.positions is not None:
        return _portfolio(source, source.positions, horizon)
    tables = [read_table(file) for file in _once(source.files)]
    kinds = {kind_of(table, source.kind, _terminal(source)) for table in tables}
    if len(kinds) > 1:
        raise typer.BadParameter("expected files of one kind, found returns and prices", param_hint="--kind")
    kind = kinds.pop()
    series = [series for table in tables for series in _series(table, kind, source, horizon)]
    return Found(_newest(tables), kind, series, series)


def find_hits(source: Source) -> Found:
    """Read files whose columns are 1 for a loss beyond VaR, 0 for none, empty where there is no observation.

    Raises WrongFile, naming row and column, for anything else.
    """
    if source.kind is not None or source.positions is not None:
        raise typer.BadParameter("expected neither --kind nor --positions with hits", param_hint="--hits")
    tables = [read_table(file) for file in _once(source.files)]
    for table in tables:
        expect_hits(table)
    series = [series for table in tables for series in _series(table, Kind.RETURNS, source, 1)]
    return Found(_newest(tables), Kind.RETURNS, series, series)


def _portfolio(source: Source, positions: str, horizon: int) -> Found:
    files = _once([*source.files, positions])
    if len(files) != 2:
        raise typer.BadParameter(
            f"expected one file of prices, was {', '.join(source.files)}", param_hint="--positions"
        )
    table = read_table(files[0])
    if kind_of(table, source.kind, _terminal(source)) is not Kind.PRICES:
        raise typer.BadParameter(f"expected prices to value holdings at, {table.name} has returns", param_hint="--kind")
    portfolio = portfolio_of(table, read_positions(positions), source.last, horizon)
    return Found(table.dates[-1], Kind.PRICES, [portfolio], _series(table, Kind.PRICES, source, horizon))


def _series(table: Table, kind: Kind, source: Source, horizon: int) -> list[Series]:
    """The series of a table; of several tables each under the name of its file too."""
    found = periods_of(table, kind).newest(source.last).compounded(horizon).series()
    several = len(source.files) > 1
    return [replace(series, name=f"{table.name}:{series.name}") if several else series for series in found]


def _newest(tables: Sequence[Table]) -> datetime:
    """The last date of all; of files of which some tell a time zone, by the clock on the wall."""
    return max((table.dates[-1] for table in tables), key=lambda moment: moment.replace(tzinfo=None))


def _once(files: Sequence[str]) -> Sequence[str]:
    for file in files:
        if files.count(file) > 1:
            raise typer.BadParameter(f"expected every file once, {file} is there twice", param_hint="FILE")
    return files


def _terminal(source: Source) -> bool:
    """Whether somebody can be asked: standard input is a terminal, and none of the files."""
    return STANDARD_INPUT not in (*source.files, source.positions) and sys.stdin.isatty()


def kind_of(table: Table, told: Kind | None, terminal: bool) -> Kind:
    """What a table holds: as told, or clear from its numbers; else the person at the `terminal` is asked.

    Raises typer.BadParameter when it is not clear and nobody is there to be asked.
    """
    if told is not None:
        return told
    try:
        return told_apart(table)
    except UnclearKind as unclear:
        if not terminal:
            raise typer.BadParameter(f"{unclear}; say which", param_hint="--kind") from None
        typer.echo(str(unclear), err=True)
        return Kind(typer.prompt("returns or prices", type=Kind, err=True))


def levels_of(told: Sequence[float] | None) -> tuple[float, ...]:
    """The levels asked for, each once, or the four that are published."""
    for level in told or ():
        if not 0.0 < level < 1.0:
            raise typer.BadParameter(f"expected a confidence between 0 and 1, was {level:g}", param_hint="--level")
    return tuple(dict.fromkeys(told or LEVELS))


def methods_of(told: Sequence[str] | None) -> dict[str, Method]:
    """The methods asked for, by id in publishing order; ``all`` is every one, and so is nothing asked for."""
    named = [name for name in told or () if name != ALL]
    try:
        every = plugins.methods(MINIMUM_OBSERVATIONS) if not told or ALL in told else ()
        return dict(plugins.methods(MINIMUM_OBSERVATIONS, [*every, *named]))
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--method") from None


def png(path: Path | None) -> Path | None:
    """A picture's path, before anything is measured for it.

    Raises typer.BadParameter when it does not end in .png, or in a folder that is not there or cannot be written to.
    """
    if path is None:
        return None
    if path.suffix.lower() != ".png" or path.is_dir():
        raise typer.BadParameter(f"expected a file whose name ends in .png, was {path}", param_hint="--plot")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"expected an existing folder, was {path.parent}", param_hint="--plot")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise typer.BadParameter(f"expected a file that can be written, was {path}", param_hint="--plot")
    return path


def expect_drawable(picture: Path | None, found: Found) -> None:
    """Refuse a picture that nobody could look at, and that would take minutes. Raises typer.BadParameter."""
    if picture is not None and len(found.each) > DRAWN_MAX:
        told = f"expected at most {DRAWN_MAX} series to draw, found {len(found.each)}"
        raise typer.BadParameter(told, param_hint="--plot")


def print_figures(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,), legend: str = ""
) -> None:
    """A table of figures: to the right, but for the columns at the positions `words`.

    Where there is no room for all columns side by side, as many as there is room for, then the others below.
    """
    console, rows = Console(highlight=False, markup=False), list(rows)
    console.width = console.width if console.is_terminal else PIPED_COLUMNS
    console.print(title, style="bold")
    for shown in _blocks([_width(at, columns, rows, words) for at in range(len(columns))], console.width):
        grid = _grid(shown, columns, rows, words)
        needed = console.measure(grid).minimum
        console.print(grid, width=max(console.width, needed), crop=False)  # a figure without its end would be another
        console.print()
    if legend:
        console.print(legend, style="dim", width=min(console.width, LEGEND_COLUMNS))
        console.print()


def _width(at: int, columns: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int]) -> int:
    """How wide a column must be: words behind the first column may be wrapped."""
    lines = [*columns[at].splitlines(), *(row[at] for row in rows)]
    parts = [part for line in lines for part in line.split()] if at in words and at else lines
    return max(map(len, parts), default=0)


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """The columns that stand side by side, the first in every block."""
    blocks = [[0]]
    for at in range(1, len(widths)):
        if len(blocks[-1]) > 1 and sum(widths[each] + GAP for each in blocks[-1]) + widths[at] > room:
            blocks.append([0])
        blocks[-1].append(at)
    return blocks


def _grid(shown: Sequence[int], columns: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int]) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for at in shown:
        wraps = at in words and at > 0
        grid.add_column(columns[at], justify="left" if at in words else "right", overflow="fold", no_wrap=not wraps)
    for row in rows:
        grid.add_row(*(row[at] for at in shown))
    return grid
