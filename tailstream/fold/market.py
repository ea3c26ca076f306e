"""Closes as a table of prices, carried forward where one is missing; instruments; and scenario returns."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.event import Cut
from contracts.market import InstrumentDefined, PeriodClosed
from tailstream.fold.versions import NEWEST, Versions
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import compound_currency, simple_returns

Ints = npt.NDArray[np.int64]
NEVER = -1
REMEMBERED_BYTES_MAX = 64 * 1024 * 1024
"""Scenarios kept, because the shards measure the same closes one after the other."""
REMEMBERED_ROWS_MAX = 256


class ClosePoint(NamedTuple):
    """One closed period, without its prices; ``offset`` is where it stands on ``market.closes.v1``."""

    period: str
    as_of: datetime
    offset: int
    cut: Cut


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices at one instant. ``ages`` counts the periods since each was seen; NEVER where it never was."""

    columns: Mapping[str, int]
    values: Floats
    ages: Ints
    stale_after_periods: int

    def of(self, instrument: str) -> tuple[float | None, bool]:
        """The price and whether it is stale; None where there is none, or none that is young enough."""
        column = self.columns.get(instrument)
        if column is None or column >= len(self.values):
            return None, False
        age = int(self.ages[column])
        if age == NEVER or age > self.stale_after_periods:
            return None, age != NEVER
        return float(self.values[column]), age > 0

    def fx(self, base: str, currency: str) -> tuple[float | None, bool]:
        """How many units of ``base`` one unit of ``currency`` is worth, and whether the rate is stale.

        ``fx:EURUSD`` is quoted in USD per one EUR. A missing rate is None, never 1.
        """
        if base == currency:
            return 1.0, False
        quoted, stale = self.of(f"fx:{base}{currency}")
        if quoted is not None:
            return 1.0 / quoted, stale
        return self.of(f"fx:{currency}{base}")


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Returns of every instrument in one base currency over a window, oldest first.

    ``returns`` is (instruments + currencies, periods), C-contiguous, NaN where either end of a period is missing or the
    return overflows; ``rows`` finds an instrument's row, or that of ``cash:USD``, money in a currency that is not the
    base.
    """

    rows: Mapping[str, int]
    returns: Floats
    observations: Ints
    content_hash: str

    @property
    def complete(self) -> bool:
        """Whether no return of the window is missing."""
        return bool((self.observations == self.returns.shape[1]).all())


class Board:
    """The newest live price of each instrument, over the prices of the last close."""

    def __init__(self) -> None:
        self._live: dict[str, tuple[datetime, float]] = {}
        self.as_of: datetime | None = None

    def observe(self, as_of: datetime, prices: Mapping[str, float]) -> None:
        """Take a slice; a price that is older than the one on the board changes nothing."""
        for name, price in prices.items():
            known = self._live.get(name)
            if known is None or as_of >= known[0]:
                self._live[name] = (as_of, price)
        self.as_of = as_of if self.as_of is None else max(self.as_of, as_of)

    def over(self, close: Prices, closed_at: datetime) -> Prices:
        """The prices of the close, replaced where the board has a later one."""
        values, ages = close.values.copy(), close.ages.copy()
        for name, (as_of, price) in self._live.items():
            column = close.columns.get(name)
            if column is not None and column < len(values) and as_of > closed_at:
                values[column], ages[column] = price, 0
        return Prices(close.columns, values, ages, close.stale_after_periods)


class Market:
    """The closes that were accepted, a row each, a column an instrument; and what each instrument is."""

    def __init__(self, *, window_periods: int, stale_after_periods: int) -> None:
        self._window = window_periods
        self._stale_after = stale_after_periods
        self.first = 0
        """Row of the oldest close that is still held; rows are counted from the first close that was read."""
        self.begins_within_history = False
        """Whether the log may have closes before the oldest one held."""
        self._points: list[ClosePoint] = []
        self.columns: dict[str, int] = {}
        self._instruments: dict[str, Versions[InstrumentDefined | None]] = {}
        self.defined_to = 0
        """The cut above every definition of an instrument that was taken."""
        self._values = np.full((64, 16), np.nan)
        self._seen = np.full((64, 16), NEVER, dtype=np.int64)
        self._scenarios: dict[tuple[int, str], Scenarios] = {}
        self._hashes: dict[int, str] = {}
        self._prices: dict[int, Prices] = {}

    def define(self, offset: int, instrument_id: str, instrument: InstrumentDefined | None) -> None:
        """Take a definition of an instrument; None is its end."""
        self._instruments.setdefault(instrument_id, Versions()).add(offset, instrument)
        self.defined_to = max(self.defined_to, offset + 1)

    def instrument(self, instrument_id: str, cut: int = NEWEST) -> InstrumentDefined | None:
        """The instrument as defined below ``cut``; None where it is not."""
        versions = self._instruments.get(instrument_id)
        return versions.below(cut) if versions is not None else None

    def append(self, offset: int, close: PeriodClosed) -> None:
        """Take the next close. The caller has seen to it that its period is greater than the last one's."""
        row = len(self._points)
        self._points.append(ClosePoint(close.period, close.as_of, offset, close.cut))
        for instrument_id in close.prices:
            self.columns.setdefault(instrument_id, len(self.columns))
        self._grow()
        self._seen[row] = self._seen[row - 1] if row else NEVER
        columns = [self.columns[name] for name in close.prices]
        self._values[row, columns] = list(close.prices.values())
        self._seen[row, columns] = row

    @property
    def end(self) -> int:
        """One past the row of the newest close."""
        return self.first + len(self._points)

    @property
    def last_period(self) -> str:
        """The newest period; empty before the first close."""
        return self._points[-1].period if self._points else ""

    def point(self, row: int) -> ClosePoint:
        """The close of ``row``."""
        return self._points[row - self.first]

    def row_after(self, period: str) -> int:
        """The row of the first close after ``period``; ``end`` where there is none."""
        return self.first + bisect_right(self._points, period, key=attrgetter("period"))

    def has(self, period: str) -> bool:
        """Whether the close of ``period`` is held."""
        row = self.row_after(period) - 1
        return row >= self.first and self.point(row).period == period

    def drop_price(self, row: int, instrument_id: str) -> None:
        """Take back a price that turned out to be refused; only of a row that was not read yet."""
        row, column = row - self.first, self.columns[instrument_id]
        self._values[row, column] = np.nan
        before = self._seen[row - 1, column] if row else NEVER
        later = self._seen[row:, column]
        later[later == row] = before

    def priced_at(self, row: int) -> list[str]:
        """The instruments that have a price of their own at ``row``."""
        row -= self.first
        return [name for name, column in self.columns.items() if self._seen[row, column] == row]

    def prices(self, row: int) -> Prices:
        """Prices at the close of ``row``, the missing ones carried forward."""
        known = self._prices.get(row)
        if known is None:
            known = self._prices[row] = self._carried(row - self.first)
            if len(self._prices) > REMEMBERED_ROWS_MAX:
                self._prices.pop(next(iter(self._prices)))
        return known

    def _carried(self, index: int) -> Prices:
        width = len(self.columns)
        seen = self._seen[index, :width]
        values = self._values[np.maximum(seen, 0), np.arange(width)]
        return Prices(self.columns, values, np.where(seen == NEVER, NEVER, index - seen), self._stale_after)

    def prices_hash(self, row: int) -> str:
        """sha256 over the names, prices and ages that can be used at ``row``; the same on every replica."""
        known = self._hashes.get(row)
        if known is None:
            prices = self.prices(row)
            usable = sorted(name for name in self.columns if prices.of(name)[0] is not None)
            columns = [self.columns[name] for name in usable]
            known = _content_hash(usable, prices.values[columns], prices.ages[columns])
            self._hashes[row] = known
            if len(self._hashes) > REMEMBERED_ROWS_MAX:
                self._hashes.pop(next(iter(self._hashes)))
        return known

    def scenarios(self, row: int, base: str) -> Scenarios:
        """Returns in ``base`` of the last ``window_periods`` closes up to ``row``; fewer where there are fewer."""
        known = self._scenarios.get((row, base))
        if known is None:
            with np.errstate(over="ignore", invalid="ignore"):
                known = self._scenarios[row, base] = self._measure(row, base)
            while len(self._scenarios) * known.returns.nbytes > REMEMBERED_BYTES_MAX and len(self._scenarios) > 4:
                self._scenarios.pop(next(iter(self._scenarios)))
        return known

    def forget_before(self, row: int) -> None:
        """Drop all closes before ``row``; the rows of the others stay what they are."""
        gone = row - self.first
        if gone <= 0:
            return
        kept = len(self._points) - gone
        self._values[:kept] = self._values[gone : gone + kept].copy()
        self._values[kept:] = np.nan
        seen = self._seen[gone : gone + kept].copy()
        self._seen[:kept] = np.where(seen >= gone, seen - gone, NEVER)
        self._seen[kept:] = NEVER
        del self._points[:gone]
        self.first = row
        self.begins_within_history = True

    def _grow(self) -> None:
        rows, columns = self._values.shape
        wanted = (rows * 2 if len(self._points) > rows else rows, columns)
        while len(self.columns) > wanted[1]:
            wanted = (wanted[0], wanted[1] * 2)
        if wanted != (rows, columns):
            values, seen = np.full(wanted, np.nan), np.full(wanted, NEVER, dtype=np.int64)
            values[:rows, :columns], seen[:rows, :columns] = self._values, self._seen
            self._values, self._seen = values, seen

    def _measure(self, row: int, base: str) -> Scenarios:
        cut = self.point(row).cut.instruments
        row -= self.first
        first = max(0, row - self._window)
        window = self._values[first : row + 1, : len(self.columns)].T
        returns = simple_returns(window)
        local = {name: returns[column] for name, column in self.columns.items()}
        converted: dict[str, Floats] = {}
        currencies: set[str] = set()
        for name in sorted(local):
            instrument = self.instrument(name, cut)
            if instrument is None or instrument.kind == "fx":
                continue
            currencies.add(instrument.currency)
            fx = _fx_returns(local, window, self.columns, base, instrument.currency)
            if fx is not None:
                converted[name] = local[name] if instrument.currency == base else compound_currency(local[name], fx)
        for currency in sorted(currencies | _quoted(local) - {base}):
            fx = _fx_returns(local, window, self.columns, base, currency)
            if fx is not None and currency != base:
                converted[f"cash:{currency}"] = fx
        return _scenarios({name: r for name, r in converted.items() if not np.isnan(r).all()}, row - first)


def _quoted(names: Mapping[str, object]) -> set[str]:
    """The currencies of the FX pairs among ``names``."""
    pairs = (name.removeprefix("fx:") for name in names if name.startswith("fx:") and len(name) == 9)
    return {currency for pair in pairs for currency in (pair[:3], pair[3:])}


def _fx_returns(
    local: Mapping[str, Floats], window: Floats, columns: Mapping[str, int], base: str, currency: str
) -> Floats | None:
    """Returns of one unit of ``currency`` in ``base``, by the pair that has any in the window; None where none has."""
    if base == currency:
        return np.zeros(window.shape[1] - 1)
    inverse = columns.get(f"fx:{base}{currency}")
    if inverse is not None:
        prices: Floats = window[inverse]
        returns: Floats = simple_returns(prices[None, ::-1])[0, ::-1]
        if not np.isnan(returns).all():
            return returns
    return local.get(f"fx:{currency}{base}")


def _scenarios(converted: Mapping[str, Floats], periods: int) -> Scenarios:
    names = sorted(converted)
    returns = np.ascontiguousarray([converted[name] for name in names]) if names else np.empty((0, periods))
    returns[np.isinf(returns)] = np.nan
    observations = np.count_nonzero(~np.isnan(returns), axis=1)
    return Scenarios({name: i for i, name in enumerate(names)}, returns, observations, _content_hash(names, returns))


def _content_hash(names: Sequence[str], *arrays: npt.NDArray[np.float64] | Ints) -> str:
    digest = hashlib.sha256("\x1f".join(names).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
