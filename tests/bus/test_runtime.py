"""The runtime on a real Kafka: what goes out, what comes back, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import combinations, count

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts.event import EVENT_BYTES_MAX, Cut
from contracts.market import InstrumentDefined, PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.risk import RiskMeasured
from contracts.topics import (
    CLOSES,
    COMMANDS,
    DEFINITIONS,
    HOLDINGS,
    INSTRUMENTS,
    METRICS,
    PRICES,
    RISK,
    RISK_LIVE,
)
from tailstream.cli.replicas import Replica
from tailstream.runtime.admin import wait_for_topics
from tailstream.runtime.errors import ConfigurationError, EventTooLarge
from tailstream.runtime.inlets import Beginning, BroadcastReader, End, Tail
from tailstream.runtime.outlets import Outlet, ShardOutlet
from tailstream.runtime.records import Emission, Record, Shard, emission, partition_of
from tailstream.runtime.restore import end_offset, read_back, read_tail
from tailstream.runtime.service import Service
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Addresses, Stack
from tests.recorded import publish, until

PARTITIONS = 4
BOOK = "book-1"
HOME = partition_of(BOOK, PARTITIONS)
DEADLINE_SECONDS = 60.0


@pytest.fixture
def settings(addresses: Addresses, prefix: str) -> ServiceSettings:
    return ServiceSettings(kafka=addresses.kafka, topic_prefix=prefix)


def made(number: int, *, portfolio_id: str = BOOK, topic=METRICS) -> Emission:  # type: ignore[no-untyped-def]
    return Emission(topic, portfolio_id, portfolio_id, f"value {number}".encode())


async def outlet_of(settings: ServiceSettings) -> Outlet:
    outlet = Outlet(settings, "test", partitions=lambda: PARTITIONS)
    await outlet.start()
    return outlet


async def committed(settings: ServiceSettings) -> list[bytes | None]:
    """What stands on the shard. A commit is answered before its markers are written; a new owner waits for them."""
    owner = ShardOutlet(settings, "test", HOME, PARTITIONS)
    await owner.start()
    await owner.stop()
    return [record.value for record in await read_back(settings, Shard(METRICS.name, HOME))]


async def test_nothing_is_published_for_nothing(settings: ServiceSettings) -> None:
    outlet, shard = await outlet_of(settings), ShardOutlet(settings, "test", HOME, PARTITIONS)
    await shard.start()
    await outlet.publish([])
    await shard.transact([], "nothing")
    ends = [await end_offset(settings, Shard(METRICS.name, p)) for p in range(PARTITIONS)]
    await asyncio.gather(outlet.stop(), shard.stop())
    assert ends == [0] * PARTITIONS


async def test_records_stand_in_order_in_the_partition_of_their_portfolio(settings: ServiceSettings) -> None:
    outlet = await outlet_of(settings)
    await outlet.publish([made(n, portfolio_id=f"book-{n % 7}") for n in range(200)])
    await outlet.stop()
    for partition in range(PARTITIONS):
        records = await read_back(settings, Shard(METRICS.name, partition))
        assert {partition_of(record.key or "", PARTITIONS) for record in records} <= {partition}
        numbers = [int((record.value or b"").split()[1]) for record in records]
        assert numbers == sorted(numbers)


async def test_an_event_that_no_broker_would_take_is_refused_before_the_transaction(settings: ServiceSettings) -> None:
    shard = ShardOutlet(settings, "test", HOME, PARTITIONS)
    await shard.start()
    large = Emission(METRICS, BOOK, BOOK, b"x" * (EVENT_BYTES_MAX + 1))
    with pytest.raises(EventTooLarge, match=f"expected at most {EVENT_BYTES_MAX} bytes, was {EVENT_BYTES_MAX + 1}"):
        await shard.transact([made(1), large], "too much")
    await shard.transact([made(2)], "the next one")
    await shard.stop()
    assert await committed(settings) == [b"value 2"]


async def test_a_shards_new_owner_refuses_every_write_of_the_former_one(settings: ServiceSettings) -> None:
    former, owner = (ShardOutlet(settings, "test", HOME, PARTITIONS) for _ in range(2))
    await former.start()
    await former.transact([made(1)], "as the owner")
    await owner.start()
    with pytest.raises(Exception, match=r"(?i)fenced|epoch"):
        await former.transact([made(2)], "too late")
    await owner.transact([made(3)], "as the next owner")
    await asyncio.gather(former.stop(), owner.stop(), return_exceptions=True)
    assert await committed(settings) == [b"value 1", b"value 3"]


async def test_the_tail_of_a_shard_is_read_as_far_back_as_the_reader_needs(settings: ServiceSettings) -> None:
    outlet = await outlet_of(settings)
    await outlet.publish([made(n) for n in range(300)])
    await outlet.stop()
    shard = Shard(METRICS.name, HOME)

    def enough(records: Sequence[Record]) -> bool:
        return len(records) >= 50

    assert len(await read_tail(settings, shard, enough, first=10)) == 160
    assert len(await read_tail(settings, shard, lambda _: False, first=10)) == 300
    assert (await read_tail(settings, shard, enough, first=10))[-1].value == b"value 299"


async def test_a_broadcast_reader_catches_up_past_the_markers_of_transactions(settings: ServiceSettings) -> None:
    shard = ShardOutlet(settings, "test", HOME, PARTITIONS)
    await shard.start()
    for number in range(5):
        await shard.transact([made(number, topic=RISK)], "a close")
    await shard.stop()
    await committed(settings)
    seen: list[Record] = []
    service = Service("test", settings, topics=(RISK,))
    service.partitions = PARTITIONS
    reader = BroadcastReader(service, {RISK: Beginning(), METRICS: End(), PRICES: Tail(3)}, seen.extend)
    await reader.start()
    await asyncio.wait_for(reader.caught_up.wait(), DEADLINE_SECONDS)
    assert reader.waiting_for() is None
    assert reader.position(Shard(RISK.name, HOME)) == await end_offset(settings, Shard(RISK.name, HOME))
    await reader.stop()
    assert [record.value for record in seen] == [f"value {n}".encode() for n in range(5)]


async def test_portfolio_topics_of_different_widths_are_refused_at_the_start(settings: ServiceSettings) -> None:
    assert await wait_for_topics(settings.kafka, prefix=settings.topic_prefix) == PARTITIONS
    other = settings.topic_prefix + "other."
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(other + HOLDINGS.name, 2, 1), NewTopic(other + COMMANDS.name, 3, 1)])
    await admin.create_topics([NewTopic(other + CLOSES.name, 2, 1)])
    await admin.close()
    with pytest.raises(ConfigurationError, match="expected the same number of partitions"):
        await asyncio.wait_for(
            wait_for_topics(settings.kafka, prefix=other, topics=(HOLDINGS, COMMANDS)), DEADLINE_SECONDS
        )
    with pytest.raises(ConfigurationError, match=r"market.closes.v1.*expected one partition"):
        await asyncio.wait_for(wait_for_topics(settings.kafka, prefix=other, topics=(CLOSES,)), DEADLINE_SECONDS)


async def test_an_open_transaction_is_not_read(settings: ServiceSettings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, transactional_id=f"{settings.topic_prefix}open")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(settings.topic_prefix + METRICS.name, b"unfinished", partition=HOME)
    assert await read_back(settings, Shard(METRICS.name, HOME)) == []
    await producer.abort_transaction()
    await producer.stop()
    assert await read_back(settings, Shard(METRICS.name, HOME)) == []


# -- how often live figures go out -----------------------------------------------------------------------------------

REFRESH_HZ = 2.0
REFRESHES, SLICES, CLOSED = 6, 100, 30
CLOCK_SECONDS = 0.002
"""Timestamps on the log are whole milliseconds."""
READY_SECONDS_MAX = 90.0
FIRST_CLOSE = datetime(2008, 9, 1, 21, tzinfo=UTC)


@pytest.fixture
def risk(stack: Stack, prefix: str) -> Iterator[Replica]:
    """A replica of risk that refreshes seldom; started, and killed if it still runs in the end."""
    environment = {"TAILSTREAM_TOPIC_PREFIX": prefix, "TAILSTREAM_REFRESH_HZ": str(REFRESH_HZ)}
    replica = Replica.of(stack, "risk", environment=environment)
    replica.name = f"{prefix}{replica.name}"
    replica.start()
    yield replica
    replica.kill()


def one_book() -> list[Emission]:
    """A book of one instrument."""
    about = {"instrument_id": "A", "version": 1, "kind": "equity", "currency": "USD"}
    defined = PortfolioDefined(portfolio_id=BOOK, name=BOOK, base_currency="USD")
    held = HoldingsReplaced(portfolio_id=BOOK, version=1, effective_at=FIRST_CLOSE, positions={"A": 1.0}, cash={})
    return [
        emission(INSTRUMENTS, InstrumentDefined.model_validate(about | {"effective_at": FIRST_CLOSE}), key="A"),
        emission(DEFINITIONS, defined, key=BOOK, portfolio_id=BOOK),
        emission(HOLDINGS, held, key=BOOK, portfolio_id=BOOK),
    ]


def price(number: int) -> Emission:
    """A slice, after all closes and each before the next."""
    as_of = FIRST_CLOSE + timedelta(days=CLOSED, milliseconds=number)
    return emission(PRICES, PricesObserved(source="test", as_of=as_of, prices={"A": 100.0 + number}), key="test")


def close(day: int) -> Emission:
    """A close of the book."""
    cut = [1 if partition == HOME else 0 for partition in range(PARTITIONS)]
    as_of = FIRST_CLOSE + timedelta(days=day)
    closed = PeriodClosed(
        source="test",
        period=as_of.date().isoformat(),
        as_of=as_of,
        prices={"A": 100.0 + day},
        cut=Cut(holdings=cut, definitions=cut, instruments=1, actions=0),
    )
    return emission(CLOSES, closed, key="test")


@asynccontextmanager
async def prices_stream(settings: ServiceSettings) -> AsyncIterator[None]:
    """Slices as fast as they are acknowledged, and the closes as fast among them."""
    outlet = await outlet_of(settings)

    async def stream() -> None:
        for number in count():
            await outlet.publish([price(number), *([close(number)] if number < CLOSED else [])])

    streaming = asyncio.create_task(stream())
    yield
    streaming.cancel()
    with suppress(asyncio.CancelledError):
        await streaming
    await outlet.stop()


async def test_live_figures_are_conflated_to_the_refreshes_asked_for_and_closes_never_are(
    settings: ServiceSettings, risk: Replica
) -> None:
    """Refreshes begin half a second apart at least; each reaches the log at some time before the next one begins."""
    live, prices = Shard(RISK_LIVE.name, HOME), Shard(PRICES.name, 0)

    async def enough() -> bool:
        return await end_offset(settings, live) >= REFRESHES and await end_offset(settings, prices) >= SLICES

    async def closed() -> list[str | None]:
        records = await read_back(settings, Shard(RISK.name, HOME))
        return [RiskMeasured.from_json(record.value or b"").period for record in records]

    await publish(settings, one_book())
    await asyncio.to_thread(risk.await_ready, within_seconds=READY_SECONDS_MAX)
    async with prices_stream(settings):
        await until(enough, True)
    written = [record.timestamp_ms / 1_000 for record in await read_back(settings, live)]
    for (i, earlier), (j, later) in combinations(enumerate(written), 2):
        assert j - i - 1 <= (later - earlier + CLOCK_SECONDS) * REFRESH_HZ
    await until(closed, [(FIRST_CLOSE + timedelta(days=day)).date().isoformat() for day in range(CLOSED)])
