"""The log alone decides what a close is: no arrival order, split of the shards, restart or price between changes a bit.

Logs are drawn: books in a tree that move, close and come back, versions out of order, gaps in prices, redefined and
unknown instruments, both quotations of a currency pair, repeated periods, refused closes.
"""

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.event import Cut
from contracts.topics import CLOSES, PRICES
from tests.engines import log
from tests.engines.log import Engine, Log, Replica

pytestmark = pytest.mark.filterwarnings("error")

STALE = 1
WINDOW = 3
ANALYTICS = partial(log.analytics, returns=WINDOW, stale=STALE)
RISK = partial(log.risk, window=WINDOW, minimum=2, stale=STALE)
MAKERS = pytest.mark.parametrize("make", [ANALYTICS, RISK], ids=["analytics", "risk"])
MARGIN = 3
"""Closes that a replica reads beyond what windows and carried prices reach back to, in these tests."""

LEAVES, DESKS = ("a", "b", "c", "d"), ("x", "y", "z")
QUOTED = ("A", "B", "E", "fx:EURUSD", "fx:USDEUR", "unknown")
drawn = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

prices = st.dictionaries(st.sampled_from(QUOTED), st.sampled_from([0.5, 1.25, 3.0, 7.7, 1e3]), max_size=6)
full = st.fixed_dictionaries({name: st.sampled_from([0.9, 1.25, 3.0]) for name in QUOTED if name != "fx:USDEUR"})
quantities = st.dictionaries(st.sampled_from(QUOTED), st.sampled_from([-3.0, 0.0, 0.1, 10.0]), max_size=4)
money = st.dictionaries(st.sampled_from(["USD", "EUR"]), st.sampled_from([-50.0, 0.1, 100.0]), max_size=2)
parents = st.sampled_from([None, *LEAVES[:2], *DESKS])
changes = st.one_of(
    st.tuples(st.just("hold"), st.sampled_from(LEAVES), quantities, money, st.sampled_from([-1, 0, 1, 1, 1])),
    st.tuples(st.just("define"), st.sampled_from(LEAVES + DESKS), st.sampled_from(["USD", "EUR"]), parents),
    st.tuples(st.just("tombstone"), st.sampled_from(LEAVES + DESKS)),
    st.tuples(st.just("redefine"), st.sampled_from(QUOTED), st.sampled_from([1.0, 2.0])),
    st.tuples(st.just("slice"), prices),
)
closes = st.tuples(st.sampled_from(["next"] * 8 + ["again", "garbage", "wrong cut"]), st.one_of(full, full, prices))
days = st.tuples(st.lists(changes, max_size=3), closes)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log of up to 14 days on top of a desk with two books that hold something."""
    drawn = Log()
    drawn.instruments("A", "B", "fx:EURUSD", "fx:USDEUR")
    drawn.instruments("E", currency="EUR")
    for name, parent in (("x", None), ("a", "x"), ("b", "x")):
        drawn.portfolio(name, parent=parent)
    drawn.hold("a", {"A": 10.0, "E": 3.0}, USD=100.0)
    drawn.hold("b", {"B": -2.0}, USD=100.0, EUR=10.0)
    for changed, (kind, quoted) in draw(st.lists(days, min_size=1, max_size=14)):
        for change in changed:
            write(drawn, *change)
        close(drawn, kind, quoted)
    return drawn


def write(to: Log, kind: str, *change: Any) -> None:
    match kind:
        case "hold":
            name, positions, cash, step = change
            version = max(1, to._versions[name] + step)
            to.hold(name, positions, version=version, flow=5.0, **cash)
        case "define":
            to.portfolio(*change)
        case "tombstone":
            to.tombstone(*change)
        case "redefine":
            name, multiplier = change
            to.instruments(name, currency="EUR" if name == "E" else "USD", multiplier=multiplier)
        case "slice":
            to.slice(*change)


def close(to: Log, kind: str, quoted: dict[str, float]) -> None:
    match kind:
        case "next":
            to.close_at(quoted)
        case "again":
            to.close_at(quoted, day=max(0, to.days - 1))
        case "garbage":
            to.skip(CLOSES)
        case "wrong cut":
            to.close_at(quoted, day=to.days, cut=Cut(holdings=(0,), definitions=(0,), instruments=0, actions=0))


def interleaved(of: Log, seed: int) -> list[Any]:
    """The arrivals in another order, the same within each topic and partition."""
    queues = {queue: list(reversed(arrivals)) for queue, arrivals in log.in_queues(of.arrivals).items()}
    turns = [queue for queue, arrivals in queues.items() for _ in arrivals]
    random.Random(seed).shuffle(turns)
    return [queues[queue].pop() for queue in turns]


def restored(make: Callable[..., Engine], of: Log, before: Replica, start: int, kept: int = 1_024) -> Replica:
    """A replica that reads closes from offset ``start``, all else whole, and goes on after what was published."""
    engine = make(kept=kept)
    engine.world.closes_from(start)
    arrivals = [a for a in of.arrivals if a.topic != CLOSES.name or a.offset >= start]
    replica = Replica(engine, before.shards)
    return replica.read(arrivals).adopt(before.events).measure()


@MAKERS
@drawn
@given(of=logs(), seed=st.integers(0, 2**32))
def test_any_order_of_the_topics_gives_the_same_bytes(make: Callable[..., Engine], of: Log, seed: int) -> None:
    at_once = log.measured(make(), of)
    shuffled = Replica(make()).adopt()
    for arrival in interleaved(of, seed):
        shuffled.read([arrival]).measure()
    assert log.by_shard(shuffled.events) == log.by_shard(at_once.events)


@MAKERS
@drawn
@given(of=logs())
def test_slices_and_live_figures_in_between_change_no_close(make: Callable[..., Engine], of: Log) -> None:
    lively, calm = Replica(make()).adopt(), Replica(make()).adopt()
    for arrival in of.arrivals:
        lively.read([arrival]).refresh().measure().refresh()
        if arrival.topic != PRICES.name:
            calm.read([arrival])
    assert log.by_shard(lively.events) == log.by_shard(calm.measure().events)


@MAKERS
@drawn
@given(of=logs(), split=st.lists(st.integers(0, 2), min_size=log.PARTITIONS, max_size=log.PARTITIONS))
def test_any_split_of_the_shards_gives_the_same_bytes(make: Callable[..., Engine], of: Log, split: list[int]) -> None:
    alone = log.measured(make(), of)
    replicas = [Replica(make(), [p for p, owner in enumerate(split) if owner == number]) for number in range(3)]
    events = [e for replica in replicas for e in replica.adopt().read(of.arrivals).measure().events]
    assert log.by_shard(events) == log.by_shard(alone.events)


@MAKERS
@drawn
@given(of=logs(), at=st.integers(0, 14), kept=st.sampled_from([1, 2, 1_024]))
def test_a_restart_between_any_two_closes_goes_on_with_the_same_bytes(
    make: Callable[..., Engine], of: Log, at: int, kept: int
) -> None:
    undisturbed = log.measured(make(), of)
    before = Replica(make()).adopt().read(of.arrivals).measure(closes=at)
    after = restored(make, of, before, start=0, kept=kept)
    assert log.by_shard(before.events + after.events) == log.by_shard(undisturbed.events)


@MAKERS
@drawn
@given(of=logs(), at=st.lists(st.integers(1, 14), min_size=3, max_size=3), kept=st.sampled_from([1, 2]))
def test_shards_may_be_far_apart_while_closes_are_forgotten(
    make: Callable[..., Engine], of: Log, at: list[int], kept: int
) -> None:
    undisturbed = log.measured(make(), of)
    apart = Replica(make(kept=kept)).adopt().read(of.arrivals)
    for shard, closes in enumerate(at):
        apart.shards = (shard,)
        apart.measure(closes=closes)
    apart.shards = tuple(range(log.PARTITIONS))
    assert log.by_shard(apart.measure(closes=1).measure().events) == log.by_shard(undisturbed.events)


@MAKERS
@drawn
@given(of=logs(), at=st.integers(1, 14), kept=st.sampled_from([1, 1_024]))
def test_a_restart_reads_no_more_closes_than_the_windows_reach_back(
    make: Callable[..., Engine], of: Log, at: int, kept: int
) -> None:
    undisturbed = log.measured(make(), of)
    before = Replica(make()).adopt().read(of.arrivals).measure(closes=at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tailstream.fold.world.MARGIN_PERIODS", MARGIN)
        after = restored(make, of, before, start=first_close(make, before), kept=kept)
    assert log.by_shard(before.events + after.events) == log.by_shard(undisturbed.events)


def first_close(make: Callable[..., Engine], before: Replica) -> int:
    """Where a replica begins to read closes: as far before the last published ones as it says it needs."""
    published = log.last_closes(before.events)
    return max(0, min(published.values()) - make().world.needed_rows) if len(published) == log.PARTITIONS else 0


@MAKERS
def test_periods_are_measured_in_their_order_once(make: Callable[..., Engine]) -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    for price in (1.0, 2.0, 3.0):
        of.close(A=price)
        of.close(A=9.0, day=0)
    periods = [e.period or "" for e in log.measured(make(), of).events]
    assert sorted(set(periods)) == [log.period(day) for day in range(3)]
    assert all(a <= b for a, b in pairwise(periods))
