"""What one unit of each name is worth in a base currency, and what returns it may have."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from services.risk.matrix import MONEY
from tailstream.fold.market import NEVER, Ints, Market, Prices, Scenarios
from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import LARGEST

Bools = npt.NDArray[np.bool_]
T = TypeVar("T")


class Outcomes(NamedTuple):
    """Returns of the names in the scenarios, in which a book may be measured if all that it holds has one."""

    covered: Bools
    """(names,) whether there are enough of them."""
    returns: Floats
    """(names, scenarios), 0 where there is none and where the name is not covered."""
    gappy: Ints
    """The covered names that lack some."""
    missing: Floats
    """(gappy, scenarios), 1 where there is none, else 0."""
    largest: float
    """No return is further from 0."""

    @classmethod
    def of(cls, names: Sequence[str], scenarios: Scenarios, observations_min: int) -> "Outcomes":
        """The scenarios, laid out in the order of ``names``."""
        rows = np.array([scenarios.rows.get(name, -1) for name in names], dtype=np.int64)
        covered = rows >= 0
        covered[covered] = scenarios.observations[rows[covered]] >= observations_min
        known = scenarios.returns[rows[covered]]
        missing = np.isnan(known)
        returns = np.zeros((len(names), scenarios.returns.shape[1]))
        returns[covered] = np.where(missing, 0.0, known)
        gappy = missing.any(axis=1)
        largest = float(max(returns.max(initial=0.0), -returns.min(initial=0.0)))
        return cls(covered, returns, np.flatnonzero(covered)[gappy], missing[gappy].astype(np.float64), largest)


class Quotation(NamedTuple):
    """Where the price of each name stands, and in which currency; money is priced 1 in its own."""

    price_at: Ints
    """(names,) the column of the prices; beyond the last, one that is never known and one that is always 1."""
    multipliers: Floats
    currencies: tuple[str, ...]
    currency_of: Ints
    """(names,)"""

    @classmethod
    def of(cls, names: Sequence[str], market: Market, prices: Prices) -> "Quotation":
        """The names as they are defined now; the price of one that is not defined is not known."""
        quoted = [_quoted(name, market, prices.columns, len(prices.values)) for name in names]
        currencies = tuple(sorted({currency for _, _, currency in quoted}))
        return cls(
            np.array([column for column, _, _ in quoted], dtype=np.int64),
            np.array([multiplier for _, multiplier, _ in quoted], dtype=np.float64),
            currencies,
            np.array([currencies.index(currency) for _, _, currency in quoted], dtype=np.int64),
        )

    def worth(self, base: str, prices: Prices) -> Floats:
        """What one unit of each name is worth in ``base``, (names,); NaN where a price or a rate is missing."""
        usable = (prices.ages != NEVER) & (prices.ages <= prices.stale_after_periods)
        table = np.concatenate([np.where(usable, prices.values, np.nan), [np.nan, 1.0]])
        found = [prices.fx(base, currency)[0] for currency in self.currencies]
        rates = np.array([np.nan if rate is None else rate for rate in found], dtype=np.float64)
        with np.errstate(over="ignore"):
            worth: Floats = table[self.price_at] * rates[self.currency_of] * self.multipliers
        return worth


def _quoted(name: str, market: Market, columns: Mapping[str, int], known: int) -> tuple[int, float, str]:
    if name.startswith(MONEY):
        return known + 1, 1.0, name.removeprefix(MONEY)
    instrument = market.instrument(name)
    column = columns.get(name, known)
    if instrument is None or column >= known:
        return known, 1.0, ""
    return column, instrument.multiplier, instrument.currency


class Weights(NamedTuple):
    """What one of each name counts for: one unit at its price, or as much of it as one of the base currency buys."""

    worth: Floats
    """(names,), 0 where it is not known."""
    kinds: Floats
    """(names, 5), the worth or 0: of everything; instruments; all but money of the base; of these covered; and not."""
    gains: Floats
    """(names, scenarios)"""
    missing: Floats
    """(gappy, scenarios), the worth where there is no return, else 0."""

    @classmethod
    def of(cls, names: Sequence[str], base: str, outcomes: Outcomes) -> "Weights":
        """Of one of the base currency in each name."""
        everything = np.ones(len(names), dtype=bool)
        instruments = np.array([not name.startswith(MONEY) for name in names], dtype=bool)
        risky = np.array([name != MONEY + base for name in names], dtype=bool)
        covered, left_out = risky & outcomes.covered, risky & ~outcomes.covered
        kinds = np.stack([everything, instruments, risky, covered, left_out], axis=1).astype(np.float64)
        return cls(np.ones(len(names)), kinds, outcomes.returns, outcomes.missing)

    def times(self, worth: Floats, gappy: Ints) -> "Weights":
        """Where one of each name is ``worth`` (names,) times as much."""
        by_name = worth[:, None]
        return Weights(self.worth * worth, self.kinds * by_name, self.gains * by_name, self.missing * by_name[gappy])


class View(NamedTuple):
    """What books of one base currency are measured by."""

    names: tuple[str, ...]
    worth: Floats
    """(names,) of one unit, NaN where it is not known."""
    known_worth: Floats
    """(names,) with 0 instead."""
    unknown: Ints
    """The names of which it is not known."""
    outcomes: Outcomes
    of_money: Weights
    of_units: Weights | None
    """None where a price is so large or so small that gains would overflow or fade, were they of one unit."""

    @classmethod
    def of(cls, names: tuple[str, ...], worth: Floats, outcomes: Outcomes, of_money: Weights) -> "View":
        """The view at what one unit of each name is ``worth``."""
        known = np.nan_to_num(worth)
        of_units = of_money.times(known, outcomes.gappy) if _moderate(known, outcomes.largest) else None
        return cls(names, worth, known, np.flatnonzero(np.isnan(worth)), outcomes, of_money, of_units)


def _moderate(worth: Floats, largest: float) -> bool:
    """Whether returns up to the ``largest`` may be multiplied with what units are worth."""
    known = worth[worth > 0]
    return bool(known.max(initial=0.0) * max(largest, 1.0) < LARGEST and known.min(initial=1.0) > 1 / LARGEST)


class Latest(Generic[T]):
    """What was made last, for as long as it is asked for by the same key."""

    def __init__(self) -> None:
        self._known: tuple[Hashable, T] | None = None

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` made for ``key``."""
        if self._known is None or self._known[0] != key:
            self._known = key, make()
        return self._known[1]


class Outlook:
    """The view of one base currency; every part is made anew when what it rests on changes, and only then."""

    def __init__(self, base: str, market: Market, scenario_window: int, scenarios_min: int) -> None:
        self._base = base
        self._market = market
        self._window = scenario_window
        self._scenarios_min = scenarios_min
        self._outcomes = Latest[Outcomes]()
        self._of_money = Latest[Weights]()
        self._quotation = Latest[Quotation]()
        self._view = Latest[View]()

    def view(self, names: tuple[str, ...], row: int, moment: Hashable, prices: Prices) -> View:
        """At the ``prices`` of a ``moment``, over the scenarios of the close of ``row``.

        From one time to the next ``names`` may only grow.
        """
        return self._view.of((len(names), row, moment), lambda: self._made(names, row, prices))

    def _made(self, names: tuple[str, ...], row: int, prices: Prices) -> View:
        outcomes = self._outcomes.of((len(names), row), lambda: self._outcomes_at(names, row))
        known = (len(names), self._market.defined_to, len(prices.values))
        quotation = self._quotation.of(known, lambda: Quotation.of(names, self._market, prices))
        of_money = self._of_money.of((len(names), row), lambda: Weights.of(names, self._base, outcomes))
        return View.of(names, quotation.worth(self._base, prices), outcomes, of_money)

    def _outcomes_at(self, names: tuple[str, ...], row: int) -> Outcomes:
        scenarios = self._market.scenarios(row, self._base, self._window)
        return Outcomes.of(names, scenarios, self._scenarios_min)
