"""A portfolio out of two files: what is held, and the prices of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from tailstream.files.errors import WrongFile
from tailstream.files.series import Kind, periods_of
from tailstream.files.table import Sheet, Table, label, number, read_sheet
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import scenario_pnl

COLUMNS = ("instrument", "quantity")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Current holdings and the returns of what is held, in the periods in which none of them is missing.

    `exposures` (n,): quantity times the last price, negative when short. `returns` (n, S), oldest first; `dates` (S,),
    and when the first period began, if that is known.
    Money is in the one currency of the prices.
    """

    instruments: tuple[str, ...]
    exposures: Floats
    start: datetime | None
    dates: tuple[datetime, ...]
    returns: Floats

    @property
    def value(self) -> float:
        """What the holdings are worth, in money; less than nothing when more is sold short than held."""
        return float(np.add.reduce(self.exposures))

    @property
    def in_money(self) -> bool:
        """Whether P&L can be told in money alone: holdings worth 0 or less are nothing that it is a fraction of."""
        return self.value <= 0.0

    @property
    def unit(self) -> float:
        """What P&L is divided by: the value of the holdings, or 1 of money."""
        return 1.0 if self.in_money else self.value

    @property
    def pnl(self) -> Floats:
        """What the current holdings would have gained in each period (S,), in money."""
        return scenario_pnl(self.exposures, self.returns)


def read_positions(file: str) -> dict[str, float]:
    """Quantity by instrument, of a file with these two columns.

    Raises
    ------
    WrongFile
        Naming the row: an instrument without a name or there twice, a quantity that is no number.
    """
    sheet = read_sheet(file)
    if tuple(column.lower() for column in sheet.columns) != COLUMNS:
        raise WrongFile(f"{sheet.name}: expected the columns {', '.join(COLUMNS)}, found {', '.join(sheet.columns)}")
    quantities: dict[str, float] = {}
    for row in sheet.rows:
        instrument = "" if row.cells[0] is None else str(row.cells[0]).strip()
        if not instrument:
            raise WrongFile(f"{sheet.name}: row {row.number}: expected the name of an instrument, was empty")
        if instrument in quantities:
            raise WrongFile(
                f"{sheet.name}: row {row.number}: expected every instrument once, {instrument} is there twice"
            )
        quantities[instrument] = _quantity(sheet, row.number, row.cells[1])
    if not any(quantities.values()):
        raise WrongFile(f"{sheet.name}: expected a quantity other than 0 of one instrument or more, found none")
    return quantities


def portfolio_of(table: Table, quantities: Mapping[str, float], last: int | None = None, horizon: int = 1) -> Portfolio:
    """The portfolio of `quantities` at the last prices of a table, over its newest `last` periods or all.

    With a `horizon` the returns are overlapping ones over so many periods.

    Raises
    ------
    WrongFile
        When an instrument that is held has no column or no last price, or a price is not above 0.
    """
    held = tuple(sorted(instrument for instrument, quantity in quantities.items() if quantity))
    columns = [_column(table, instrument) for instrument in held]
    over = periods_of(table, Kind.PRICES)
    exposures = np.array([quantities[table.columns[column]] * table.values[-1, column] for column in columns])
    of_held = replace(over, columns=held, returns=over.returns[columns]).newest(last).compounded(horizon)
    there = np.flatnonzero(np.logical_and.reduce(np.isfinite(of_held.returns), axis=0))
    start = of_held.starts[there[0]] if there.size else None
    dates = tuple(of_held.dates[at] for at in there)
    return Portfolio(held, exposures, start, dates, np.ascontiguousarray(of_held.returns[:, there]))


def _column(table: Table, instrument: str) -> int:
    if instrument not in table.columns:
        columns = ", ".join(table.columns)
        raise WrongFile(f"{table.name}: expected a column of prices of {instrument}, which is held; found {columns}")
    column = table.columns.index(instrument)
    if math.isnan(table.values[-1, column]):
        last = label(table.dates[-1])
        raise WrongFile(f"{table.place(-1, column)}: expected a price on {last}, for it is held; the cell is empty")
    return column


def _quantity(sheet: Sheet, row: int, cell: object) -> float:
    try:
        quantity = number(cell)
    except (TypeError, ValueError):
        quantity = math.nan
    if math.isnan(quantity):
        raise WrongFile(f"{sheet.name}: row {row}, column {sheet.columns[1]!r}: expected a finite number, was {cell!r}")
    return quantity
