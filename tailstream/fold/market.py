"""Closes as a table of prices, carried forward where one is missing; instruments; and scenario returns."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from contracts.event import Cut
from contracts.market import InstrumentDefined, PeriodClosed
from tailstream.fold.scenarios import Ints as Ints
from tailstream.fold.scenarios import Scenarios as Scenarios
from tailstream.fold.scenarios import Span, content_hash
from tailstream.fold.versions import NEWEST, Versions
from tailstream.quant.arrays import Floats
from tailstream.quant.options import Option, QuotedOption

NEVER = -1
YEAR = timedelta(days=365)
"""Of an option's time to expiry."""
REMEMBERED_BYTES_MAX = 128 * 1024 * 1024
"""Scenarios kept: the books of a close share them, and the shards measure the same closes one after the other."""
REMEMBERED_MAX = 1_024
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
        self._values = np.full((16, 64), np.nan)
        """(columns, rows): a window of an instrument's prices is one stretch of memory."""
        self._seen = np.full((64, 16), NEVER, dtype=np.int64)
        self._scenarios: dict[_Wanted, Scenarios] = {}
        self._remembered_bytes = 0
        self._newest: tuple[int, _Known] | None = None
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
        self._values[columns, row] = list(close.prices.values())
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
        self._values[column, row] = np.nan
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
        values = self._values[np.arange(width), np.maximum(seen, 0)]
        return Prices(self.columns, values, np.where(seen == NEVER, NEVER, index - seen), self._stale_after)

    def prices_hash(self, row: int) -> str:
        """sha256 over the names, prices and ages that can be used at ``row``; the same on every replica."""
        known = self._hashes.get(row)
        if known is None:
            prices = self.prices(row)
            usable = sorted(name for name in self.columns if prices.of(name)[0] is not None)
            columns = [self.columns[name] for name in usable]
            known = content_hash(usable, prices.values[columns], prices.ages[columns])
            self._hashes[row] = known
            if len(self._hashes) > REMEMBERED_ROWS_MAX:
                self._hashes.pop(next(iter(self._hashes)))
        return known

    def scenarios(self, row: int, base: str, periods: int | None = None) -> Scenarios:
        """Returns in ``base`` of the last ``periods`` closes up to ``row``, as many as the market's window where None.

        Fewer where there are fewer.
        """
        return self.horizon_scenarios(row, base, self._window if periods is None else periods, 1)

    def horizon_scenarios(self, row: int, base: str, periods: int, horizon: int) -> Scenarios:
        """Overlapping returns over ``horizon`` periods within the last ``periods`` up to ``row``.

        That is ``periods - horizon + 1`` of them.
        """
        return self._remembered(_Wanted(row, base, max(self.first, row - min(periods, self._window)), row, horizon))

    def history(self, row: int, base: str) -> Scenarios:
        """Returns of all periods up to ``row`` that the market's window holds."""
        return self.scenarios(row, base)

    def window_scenarios(self, row: int, base: str, first_period: str, last_period: str) -> Scenarios:
        """Returns of the periods from ``first_period`` to ``last_period``, as far as the market's window holds them.

        Prices, rates and terms of options are those of the close of ``row``, and no return is of a later one.
        """
        first = bisect_left(self._points, first_period, key=attrgetter("period")) + self.first - 1
        last = self.row_after(last_period) - 1
        first = max(first, self.first, row - self._window)
        return self._remembered(_Wanted(row, base, first, max(first, min(last, row)), 1))

    def reaches(self, row: int, period: str) -> bool:
        """Whether the market's window up to ``row`` has a close before ``period``, so that its return is known."""
        return self.point(max(self.first, row - self._window)).period < period

    def _remembered(self, wanted: "_Wanted") -> Scenarios:
        known = self._scenarios.get(wanted)
        if known is None:
            known = self._scenarios[wanted] = self._span(wanted).scenarios(wanted.base)
            self._remembered_bytes += known.returns.nbytes
            while self._remember_too_much():
                oldest = next(iter(self._scenarios))
                self._remembered_bytes -= self._scenarios.pop(oldest).returns.nbytes
        return known

    def _remember_too_much(self) -> bool:
        count = len(self._scenarios)
        return count > REMEMBERED_MAX or (count > 1 and self._remembered_bytes > REMEMBERED_BYTES_MAX)

    def _span(self, wanted: "_Wanted") -> Span:
        known = self._known_at(wanted.row)
        stretch = slice(wanted.first - self.first, wanted.last - self.first + 1)
        return Span(
            prices=self._values[: len(self.columns), stretch],
            columns=self.columns,
            periods=tuple(point.period for point in self._points[stretch]),
            instruments=known.instruments,
            proxies=known.proxies,
            options=known.options,
            horizon=wanted.horizon,
        )

    def _known_at(self, row: int) -> "_Known":
        """What there is to know of instruments at a close; the newest is kept, since all kinds of scenarios ask."""
        if self._newest is None or self._newest[0] != row:
            instruments = self._defined(self.point(row).cut.instruments)
            known = _Known(instruments, self._proxies(row, instruments), self._options(row, instruments))
            self._newest = row, known
        return self._newest[1]

    def _defined(self, cut: int) -> dict[str, InstrumentDefined]:
        """The instruments that are defined below ``cut`` and were quoted, sorted by name."""
        found = ((name, self.instrument(name, cut)) for name in sorted(self.columns))
        return {name: terms for name, terms in found if terms is not None}

    def _proxies(self, row: int, instruments: Mapping[str, InstrumentDefined]) -> dict[str, str]:
        """Proxies that are known, of instruments with a price in the market's window up to ``row``.

        Of others a replica that began to read later does not even know the name.
        """
        seen = self._seen[row - self.first]
        oldest = max(0, row - self.first - self._window)
        return {
            name: terms.proxy
            for name, terms in instruments.items()
            if terms.proxy is not None and terms.proxy in instruments and seen[self.columns[name]] >= oldest
        }

    def _options(self, row: int, instruments: Mapping[str, InstrumentDefined]) -> dict[str, QuotedOption]:
        """Options whose own price and underlying's, at the close of ``row``, agree on a volatility."""
        prices, as_of = self.prices(row), self.point(row).as_of
        optional = (
            (name, _quoted_option(terms, instruments, prices, as_of))
            for name, terms in instruments.items()
            if terms.option is not None
        )
        return {name: quoted for name, quoted in optional if quoted is not None}

    def forget_before(self, row: int) -> None:
        """Drop all closes before ``row``; the rows of the others stay what they are."""
        gone = row - self.first
        if gone <= 0:
            return
        kept = len(self._points) - gone
        self._values[:, :kept] = self._values[:, gone : gone + kept].copy()
        self._values[:, kept:] = np.nan
        seen = self._seen[gone : gone + kept].copy()
        self._seen[:kept] = np.where(seen >= gone, seen - gone, NEVER)
        self._seen[kept:] = NEVER
        del self._points[:gone]
        self.first = row
        self.begins_within_history = True

    def _grow(self) -> None:
        columns, rows = self._values.shape
        wanted = (columns, rows * 2 if len(self._points) > rows else rows)
        while len(self.columns) > wanted[0]:
            wanted = (wanted[0] * 2, wanted[1])
        if wanted != (columns, rows):
            values, seen = np.full(wanted, np.nan), np.full(wanted[::-1], NEVER, dtype=np.int64)
            values[:columns, :rows], seen[:rows, :columns] = self._values, self._seen
            self._values, self._seen = values, seen


class _Known(NamedTuple):
    """The instruments that are defined and quoted at a close, the proxies of some and the options that have a price."""

    instruments: Mapping[str, InstrumentDefined]
    proxies: Mapping[str, str]
    options: Mapping[str, QuotedOption]


class _Wanted(NamedTuple):
    """What scenarios are of: returns from the close ``first`` to ``last``, as seen at the close of ``row``."""

    row: int
    base: str
    first: int
    last: int
    horizon: int


def _quoted_option(
    terms: InstrumentDefined, instruments: Mapping[str, InstrumentDefined], prices: Prices, as_of: datetime
) -> QuotedOption | None:
    option = terms.option
    underlying = instruments.get(option.underlying) if option is not None else None
    if option is None or underlying is None or underlying.currency != terms.currency:
        return None
    (premium, _), (spot, _) = prices.of(terms.instrument_id), prices.of(option.underlying)
    if premium is None or spot is None:
        return None
    years = (option.expires_at - as_of) / YEAR
    return QuotedOption.of(
        Option(option.right, option.strike, option.rate, option.dividend_yield), premium, spot, years
    )
