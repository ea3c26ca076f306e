"""Which closes there are, when they open, and which of them are due on which shard."""

from itertools import pairwise

import pytest

from contracts.event import Cut
from contracts.topics import ACTIONS, CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS
from tailstream.fold import world as worlds
from tailstream.fold.world import HistoryTooShort, World
from tests.engines import log
from tests.engines.log import Log, Replica

SHORT = Cut(holdings=(0,), definitions=(0,), instruments=0, actions=0)


def replica(of: Log, **settings: int) -> Replica:
    """A replica of analytics that owns no shard yet and has read the log."""
    return Replica(log.analytics(**settings)).read(of.arrivals)


def a_year(closes: int = 300) -> Log:
    """A book and so many closes."""
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    for day in range(closes):
        of.close(A=100.0 + day)
    return of


def periods(world: World) -> list[str]:
    return [world.market.point(row).period for row in range(world.market.first, world.opened)]


def test_there_is_no_moment_before_the_first_close() -> None:
    world = replica(Log()).engine.world
    assert world.now() is None
    assert (world.behind(), world.owned, world.market.last_period) == (0, (), "")


def test_a_period_seen_before_is_ignored_and_the_first_wins() -> None:
    of = Log()
    of.instruments("A")
    of.close(A=1.0)
    of.close(A=2.0)
    for day in (0, 1):
        of.close(A=9.0, day=day)
    read = replica(of)
    assert read.refusals == []
    assert [read.engine.world.market.prices(row).of("A")[0] for row in range(2)] == [1.0, 2.0]
    assert read.engine.world.market.end == 2


def test_a_period_out_of_order_is_refused_with_what_was_expected() -> None:
    of = Log()
    of.close(day=3)
    late = of.close(day=2)
    read = replica(of)
    assert periods(read.engine.world) == [log.period(3)]
    assert read.refusals == [
        worlds.Refusal(
            CLOSES.name, 0, late.offset, "period", f"expected one after {log.period(3)}, was {log.period(2)}"
        )
    ]


@pytest.mark.parametrize("field", ["holdings", "definitions"])
def test_a_cut_of_another_number_of_partitions_is_refused_and_its_period_may_come_again(field: str) -> None:
    of = Log()
    of.close(day=0, cut=of.cut().model_copy(update={field: (0, 0)}))
    of.close(day=0)
    read = replica(of)
    assert [(r.field, r.reason) for r in read.refusals] == [(f"cut.{field}", "expected 3 offsets, was 2")]
    assert periods(read.engine.world) == [log.period(0)]


def test_a_price_of_an_unknown_instrument_is_refused_and_the_rest_of_the_close_counts() -> None:
    of = Log()
    of.instruments("A")
    closed = of.close(A=1.0, B=2.0)
    of.instruments("B")
    read = replica(of)
    assert [(r.offset, r.field, r.reason) for r in read.refusals] == [
        (closed.offset, "prices.B", "expected a defined instrument, was B")
    ]
    prices = read.engine.world.market.prices(0)
    assert (prices.of("A")[0], prices.of("B")[0]) == (1.0, None)


def test_a_refused_price_does_not_hide_the_carried_one_and_the_next_is_taken() -> None:
    of = Log()
    of.instruments("A")
    of.close(A=1.0)
    of.tombstone("A", INSTRUMENTS)
    of.close(A=2.0)
    of.instruments("A")
    of.close()
    of.close(A=4.0)
    market = replica(of).engine.world.market
    assert [market.prices(row).of("A") for row in range(1, 4)] == [(1.0, True), (1.0, True), (4.0, False)]


def test_a_live_price_of_an_unknown_instrument_is_refused_and_the_rest_of_the_slice_counts() -> None:
    of = Log()
    of.instruments("A")
    of.close(A=1.0)
    of.slice({"A": 3.0, "B": 2.0})
    read = replica(of)
    assert [r.field for r in read.refusals] == ["prices.B"]
    now = read.engine.world.now()
    assert now is not None
    assert now.prices.of("A")[0] == 3.0


@pytest.mark.parametrize(
    ("topic", "partition"), [(HOLDINGS, 0), (HOLDINGS, 2), (DEFINITIONS, 1), (INSTRUMENTS, 0), (ACTIONS, 0)]
)
def test_a_close_waits_until_everything_below_its_cut_was_read(topic: log.Topic, partition: int) -> None:
    of = Log()
    cut = of.cut()
    if topic in (HOLDINGS, DEFINITIONS):
        field = topic.name.split(".")[1]
        wanted: object = tuple(2 if p == partition else 0 for p in range(log.PARTITIONS))
    else:
        field, wanted = topic.name.split(".")[1], 2
    of.close(cut=cut.model_copy(update={field: wanted}))
    waiting = replica(of).adopt()
    world = waiting.engine.world
    assert (world.opened, world.behind()) == (0, 1)
    world.read_to(topic.name, partition, 1)
    world.open()
    assert [len(world.due(shard)) for shard in range(3)] == [0, 0, 0]
    world.read_to(topic.name, partition, 2)
    world.open()
    assert [len(world.due(shard)) for shard in range(3)] == [1, 1, 1]


def test_no_close_opens_before_the_one_before_it() -> None:
    of = Log()
    beyond = of.cut().model_copy(update={"instruments": 5})
    of.close(cut=beyond)
    of.close()
    world = replica(of).engine.world
    assert (world.opened, world.market.end) == (0, 2)
    world.read_to(INSTRUMENTS.name, 0, 5)
    world.open()
    assert world.opened == 2


def test_a_shard_without_outputs_begins_with_the_first_close_that_was_accepted() -> None:
    of = Log()
    of.skip(CLOSES)
    of.close(day=0, cut=SHORT)
    of.close()
    of.close()
    world = replica(of).adopt().engine.world
    assert [world.due(shard) for shard in world.owned] == [range(2)] * 3
    assert world.row_of(0) is None


def test_a_shard_goes_on_after_its_last_period_and_is_not_due_twice() -> None:
    world = replica(a_year(5)).engine.world
    world.adopt(0, log.period(2))
    assert (world.due(0), world.row_of(0), world.behind()) == (range(3, 5), 2, 2)
    world.done(0, 3)
    assert world.due(0) == range(4, 5)
    world.release(0)
    assert (world.owned, world.behind()) == ((), 0)


def test_a_shard_that_has_published_all_is_due_nothing() -> None:
    world = replica(a_year(5)).engine.world
    world.adopt(0, log.period(4))
    assert list(world.due(0)) == []
    assert world.row_of(0) == 4


def begun_at(of: Log, offset: int) -> World:
    """A world that reads its closes from ``offset`` on."""
    world = log.world()
    world.closes_from(offset)
    for arrival in of.arrivals:
        if arrival.topic != CLOSES.name or arrival.offset >= offset:
            world.fold(arrival)
            world.read_to(arrival.topic, arrival.partition, arrival.offset + 1)
    world.open()
    return world


def test_a_shard_whose_last_close_lies_too_near_the_first_one_held_is_refused() -> None:
    world = begun_at(a_year(), offset=100)
    with pytest.raises(HistoryTooShort, match=f"shard 1 goes on after {log.period(100)}"):
        world.adopt(1, log.period(100))
    world.adopt(1, log.period(103))
    assert world.due(1) == range(4, 200)


def test_refused_records_before_its_last_close_do_not_keep_a_shard_from_starting() -> None:
    of = a_year(200)
    for _ in range(30):
        of.skip(CLOSES)
        of.close(day=3)
    last = of.close(A=1.0)
    of.close(A=2.0)
    world = begun_at(of, last.offset - log.world().needed_rows)
    world.adopt(1, log.period(200))
    assert [world.market.point(row).period for row in world.due(1)] == [log.period(201)]


def test_a_replica_that_forgot_closes_does_not_begin_a_shard_in_their_middle() -> None:
    of = a_year()
    read = Replica(log.analytics(kept=1), shards=[0]).adopt().read(of.arrivals).measure()
    world = read.engine.world
    assert world.market.first > 200
    with pytest.raises(HistoryTooShort, match="shard 1 goes on after nothing"):
        world.adopt(log.partition_of("a"), None)
    vacant = (log.partition_of("a") + 1) % log.PARTITIONS
    world.adopt(vacant, None)
    assert world.due(vacant)[-1] == 299


def test_trimming_keeps_what_the_furthest_shard_needs() -> None:
    read = Replica(log.analytics(kept=1), shards=[0, 1]).adopt().read(a_year().arrivals)
    world = read.engine.world
    world.done(0, 299)
    world.done(1, 149)
    world.trim()
    assert world.market.first == 150 - world.needed_rows - 1
    assert world.market.point(149).period == log.period(149)


def test_trimming_waits_until_half_as_much_as_is_kept_can_go() -> None:
    read = Replica(log.analytics(kept=100), shards=[0]).adopt().read(a_year().arrivals)
    world = read.engine.world
    world.done(0, world.needed_rows + 100 + 48)
    world.trim()
    assert world.market.first == 0
    world.done(0, world.needed_rows + 100 + 49)
    world.trim()
    assert world.market.first == 50


def test_the_number_of_changes_tells_worlds_apart() -> None:
    of = a_year(1)
    of.slice({"A": 2.0})
    world = log.world()
    counts = []
    for arrival in of.arrivals:
        world.fold(arrival)
        counts.append((world.changes, world.market_changes))
    assert counts == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3)]
    assert all(a < b for a, b in pairwise(counts))
