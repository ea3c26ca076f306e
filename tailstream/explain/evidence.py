"""What an event was computed from: the log below its cut, and what the service had published before."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from contracts.event import Arrival, Cut, Measured
from contracts.market import PeriodClosed
from contracts.risk import RiskBacktested, RiskMeasured
from contracts.topics import ACTIONS, CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS, RISK, VALUATIONS, Topic
from tailstream.explain.books import read_books
from tailstream.explain.errors import NotRecomputable
from tailstream.explain.published import Published
from tailstream.explain.sources import Doubt, Source
from tailstream.fold.world import World
from tailstream.runtime.closing import ClosingEngine
from tailstream.runtime.decoding import decode
from tailstream.runtime.lookup import LogReader
from tailstream.runtime.records import Record, Shard

VOUCHED_CLOSES_MAX = 1_024
"""Closes before the event whose prices are compared with their published hashes, whatever it was computed from."""


class Evidence(NamedTuple):
    """All that an event was computed from."""

    arrivals: Sequence[Arrival]
    """Instruments, definitions, holdings and closes below the cut, those of other portfolios left out."""
    first_close: int
    ends: Mapping[Shard, int]
    own: Sequence[Arrival]
    """What the service had published of the portfolio and those below it, and restores from."""
    hashes: Mapping[str, str]
    """By period, the hash of the prices of its close, as it was published then."""
    sources: Sequence[Source]
    doubts: Sequence[Doubt]

    def fold_into(self, world: World) -> int:
        """Tell ``world`` all of it; return the row of the close."""
        world.closes_from(self.first_close)
        for arrival in self.arrivals:
            world.fold(arrival)
        for shard, end in self.ends.items():
            world.read_to(shard.topic, shard.partition, end)
        world.open()
        return world.market.end - 1


async def gather(log: LogReader, published: Published, engine: ClosingEngine, postgres: str | None) -> Evidence:
    """Read what ``engine`` needs to recompute the event.

    Raises
    ------
    NotRecomputable
        When the close that the event names is not on the log.
    """
    inputs = published.inputs
    first = max(0, inputs.close_offset - engine.world.needed_rows)
    closes = await _closes(log, published, first)
    stop = inputs.cut.instruments
    instruments, _ = decode(await log.read(Shard(INSTRUMENTS.name, 0), 0, stop), log.partitions)
    books = await read_books(log, published, _cut_before(closes), postgres)
    states = published.measurer.states
    own = [a for topic in states for a in await _own(log, published, topic, engine, books.members)]
    return Evidence(
        arrivals=[*instruments, *books.arrivals, *closes],
        first_close=first,
        ends=_ends(inputs.cut),
        own=own,
        hashes=await _hashes(log, published, own, closes),
        sources=[
            Source("closes", f"{CLOSES.name}:0, offsets {first} to {inputs.close_offset}", len(closes)),
            Source("instruments", f"{INSTRUMENTS.name}:0 below {stop}", len(instruments)),
            *books.sources,
            Source("former events", _named(states, published.record.partition), len(own)),
        ],
        doubts=books.doubts,
    )


class Later(NamedTuple):
    """What came after the event, of the market and of what was measured of its portfolio."""

    arrivals: Sequence[Arrival]
    """Closes and instruments from the first on."""
    ends: Mapping[Shard, int]
    measured: Sequence[Arrival]
    """By risk, from the event's close on, oldest first."""


async def gather_later(log: LogReader, published: Published, evidence: Evidence, periods: int) -> Later:
    """Read the ``periods`` closes after the event, and what risk published of its portfolio at them."""
    at = published.inputs.close_offset
    closes, _ = decode(await log.read(Shard(CLOSES.name, 0), evidence.first_close, at + periods + 2), log.partitions)
    newest = closes[-1].event
    assert isinstance(newest, PeriodClosed)
    stop = newest.cut.instruments
    instruments, _ = decode(await log.read(Shard(INSTRUMENTS.name, 0), 0, stop), log.partitions)
    shard = Shard(RISK.name, published.record.partition)
    start = await log.find(shard, lambda record: _reached(record, published.period, log.partitions))
    end = await log.find(shard, lambda record: _reached(record, newest.period, log.partitions))
    records = [r for r in await log.read(shard, start, end) if r.key == published.event.portfolio_id]
    measured, _ = decode(records, log.partitions)
    return Later([*instruments, *closes], _ends(newest.cut), measured)


async def _closes(log: LogReader, published: Published, first: int) -> list[Arrival]:
    """The closes up to the event's, which must be there."""
    at = published.inputs.close_offset
    closes, _ = decode(await log.read(Shard(CLOSES.name, 0), first, at + 1), log.partitions)
    newest = closes[-1] if closes and closes[-1].offset == at else None
    event = newest.event if newest is not None else None
    if not isinstance(event, PeriodClosed) or event.period != published.period:
        there = event.period if isinstance(event, PeriodClosed) else "no close that can be read"
        raise NotRecomputable(f"{CLOSES.name}:0:{at}: expected the close of {published.period}, was {there}")
    return closes


def _cut_before(closes: Sequence[Arrival]) -> Cut | None:
    before = closes[-2].event if len(closes) > 1 else None
    return before.cut if isinstance(before, PeriodClosed) else None


def _ends(cut: Cut) -> dict[Shard, int]:
    return {
        Shard(INSTRUMENTS.name, 0): cut.instruments,
        Shard(ACTIONS.name, 0): cut.actions,
        **{Shard(HOLDINGS.name, partition): end for partition, end in enumerate(cut.holdings)},
        **{Shard(DEFINITIONS.name, partition): end for partition, end in enumerate(cut.definitions)},
    }


async def _own(
    log: LogReader, published: Published, topic: Topic, engine: ClosingEngine, members: frozenset[str]
) -> list[Arrival]:
    """The members' outputs before the period, as many closes of them as the service itself would restore from."""
    shard = Shard(topic.name, published.record.partition)

    def before(records: Iterable[Record]) -> list[Arrival]:
        arrivals, _ = decode([record for record in records if record.key in members], log.partitions)
        return [arrival for arrival in arrivals if _period(arrival) < published.period]

    stop = await log.find(shard, lambda record: _reached(record, published.period, log.partitions))
    return before(await log.read_until(shard, stop, lambda records: engine.enough(before(records))))


async def _hashes(
    log: LogReader, published: Published, own: Iterable[Arrival], closes: Sequence[Arrival]
) -> dict[str, str]:
    """What the shard published of the prices of earlier closes, and of this one."""
    oldest = closes[-VOUCHED_CLOSES_MAX:][0].event
    assert isinstance(oldest, PeriodClosed)
    shard = Shard(VALUATIONS.name, published.record.partition)
    start = await log.find(shard, lambda record: _reached(record, oldest.period, log.partitions))
    stop = await log.find(shard, lambda record: _reached(record, published.period, log.partitions))
    valued, _ = decode(await log.read(shard, start, stop), log.partitions)
    events = [arrival.event for arrival in (*valued, *own)]
    return dict(filter(None, map(hash_of_prices, (*events, published.event))))


def hash_of_prices(event: object) -> tuple[str, str] | None:
    """The period of a closing event and the hash of its close's prices; None where it has none."""
    if not isinstance(event, Measured) or event.inputs is None or event.period is None:
        return None
    of_risk = isinstance(event, RiskMeasured | RiskBacktested)
    found = event.inputs.prices if of_risk else event.inputs.market
    return (event.period, found) if found is not None else None


def _period(arrival: Arrival) -> str:
    return arrival.event.period or "" if isinstance(arrival.event, Measured) else ""


def _reached(record: Record, period: str, partitions: int) -> bool:
    arrivals, _ = decode([record], partitions)
    return bool(arrivals) and _period(arrivals[0]) >= period


def _named(topics: Sequence[Topic], partition: int) -> str:
    return ", ".join(f"{topic.name}:{partition}" for topic in topics)
