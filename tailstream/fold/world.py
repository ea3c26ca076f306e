"""The world as the log has told it so far, and which closes are due on which shard."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from contracts.event import Arrival, Cut
from contracts.market import InstrumentDefined, PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.topics import ACTIONS, CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS
from tailstream.fold.books import Book, Books
from tailstream.fold.market import Board, Market, Prices
from tailstream.fold.valuation import Valuation, Valuer

MARGIN_PERIODS = 64
"""Rows kept before a window, so that carried prices and repeated periods at its edge are the same on every replica."""
RETAINED_PERIODS = 1_024
"""Rows kept beyond that: how far behind a shard may be that this replica takes over without starting anew."""

VALUED_CLOSES = 2
"""Closes whose valuations are remembered: what a close gained is asked of the one before."""

Valued: TypeAlias = dict[tuple[int, str], tuple[Book, Valuation]]
"""By the identity of the book, which is held, and the base currency."""


class Moment(NamedTuple):
    """What there was to know at one instant; ``cut`` None is now, between closes."""

    cut: Cut | None
    prices: Prices


class Refusal(NamedTuple):
    """An arrival, or the part of it that ``field`` names, that cannot be folded."""

    topic: str
    partition: int
    offset: int
    field: str | None
    reason: str


class HistoryTooShort(Exception):
    """A shard needs closes that this replica no longer holds; starting anew reads them."""


class World:
    """Market, books, and for every owned shard the last close that it has published.

    A close is *open* once everything below its cut has been read; only open closes are due. The outputs of a close
    depend on the log below its cut alone.
    """

    def __init__(
        self,
        *,
        partition_of: Callable[[str], int],
        partitions: int,
        window_periods: int,
        stale_after_periods: int,
        min_rows_kept: int = RETAINED_PERIODS,
    ) -> None:
        self.market = Market(window_periods=window_periods, stale_after_periods=stale_after_periods)
        self.board = Board()
        self._valuer = Valuer()
        self._valued: deque[tuple[Prices, Valued]] = deque(maxlen=VALUED_CLOSES)
        self.books = Books(partition_of)
        self.partition_of = partition_of
        self.changes = 0
        """How many arrivals were folded: equal counts, equal worlds."""
        self.market_changes = 0
        """How many of them were of neither definitions nor holdings."""
        self.opened = 0
        """How many rows of the market are open."""
        self._partitions = partitions
        self._reach = max(window_periods, 1 + stale_after_periods)
        self.needed_rows = self._reach + MARGIN_PERIODS
        """How many offsets before that of a shard's last close reading must begin."""
        self._min_rows_kept = min_rows_kept
        self._read: dict[tuple[str, int], int] = {}
        self._next: dict[int, int] = {}
        self._now: Moment | None = None
        self._now_is_of = (-1, -1)

    def closes_from(self, offset: int) -> None:
        """The closes are read from ``offset`` on: before the first of them there may be others, unless it is 0."""
        self.market.begins_within_history = offset > 0

    def fold(self, arrival: Arrival) -> list[Refusal]:
        """Take what arrived; a refusal says why it, or a price of it, could not be taken."""
        self.changes += 1
        self.market_changes += arrival.topic not in (DEFINITIONS.name, HOLDINGS.name)
        match arrival.event:
            case HoldingsReplaced() as holdings:
                self.books.replace(arrival.offset, holdings)
            case PortfolioDefined() as definition:
                self.books.define(arrival.offset, definition.portfolio_id, definition)
            case None if arrival.topic == DEFINITIONS.name:
                self.books.define(arrival.offset, arrival.key, None)
            case None if arrival.topic == HOLDINGS.name:
                self.books.empty(arrival.offset, arrival.key)
            case None if arrival.topic == INSTRUMENTS.name:
                self.market.define(arrival.offset, arrival.key, None)
            case InstrumentDefined() as instrument:
                self.market.define(arrival.offset, instrument.instrument_id, instrument)
            case PeriodClosed() as close:
                refused = self._close(arrival, close)
                return [refused] if refused else []
            case PricesObserved() as observed:
                return self._observe(arrival, observed)
        return []

    def read_to(self, topic: str, partition: int, offset: int) -> None:
        """Everything of this partition below ``offset`` has been folded."""
        self._read[topic, partition] = offset

    def open(self) -> list[Refusal]:
        """Open every close whose cut has been read; refuse its prices of instruments that are not defined below it."""
        refusals: list[Refusal] = []
        while self.opened < self.market.end and self._has_read(self.market.point(self.opened).cut):
            refusals += self._refuse_unknown(self.opened)
            self.opened += 1
        return refusals

    def adopt(self, partition: int, last_published: str | None) -> None:
        """Own a shard from now on; its next close is the first one after the period ``last_published``.

        Raises
        ------
        HistoryTooShort
            When the window of that close reaches back beyond the closes held.
        """
        row = self.market.row_after(last_published or "")
        earliest = self.market.first + self._reach if self.market.begins_within_history else self.market.first
        if row < earliest and not (last_published is None and self._vacant(partition, earliest)):
            raise HistoryTooShort(f"shard {partition} goes on after {last_published or 'nothing'}")
        self._next[partition] = max(row, min(earliest, self.market.end))

    def release(self, partition: int) -> None:
        """Own the shard no longer."""
        self._next.pop(partition, None)

    @property
    def owned(self) -> tuple[int, ...]:
        """The shards owned, sorted."""
        return tuple(sorted(self._next))

    def due(self, partition: int) -> range:
        """The rows of the closes that the shard can publish now, oldest first."""
        return range(self._next[partition], self.opened)

    def done(self, partition: int, row: int) -> None:
        """The close of ``row`` was measured for the shard."""
        self._next[partition] = row + 1

    def behind(self) -> int:
        """Closes known but not yet measured, of the shard that is furthest behind."""
        return max((self.market.end - row for row in self._next.values()), default=0)

    def row_of(self, partition: int) -> int | None:
        """The row of the shard's last measured close; None before its first."""
        row = self._next.get(partition, 0) - 1
        return row if row >= self.market.first else None

    def trim(self) -> None:
        """Forget what no shard can ask for any more."""
        oldest = min(self._next.values(), default=self.opened)
        first = oldest - self.needed_rows - self._min_rows_kept
        if first - self.market.first >= self._min_rows_kept // 2:
            self.books.forget_before(self.market.point(first).cut)
            self.market.forget_before(first)
            self._valued.clear()

    def closed(self, row: int) -> Moment:
        """The moment of the close of ``row``."""
        return Moment(self.market.point(row).cut, self.market.prices(row))

    def now(self) -> Moment | None:
        """The board over the last open close; None before there is one."""
        if self.opened <= self.market.first:
            return None
        row = self.opened - 1
        if self._now is None or self._now_is_of != (row, self.market_changes):
            over = self.board.over(self.market.prices(row), self.market.point(row).as_of)
            self._now, self._now_is_of = Moment(None, over), (row, self.market_changes)
        return self._now

    def members(self, portfolio_id: str, moment: Moment) -> tuple[tuple[str, Book], ...]:
        """Those of the portfolio and its descendants that hold something, with what they hold, sorted by name."""
        subtree = self.books.tree(moment.cut).subtrees.get(portfolio_id, ())
        return self.books.holders(subtree, moment.cut)

    def value(self, holders: Sequence[tuple[str, Book]], base: str, moment: Moment) -> Valuation:
        """The holders' books together, in ``base``, at the prices of the moment; answers of a close are kept."""
        total, valued = self.books.total(holders), self._valued_at(moment)
        known = valued.get((id(total), base))
        if known is None or known[0] is not total:
            known = valued[id(total), base] = total, self._value(total, base, moment)
        return known[1]

    def _valued_at(self, moment: Moment) -> Valued:
        if moment.cut is None:
            return {}
        for prices, valued in self._valued:
            if prices is moment.prices:
                return valued
        self._valued.append((moment.prices, {}))
        return self._valued[-1][1]

    def _value(self, book: Book, base: str, moment: Moment) -> Valuation:
        cut = moment.cut.instruments if moment.cut else self.market.defined_to
        return self._valuer.value(book, base, moment.prices, lambda name: self.market.instrument(name, cut), cut)

    def portfolios(self, partition: int, moment: Moment) -> list[PortfolioDefined]:
        """The open portfolios of a shard, sorted by name."""
        nodes = self.books.tree(moment.cut).nodes
        return [node for name, node in nodes.items() if self.partition_of(name) == partition]

    def _vacant(self, partition: int, row: int) -> bool:
        """Whether the shard had no portfolio at any close before ``row``."""
        held = min(row, self.market.end) - 1
        return held < self.market.first or self.books.vacant(partition, self.market.point(held).cut)

    def _close(self, arrival: Arrival, close: PeriodClosed) -> Refusal | None:
        last = self.market.last_period
        if close.period <= last:
            return (
                None
                if self.market.has(close.period)
                else _refuse(arrival, "period", f"expected one after {last}, was {close.period}")
            )
        for name, offsets in (("holdings", close.cut.holdings), ("definitions", close.cut.definitions)):
            if len(offsets) != self._partitions:
                return _refuse(arrival, f"cut.{name}", f"expected {self._partitions} offsets, was {len(offsets)}")
        self.market.append(arrival.offset, close)
        return None

    def _observe(self, arrival: Arrival, observed: PricesObserved) -> list[Refusal]:
        known = {name: price for name, price in observed.prices.items() if self.market.instrument(name) is not None}
        self.board.observe(observed.as_of, known)
        return [
            _refuse(arrival, f"prices.{name}", f"expected a defined instrument, was {name}")
            for name in observed.prices
            if name not in known
        ]

    def _has_read(self, cut: Cut) -> bool:
        wanted = [
            (INSTRUMENTS.name, 0, cut.instruments),
            (ACTIONS.name, 0, cut.actions),
            *((HOLDINGS.name, partition, offset) for partition, offset in enumerate(cut.holdings)),
            *((DEFINITIONS.name, partition, offset) for partition, offset in enumerate(cut.definitions)),
        ]
        return all(self._read.get((topic, partition), 0) >= offset for topic, partition, offset in wanted)

    def _refuse_unknown(self, row: int) -> list[Refusal]:
        point = self.market.point(row)
        refusals = []
        for name in self.market.priced_at(row):
            if self.market.instrument(name, point.cut.instruments) is None:
                self.market.drop_price(row, name)
                reason = f"expected a defined instrument, was {name}"
                refusals.append(Refusal(CLOSES.name, 0, point.offset, f"prices.{name}", reason))
        return refusals


def _refuse(arrival: Arrival, field: str, reason: str) -> Refusal:
    return Refusal(arrival.topic, arrival.partition, arrival.offset, field, reason)
