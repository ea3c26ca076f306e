"""What every owned portfolio holds, in units, a row each: put right when a book changes, anew when the tree does."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from contracts.portfolio import PortfolioDefined
from services.risk.matrix import MONEY, NOTHING, Columns, Line, stack
from tailstream.fold.books import Book, Books, Tree
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import Matrix

UNITS_MAX = 1e300
"""More units than these count as these, so that no sum overflows: at any price they are too much to reckon with."""


class Total:
    """The sum of many lines, with its rounding errors, so that what was added can be taken away again.

    Each addition is exact (Knuth's two-sum) and its error is kept beside it (Dekker's double-length numbers, 1971): as
    long as the units of one name span less than 100 bits, the sum depends neither on order nor on what came and went.
    """

    def __init__(self) -> None:
        self._high = np.zeros(0)
        self._low = np.zeros(0)

    def add(self, line: Line) -> None:
        """Add ``line``; with its values negated it is taken away."""
        at = line.columns
        self._widen(int(at.max(initial=-1)) + 1)
        high, error = _two_sum(self._high[at], line.values)
        self._high[at], self._low[at] = _two_sum(high, self._low[at] + error)

    def line(self) -> Line:
        """The sum, to the nearest number."""
        columns = np.flatnonzero(self._high).astype(np.int32)
        return Line(columns, self._high[columns])

    def _widen(self, width: int) -> None:
        more = width - self._high.size
        if more > 0:
            self._high, self._low = (np.append(part, np.zeros(more)) for part in (self._high, self._low))


def _two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The sum of each two numbers, and what rounding it left out."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


class Change(NamedTuple):
    """What one holder held before and holds now; None where it was or is none."""

    old: Line | None
    new: Line | None
    lines: tuple[Line, ...]
    """What has to be added to a sum that it is part of."""

    @classmethod
    def of(cls, old: Line | None, new: Line | None) -> "Change":
        """From ``old`` to ``new``; of a book that still holds the same names only what differs changes sums."""
        gone, come = old or NOTHING, new or NOTHING
        if np.array_equal(gone.columns, come.columns):
            differs = gone.values != come.values
            gone, come = gone.where(differs), come.where(differs)
        return cls(old, new, (gone.negated, come))


class Holding:
    """What one portfolio holds, its descendants included."""

    __slots__ = ("_line", "_total", "holders", "portfolio")

    def __init__(self, portfolio: PortfolioDefined, *, alone: bool) -> None:
        """``alone``: it has no descendants."""
        self.portfolio = portfolio
        self.holders = 0
        """How many of itself and its descendants have holdings, be they empty ones."""
        self._line = NOTHING
        self._total = None if alone else Total()

    def exchange(self, change: "Change") -> None:
        """Let one of the holders hold something else."""
        self.holders += (change.new is not None) - (change.old is not None)
        if self._total is None:
            self._line = NOTHING if change.new is None else change.new
            return
        for line in change.lines:
            self._total.add(line)

    @property
    def line(self) -> Line:
        """The units held, by the columns of the positions."""
        return self._line if self._total is None else self._total.line()


class Block:
    """The portfolios of one base currency, a row each."""

    def __init__(self, base: str, holdings: Sequence[Holding]) -> None:
        self.base = base
        self.holdings = tuple(holdings)
        self._units: Matrix | None = None
        self._stale: set[int] = set()

    def touch(self, row: int) -> None:
        """What the row holds has changed."""
        self._stale.add(row)

    def units(self, width: int) -> Matrix:
        """The units of all portfolios, (portfolios, width); of a dense matrix only touched rows are made anew."""
        known = self._units
        if isinstance(known, np.ndarray) and known.shape[1] == width:
            self._put_right(known)
        elif known is None or self._stale or known.shape[1] != width:
            known = self._units = stack([holding.line for holding in self.holdings], width)
        self._stale.clear()
        return known

    def _put_right(self, units: Floats) -> None:
        for row in self._stale:
            line = self.holdings[row].line
            units[row] = 0.0
            units[row, line.columns] = line.values

    def units_of(self, rows: Sequence[int], width: int) -> Matrix:
        """The units of some portfolios, (rows, width)."""
        return stack([self.holdings[row].line for row in rows], width)


class Positions:
    """The holdings of some portfolios in the order given, in a block for each base currency.

    A column is an instrument, or money as ``cash:USD``. Columns are added as names turn up and stay where they are.
    """

    def __init__(self, portfolios: Iterable[PortfolioDefined], tree: Tree) -> None:
        self.columns: dict[str, int] = {}
        by_base: dict[str, list[PortfolioDefined]] = defaultdict(list)
        for portfolio in portfolios:
            by_base[portfolio.base_currency].append(portfolio)
        self._lines: dict[str, Line] = {}
        self._containing: dict[str, list[tuple[Block, int]]] = defaultdict(list)
        self.blocks = tuple(self._block(base, of_base, tree) for base, of_base in sorted(by_base.items()))

    def _block(self, base: str, portfolios: Sequence[PortfolioDefined], tree: Tree) -> Block:
        subtrees = [tree.subtrees[portfolio.portfolio_id] for portfolio in portfolios]
        block = Block(base, [Holding(p, alone=len(of_p) == 1) for p, of_p in zip(portfolios, subtrees, strict=True)])
        for row, members in enumerate(subtrees):
            for member in members:
                self._containing[member].append((block, row))
        return block

    def read(self, books: Books) -> None:
        """Take what all members hold."""
        for member in self._containing:
            self.replace(member, books.held(member))

    def replace(self, member: str, book: Book | None) -> list[tuple[Block, int]]:
        """Let ``member`` hold ``book``, or nothing; the rows that this touches."""
        old, new = self._lines.pop(member, None), None if book is None else self._line_of(book)
        if new is not None:
            self._lines[member] = new
        change, touched = Change.of(old, new), self._containing.get(member, [])
        for block, row in touched:
            block.holdings[row].exchange(change)
            block.touch(row)
        return touched

    def _line_of(self, book: Book) -> Line:
        names = [name for name, _ in book.positions] + [MONEY + currency for currency, _ in book.cash]
        units = [quantity for _, quantity in book.positions] + [amount for _, amount in book.cash]
        values = np.fromiter(units, np.float64, len(units))
        return Line(self._columns_of(names), np.minimum(np.maximum(values, -UNITS_MAX), UNITS_MAX))

    def _columns_of(self, names: Sequence[str]) -> Columns:
        try:
            return np.fromiter(map(self.columns.__getitem__, names), np.int32, len(names))
        except KeyError:
            for name in names:
                self.columns.setdefault(name, len(self.columns))
            return self._columns_of(names)
