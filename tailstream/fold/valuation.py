"""A book at prices: what each position is worth in the portfolio's base currency."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.market import InstrumentDefined
from tailstream.fold.books import Book
from tailstream.fold.market import NEVER, Ints, Prices
from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import LARGEST

Instruments = Callable[[str], InstrumentDefined | None]


@dataclass(frozen=True, slots=True)
class Valuation:
    """Exposures and cash in base currency; ``nav`` is None when a position or a currency has no price.

    So it is when one is worth more than can be reckoned with.
    """

    instruments: tuple[str, ...]
    """The priced positions, sorted."""
    exposures: Floats
    """(instruments,) signed, in base currency."""
    cash: float
    cash_exposures: tuple[tuple[str, float], ...]
    """Money in currencies other than the base, in base currency, as (``cash:USD``, amount)."""
    nav: float | None
    unpriced: tuple[str, ...]
    """Positions, then money as ``cash:USD``, both sorted."""
    stale: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a book's positions stand in the table of prices; only those whose instrument is defined and was quoted."""

    book: Book
    known_at: tuple[int, int]
    """The cut of the instruments and the number of columns that it was made for."""
    names: tuple[str, ...]
    columns: Ints
    units: Floats
    """Quantity times multiplier."""
    currencies: tuple[str, ...]
    currency_of: Ints
    unknown: tuple[str, ...]


class Valuer:
    """Values books; where a book's positions stand is worked out once for each book."""

    def __init__(self) -> None:
        self._layouts: dict[int, Layout] = {}

    def value(self, book: Book, base: str, prices: Prices, instrument: Instruments, instruments_cut: int) -> Valuation:
        """Value ``book`` in ``base``; positions are summed in the order of their names, so equal books give equal bits.

        ``instrument`` finds what is defined below ``instruments_cut``.
        """
        layout = self._layout(book, prices.columns, instrument, (instruments_cut, len(prices.values)))
        rates = {currency: prices.fx(base, currency) for currency in layout.currencies}
        rate = np.array([np.nan if r is None else r for r, _ in rates.values()])[layout.currency_of]
        ages = prices.ages[layout.columns]
        with np.errstate(over="ignore", invalid="ignore"):
            exposures = layout.units * prices.values[layout.columns] * rate
        usable = (ages != NEVER) & (ages <= prices.stale_after_periods) & (np.abs(exposures) < LARGEST)
        old = (ages > 0) | np.array([stale for _, stale in rates.values()], dtype=bool)[layout.currency_of]
        cash, foreign, missing = _cash(book, base, prices)
        names, unpriced = layout.names, layout.unknown
        if not usable.all():
            names, unpriced = _where(layout.names, usable), tuple(sorted((*unpriced, *_where(layout.names, ~usable))))
            exposures, old = exposures[usable], old[usable]
        nav = float(np.add.reduce(exposures)) + cash if not unpriced and not missing else None
        stale = _where(names, old) if old.any() else ()
        return Valuation(names, exposures, cash, foreign, nav, (*unpriced, *missing), stale)

    def _layout(
        self, book: Book, columns: Mapping[str, int], instrument: Instruments, known_at: tuple[int, int]
    ) -> Layout:
        known = self._layouts.get(id(book))
        if known is None or known.book is not book or known.known_at != known_at:
            if len(self._layouts) > 20_000:
                self._layouts.clear()
            known = self._layouts[id(book)] = _lay_out(book, columns, instrument, known_at)
        return known


def _lay_out(book: Book, columns: Mapping[str, int], instrument: Instruments, known_at: tuple[int, int]) -> Layout:
    defined = [(name, quantity, instrument(name)) for name, quantity in book.positions]
    quoted = [
        (name, columns[name], quantity * terms.multiplier, terms.currency)
        for name, quantity, terms in defined
        if terms is not None and columns.get(name, known_at[1]) < known_at[1]
    ]
    names = tuple(name for name, *_ in quoted)
    currencies = tuple(sorted({currency for *_, currency in quoted}))
    return Layout(
        book=book,
        known_at=known_at,
        names=names,
        columns=np.array([column for _, column, *_ in quoted], dtype=np.int64),
        units=np.array([units for _, _, units, _ in quoted], dtype=np.float64),
        currencies=currencies,
        currency_of=np.array([currencies.index(currency) for *_, currency in quoted], dtype=np.int64),
        unknown=tuple(sorted({name for name, _ in book.positions} - set(names))),
    )


def _where(names: tuple[str, ...], mask: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, yes in zip(names, mask, strict=True) if yes)


def _cash(book: Book, base: str, prices: Prices) -> tuple[float, tuple[tuple[str, float], ...], tuple[str, ...]]:
    total, foreign, missing = 0.0, [], []
    for currency, amount in book.cash:
        rate, _ = prices.fx(base, currency)
        worth = amount * rate if rate is not None else math.inf
        if not abs(worth) < LARGEST:
            missing.append(f"cash:{currency}")
            continue
        total += worth
        if currency != base:
            foreign.append((f"cash:{currency}", worth))
    return total, tuple(foreign), tuple(missing)
