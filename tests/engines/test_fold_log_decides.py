"""The log alone decides what a close is: no arrival order, split of the shards, restart or price between changes a bit.

The logs are those of ``drawn``: books in a tree that move, close and come back, versions out of order, gaps in prices,
redefined and unknown instruments, both quotations of a currency pair, repeated periods, refused closes.
"""

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from contracts.topics import PRICES
from tailstream.fold.world import HistoryTooShort
from tests.engines import log
from tests.engines.drawn import logs
from tests.engines.log import Engine, Log, Replica

pytestmark = pytest.mark.filterwarnings("error")

STALE = 1
WINDOW = 3
ANALYTICS = partial(log.analytics, returns=WINDOW, stale=STALE)
RISK = partial(log.risk, window=WINDOW, minimum=2, stale=STALE)
MAKERS = pytest.mark.parametrize("make", [ANALYTICS, RISK], ids=["analytics", "risk"])
MARGIN = 3
"""Closes that a replica reads beyond what windows and carried prices reach back to, in these tests."""

drawn = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def interleaved(of: Log, seed: int) -> list[Any]:
    """The arrivals in another order, the same within each topic and partition."""
    queues = {queue: list(reversed(arrivals)) for queue, arrivals in log.in_queues(of.arrivals).items()}
    turns = [queue for queue, arrivals in queues.items() for _ in arrivals]
    random.Random(seed).shuffle(turns)
    return [queues[queue].pop() for queue in turns]


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
    after = log.restored(make, of, before, start=0, kept=kept).measure()
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
        try:
            after = log.restored(make, of, before, start=log.first_close(make, before), kept=kept).measure()
        except HistoryTooShort:  # more refused closes than the margin: it is said, and nothing is measured
            reject()
    assert log.by_shard(before.events + after.events) == log.by_shard(undisturbed.events)


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
