"""A book at prices: what each position is worth in the portfolio's base currency."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from contracts.market import InstrumentDefined
from tailstream.fold.books import Book
from tailstream.fold.market import Prices
from tailstream.quant.arrays import Floats

Instruments = Callable[[str], InstrumentDefined | None]


@dataclass(frozen=True, slots=True)
class Valuation:
    """Exposures and cash in base currency; ``nav`` is None when a position or a currency has no price."""

    instruments: tuple[str, ...]
    """The priced positions, sorted."""
    exposures: Floats
    """(instruments,) signed, in base currency."""
    cash: float
    cash_exposures: tuple[tuple[str, float], ...]
    """Money in currencies other than the base, in base currency, as (``cash:USD``, amount)."""
    nav: float | None
    unpriced: tuple[str, ...]
    stale: tuple[str, ...]


def value(book: Book, base: str, prices: Prices, instrument: Instruments) -> Valuation:
    """Value ``book`` in ``base``; positions are summed in the order of their names, so equal books give equal bits."""
    rates: dict[str, tuple[float | None, bool]] = {}
    priced: list[tuple[str, float]] = []
    unpriced: list[str] = []
    stale: list[str] = []
    for name, quantity in book.positions:
        definition = instrument(name)
        price, old = prices.of(name)
        rate, old_rate = _rate(rates, prices, base, definition.currency) if definition else (None, False)
        if definition is None or price is None or rate is None:
            unpriced.append(name)
            continue
        priced.append((name, quantity * definition.multiplier * price * rate))
        if old or old_rate:
            stale.append(name)
    cash, foreign, missing = _cash(book, base, prices, rates)
    exposures = np.array([exposure for _, exposure in priced], dtype=np.float64)
    nav = float(np.add.reduce(exposures)) + cash if not unpriced and not missing else None
    names = tuple(name for name, _ in priced)
    return Valuation(names, exposures, cash, foreign, nav, (*unpriced, *missing), tuple(stale))


def _rate(
    rates: dict[str, tuple[float | None, bool]], prices: Prices, base: str, currency: str
) -> tuple[float | None, bool]:
    if currency not in rates:
        rates[currency] = prices.fx(base, currency)
    return rates[currency]


def _cash(
    book: Book, base: str, prices: Prices, rates: dict[str, tuple[float | None, bool]]
) -> tuple[float, tuple[tuple[str, float], ...], tuple[str, ...]]:
    total, foreign, missing = 0.0, [], []
    for currency, amount in book.cash:
        rate, _ = _rate(rates, prices, base, currency)
        if rate is None:
            missing.append(f"cash:{currency}")
            continue
        total += amount * rate
        if currency != base:
            foreign.append((f"cash:{currency}", amount * rate))
    return total, tuple(foreign), tuple(missing)
