"""The replay source on real Kafka: what it puts on the log, and how it goes on after it died."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from contracts.market import InstrumentDefined, PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced
from contracts.system import ServiceStatus
from contracts.topics import CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS, PRICES, STATUS, Topic
from tailstream.runtime.records import Record, Shard, emission, partition_of
from tailstream.runtime.restore import end_offset, read_back
from tailstream.runtime.settings import ServiceSettings
from tailstream.sources.days import TradingDay, days
from tailstream.sources.history import load_history
from tailstream.sources.passes import Plan
from tailstream.stack import Addresses
from tests.recorded import publish

DEADLINE_SECONDS = 120.0
FIRST, LAST = date(2007, 1, 1), date(2007, 7, 31)  # two quarters begin, a trade is late, a book is closed
WARM_UP, SLICES = 5, 2
PLAN = {
    "REPLAY_FROM": FIRST.isoformat(),
    "REPLAY_TO": LAST.isoformat(),
    "REPLAY_ONCE": "true",
    "REPLAY_SPEED": "max",
    "REPLAY_WARM_UP_CLOSES": str(WARM_UP),
    "REPLAY_SLICES": str(SLICES),
}
STATUSES = 50
"""So many later, a source that did not wait would have gone on."""
SHARDS = [Shard(topic.name, 0) for topic in (CLOSES, PRICES, HOLDINGS)]


class System:
    """One system on the broker: its log, and the source that writes it."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.settings = ServiceSettings(kafka=kafka, topic_prefix=prefix)
        self._env = os.environ | {"TAILSTREAM_KAFKA": kafka, "TAILSTREAM_TOPIC_PREFIX": prefix}

    @asynccontextmanager
    async def source(self, **changed: str) -> AsyncIterator[Process]:
        env = self._env | {f"TAILSTREAM_{name}": value for name, value in (PLAN | changed).items()}
        command = (sys.executable, "-m", "tailstream.sources.replay")
        process = await asyncio.create_subprocess_exec(*command, env=env, stderr=PIPE)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def tell(self, **closes_behind: int) -> None:
        """Say, as if one were the services, how many closes they are behind."""
        now = datetime.now(UTC)
        told = [
            ServiceStatus(service=name, replica="1", state="ready", as_of=now, closes_behind=behind)
            for name, behind in closes_behind.items()
        ]
        await publish(self.settings, [emission(STATUS, status, key=status.service) for status in told])

    async def replay(self, **changed: str) -> tuple[int | None, str]:
        """Run the source to its end: exit code and what it said."""
        async with self.source(**changed) as process:
            _, said = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
            return process.returncode, said.decode()

    async def log(self, topic: Topic, partitions: Iterable[int] = (0,)) -> list[Record]:
        return [record for p in partitions for record in await read_back(self.settings, Shard(topic.name, p))]

    async def closes(self) -> list[PeriodClosed]:
        return [PeriodClosed.from_json(record.value or b"") for record in await self.log(CLOSES)]

    async def until_closed(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await end_offset(self.settings, Shard(CLOSES.name, 0)) < count:
                pass  # each look is a round trip


@pytest.fixture
def system(addresses: Addresses, prefix: str) -> System:
    return System(addresses.kafka, prefix)


def expected_days(last: date = LAST) -> list[TradingDay]:
    return list(days(load_history(), Plan(FIRST, last, WARM_UP, once=True)))


async def assert_log_is_whole(system: System) -> None:
    """Every day is closed once, in order, and below each cut lies exactly the book of its close."""
    expected = expected_days()
    closes = await system.closes()
    assert [close.period for close in closes] == [day.period for day in expected]
    assert [close.prices for close in closes] == [day.prices for day in expected]
    partitions = len(closes[0].cut.holdings)
    holdings = await system.log(HOLDINGS, range(partitions))
    definitions = await system.log(DEFINITIONS, range(partitions))
    books: dict[str, HoldingsReplaced] = {}
    alive: set[str] = set()
    for day, close in zip(expected, closes, strict=True):
        for changes in (day.at_open, day.at_close):
            books |= {held.portfolio_id: held for held in changes.holdings}
            alive = (alive | {node.portfolio_id for node in changes.definitions}) - set(changes.closed)
        assert newest(holdings, close.cut.holdings) == books, day.period
        assert defined(definitions, close.cut.definitions) == alive, day.period


def newest(records: list[Record], cut: tuple[int, ...]) -> dict[str, HoldingsReplaced]:
    found: dict[str, HoldingsReplaced] = {}
    for record in (r for r in records if r.offset < cut[r.partition]):
        held = HoldingsReplaced.from_json(record.value or b"")
        if held.portfolio_id not in found or held.version > found[held.portfolio_id].version:
            found[held.portfolio_id] = held
    return found


def defined(records: list[Record], cut: tuple[int, ...]) -> set[str]:
    last = {str(r.key): r.value is not None for r in records if r.offset < cut[r.partition]}
    return {portfolio_id for portfolio_id, there in last.items() if there}


async def test_a_replay_puts_every_day_on_the_log_with_its_books_below_its_cut(system: System) -> None:
    code, said = await system.replay()
    assert code == 0, said
    await assert_log_is_whole(system)


async def test_slices_are_in_order_instruments_come_first_and_books_are_in_their_partitions(system: System) -> None:
    code, said = await system.replay(REPLAY_TO="2007-01-31")
    assert code == 0, said
    slices = [PricesObserved.from_json(record.value or b"") for record in await system.log(PRICES)]
    replayed = [day for day in expected_days(date(2007, 1, 31)) if not day.warm_up]
    assert slices == [piece for day in replayed for piece in day.slices(SLICES, "replay")]
    assert all(one.as_of < other.as_of for one, other in pairwise(slices))
    defined = [InstrumentDefined.from_json(record.value or b"") for record in await system.log(INSTRUMENTS)]
    assert len(defined) == (await system.closes())[0].cut.instruments == 25
    for record in [*await system.log(HOLDINGS, range(4)), *await system.log(DEFINITIONS, range(4))]:
        assert record.partition == partition_of(str(record.key), 4)


async def test_a_source_killed_at_any_moment_goes_on_without_a_gap_or_a_repeat(system: System) -> None:
    for closed in (1, 60):
        async with system.source(REPLAY_SPEED="150") as process:
            await system.until_closed(closed)
            process.send_signal(signal.SIGKILL)
            assert await asyncio.wait_for(process.wait(), DEADLINE_SECONDS) == -signal.SIGKILL
    code, said = await system.replay()
    assert code == 0, said
    await assert_log_is_whole(system)


async def test_a_source_killed_between_a_book_and_its_close_leaves_every_close_its_own_book(system: System) -> None:
    for hit in ("1", "3"):
        code, said = await system.replay(FAILPOINT=f"source.told:{hit}")
        assert code == -signal.SIGKILL, said
    code, said = await system.replay()
    assert code == 0, said
    await assert_log_is_whole(system)


async def test_sigterm_ends_the_source_cleanly_and_the_next_one_goes_on(system: System) -> None:
    async with system.source(REPLAY_SPEED="20") as process:
        await system.until_closed(WARM_UP + 3)
        process.terminate()
        _, said = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    assert process.returncode == 0, said.decode()
    assert len(await system.closes()) < len(expected_days())
    code, text = await system.replay()
    assert code == 0, text
    await assert_log_is_whole(system)


async def test_a_source_that_waits_closes_a_day_once_those_who_measure_have_measured_the_one_before(
    system: System,
) -> None:
    async with system.source(REPLAY_AHEAD_CLOSES_MAX="1"):
        for closed in (WARM_UP + 1, WARM_UP + 3):
            await tell_until_closed(system, closed)
            for _ in range(STATUSES):
                await system.tell(analytics=0, risk=1)
            assert len(await system.closes()) <= closed + 1  # one more if the last word came just after a close


async def tell_until_closed(system: System, count: int) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await end_offset(system.settings, Shard(CLOSES.name, 0)) < count:
            await system.tell(analytics=0, risk=0)


async def test_a_prepared_log_has_the_books_but_not_yet_their_first_close(system: System) -> None:
    code, said = await system.replay(REPLAY_PREPARE="true")
    assert code == 0, said
    assert len(await system.closes()) == WARM_UP
    assert len(await system.log(HOLDINGS, range(4))) == 60
    assert (await system.replay())[0] == 0
    await assert_log_is_whole(system)


async def test_a_finished_replay_adds_nothing_when_started_again_and_refuses_another_plan(system: System) -> None:
    await system.replay(REPLAY_TO="2007-01-31")
    before = [await end_offset(system.settings, shard) for shard in SHARDS]
    code, said = await system.replay(REPLAY_TO="2007-01-31")
    assert code == 0, said
    code, said = await system.replay(REPLAY_FROM="2010-01-01", REPLAY_TO="2010-12-31")
    assert code == 2, said
    assert "expected period 2009-12-24, was 2006-12-22" in said
    assert before == [await end_offset(system.settings, shard) for shard in SHARDS]
