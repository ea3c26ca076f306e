"""Series of returns out of a table: of returns as they are, or of prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

import numpy as np

from tailstream.files.errors import UnclearKind, WrongFile
from tailstream.files.table import Table
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import simple_returns

RETURN_OR_PRICE = 0.1
"""Half of a series' returns are smaller than this, half of its prices larger; else nobody can tell."""


class Kind(StrEnum):
    """What the numbers of a table are."""

    RETURNS = "returns"
    PRICES = "prices"


@dataclass(frozen=True, slots=True)
class Periods:
    """Returns of several columns over the same periods, `returns` (C, T), NaN where one is missing, never filled.

    `dates` (T,): when each period ended; `starts` (T,): when it began, None where the file does not tell.
    """

    starts: tuple[datetime | None, ...]
    dates: tuple[datetime, ...]
    columns: tuple[str, ...]
    returns: Floats

    def newest(self, periods: int | None) -> Self:
        """The newest `periods` of them, or all."""
        first = 0 if periods is None else max(0, len(self.dates) - periods)
        return type(self)(self.starts[first:], self.dates[first:], self.columns, self.returns[:, first:])

    def compounded(self, periods: int) -> Self:
        """Overlapping returns over so many periods, `prod(1 + r) - 1`, dated by the last; one missing, all of it is."""
        if periods == 1:
            return self
        count = max(0, len(self.dates) - periods + 1)
        with np.errstate(over="ignore"):  # a return beyond all numbers is as good as missing
            growth = np.multiply.reduce([1.0 + self.returns[:, first : first + count] for first in range(periods)])
        return type(self)(self.starts[:count], self.dates[periods - 1 :], self.columns, growth - 1.0)

    def series(self) -> "list[Series]":
        """Each column for itself, the periods that it has no return for left out."""
        return [self._series(column, row) for column, row in zip(self.columns, self.returns, strict=True)]

    def _series(self, column: str, returns: Floats) -> "Series":
        there = np.flatnonzero(np.isfinite(returns))
        start = self.starts[there[0]] if there.size else None
        return Series(column, start, tuple(self.dates[at] for at in there), returns[there])


@dataclass(frozen=True, slots=True)
class Series:
    """Returns (n,) without gaps, oldest first; when each period ended, and when the first began where that is known."""

    name: str
    start: datetime | None
    dates: tuple[datetime, ...]
    returns: Floats


def told_apart(table: Table) -> Kind:
    """Whether a table holds returns or prices, where that is clear.

    Returns have both signs, or a zero, and half of each column's are within 10 %; prices are positive and half of each
    column's are above 0.1.

    Raises
    ------
    UnclearKind
        When it could be either.
    """
    sizes = {
        column: float(np.median(np.abs(values[np.isfinite(values)])))
        for column, values in zip(table.columns, table.values.T, strict=True)
        if np.isfinite(values).any()
    }
    positive = not np.any(table.values <= 0.0)
    if sizes and not positive and max(sizes.values()) < RETURN_OR_PRICE:
        return Kind.RETURNS
    if sizes and positive and min(sizes.values()) > RETURN_OR_PRICE:
        return Kind.PRICES
    expected = "expected what is clearly prices, or returns (0.01 is a gain of 1 %)"
    raise UnclearKind(f"{table.name}: {expected}, found {_doubt(table, sizes, positive)}")


def _doubt(table: Table, sizes: Mapping[str, float], positive: bool) -> str:
    """What speaks against either kind, and where it stands; `sizes` are the medians of absolute numbers, by column."""
    if not sizes:
        return "no number"
    if positive:
        return f"nothing but numbers above 0, of which half are small in column {min(sizes, key=sizes.__getitem__)!r}"
    period, column = np.argwhere(table.values <= 0.0)[0]
    first = f"{table.values[period, column]:g} in row {table.rows[period]}, column {table.columns[column]!r}"
    return f"{first}, but half of the numbers are large in column {max(sizes, key=sizes.__getitem__)!r}"


def periods_of(table: Table, kind: Kind) -> Periods:
    """The returns of a table: its numbers, or the changes of its prices; over a gap in these they are missing.

    Raises
    ------
    WrongFile
        When a price is zero or negative.
    """
    if kind is Kind.RETURNS:
        return Periods((None, *table.dates[:-1]), table.dates, table.columns, np.ascontiguousarray(table.values.T))
    expect_prices(table)
    return Periods(
        table.dates[:-1], table.dates[1:], table.columns, simple_returns(np.ascontiguousarray(table.values.T))
    )


def expect_prices(table: Table) -> None:
    """Refuse a price that is zero or negative. Raises WrongFile, naming its row and column."""
    for period, column in np.argwhere(table.values <= 0.0)[:1]:
        price = table.values[period, column]
        raise WrongFile(f"{table.place(period, column)}: expected a price above 0, was {price:g}")


def expect_hits(table: Table) -> None:
    """Refuse anything but 0, 1 and a gap. Raises WrongFile, naming its row and column."""
    for period, column in np.argwhere(~np.isin(table.values, (0.0, 1.0)) & np.isfinite(table.values))[:1]:
        value = table.values[period, column]
        raise WrongFile(f"{table.place(period, column)}: expected 1 for a hit or 0 for none, was {value:g}")
