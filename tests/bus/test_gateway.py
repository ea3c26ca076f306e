"""The gateway on a real Kafka: a process of its own, spoken to over its WebSocket, byte by byte where it matters."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from contracts import topics
from contracts.event import Event, event_id
from contracts.examples import EXAMPLES
from contracts.gateway import Connect, Pong, read_server_message
from contracts.topics import Topic
from services.gateway.auth import make_token
from tailstream.cli.replicas import Replica
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission, Shard, emission
from tailstream.runtime.restore import read_back
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Stack
from tests.gateway_desk import SECRET, alerts, analytics, limits, risk
from tests.gateway_log import PARTITIONS, computed

SECONDS_MAX = 30.0
T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T]]) -> T:
    """The first answer that is not empty."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            if answer := await ask():
                return answer
            await asyncio.sleep(0.02)


class Bus:
    """Publishes on one portfolio as the other services do."""

    def __init__(self, outlet: Outlet, book: str) -> None:
        self.book = book
        self._outlet = outlet

    async def publish(self, topic: Topic, *events: Event | bytes, group: str = "") -> None:
        """Publish events, or bytes that are none, under the book's key."""
        key = f"{self.book}/{group}" if group else self.book
        await self._outlet.publish([self._emission(topic, event, key) for event in events])

    async def computed(self, *numbers: int) -> None:
        """Publish live figures whose ``nav`` is the number."""
        await self.publish(topics.ANALYTICS_LIVE, *(computed(self.book, n) for n in numbers), group="basic")

    async def alerted(self, *numbers: int) -> list[str]:
        """Publish alerts; their event ids."""
        identified = [{"event_id": event_id(self.book, n), "alert_id": event_id(self.book, -n)} for n in numbers]
        await self.publish(topics.ALERTS, *(self.example(topics.ALERTS, **changes) for changes in identified))
        return [str(changes["event_id"]) for changes in identified]

    def example(self, topic: Topic, **changes: Any) -> Event:
        """The topic's example, about the book."""
        return EXAMPLES[topic.name].model_copy(update={"portfolio_id": self.book, **changes})

    def _emission(self, topic: Topic, event: Event | bytes, key: str) -> Emission:
        if isinstance(event, bytes):
            return Emission(topic, key, self.book, event)
        return emission(topic, event, key=key, portfolio_id=self.book)


class System(NamedTuple):
    """A gateway that is ready, and the prefix of its topics."""

    gateway: Replica
    settings: ServiceSettings


def started(stack: Stack, prefix: str, **environment: str) -> Replica:
    told = {"TAILSTREAM_TOPIC_PREFIX": prefix, "TAILSTREAM_JWT_SECRET": SECRET, **environment}
    replica = Replica.of(stack, "gateway", environment=told)
    replica.start()
    replica.await_ready(within_seconds=90)
    return replica


@pytest.fixture(scope="module")
def system(stack: Stack) -> Iterator[System]:
    """One gateway for all tests that do not stop it; each has a portfolio of its own."""
    prefix = f"g{uuid.uuid4().hex[:8]}."
    stack.create_topics(prefix=prefix, partitions=PARTITIONS)
    gateway = started(stack, prefix)
    yield System(gateway, ServiceSettings(kafka=stack.addresses.kafka, topic_prefix=prefix, replica="test"))
    gateway.kill()
    stack.delete_topics(prefix=prefix)


@pytest.fixture
def gateway(system: System) -> Replica:
    return system.gateway


@asynccontextmanager
async def bus_of(settings: ServiceSettings) -> AsyncIterator[Bus]:
    outlet = Outlet(settings, "test", partitions=lambda: PARTITIONS)
    await outlet.start()
    bus = Bus(outlet, f"book-{uuid.uuid4().hex[:8]}")
    await bus.publish(topics.DEFINITIONS, bus.example(topics.DEFINITIONS))
    yield bus
    await outlet.stop()


@pytest.fixture
async def bus(system: System) -> AsyncIterator[Bus]:
    async with bus_of(system.settings) as bus:
        await defined(system.gateway, bus.book)
        yield bus


async def defined(gateway: Replica, book: str) -> None:
    """Return once the gateway knows the portfolio."""
    bearer = {"Authorization": f"Bearer {token([book])}"}
    async with httpx.AsyncClient(base_url=gateway.url, headers=bearer) as http:

        async def total() -> int:
            found: int = (await http.get("/api/v1/portfolios")).json()["total"]
            return found

        await eventually(total)


def token(portfolios: Sequence[str] | str = "*", ttl_seconds: int = 600, secret: str = SECRET) -> str:
    return make_token(secret, "ann", ["viewer"], "*" if portfolios == "*" else portfolios, ttl_seconds, time.time())


def socket(gateway: Replica, **options: Any) -> connect:
    return connect(f"{gateway.url.replace('http', 'ws')}/ws/v1", compression=None, **options)


async def say(client: ClientConnection, message: Any) -> None:
    await client.send(message if isinstance(message, str) else message.model_dump_json(exclude_none=True))


async def heard(client: ClientConnection) -> Any:
    async with asyncio.timeout(SECONDS_MAX):
        return read_server_message(await client.recv())


async def pushed(client: ClientConnection, count: int) -> list[Any]:
    """The next updates, taken out of their batches."""
    found: list[Any] = []
    while len(found) < count:
        message = await heard(client)
        found += message.items if message.type == "batch" else [message]
    return found


async def joined(client: ClientConnection, *asked: Any, with_token: str | None = None) -> list[Any]:
    """Connect, subscribe, and return the confirmations."""
    await say(client, Connect(token=with_token or token()))
    assert (await heard(client)).type == "connected"
    for message in asked:
        await say(client, message)
    return [await heard(client) for _ in asked]


async def closed_with(client: ClientConnection) -> int:
    async with asyncio.timeout(SECONDS_MAX):
        await client.wait_closed()
    assert client.close_code is not None
    return client.close_code


async def test_a_late_client_gets_the_snapshot_and_then_every_delta_in_order(bus: Bus, gateway: Replica) -> None:
    asked = analytics(bus.book, mode="distinct")
    async with socket(gateway) as early, socket(gateway) as late:
        await joined(early, asked)
        await bus.computed(1, 2, 3)
        assert [update.data.figures["nav"].value for update in await pushed(early, 3)] == [1.0, 2.0, 3.0]
        (confirmed,) = await joined(late, asked)
        assert [entry.data.figures["nav"].value for entry in confirmed.snapshot] == [3.0]
        for number in range(4, 24):
            await bus.computed(number)
        updates = await pushed(late, 20)
    assert [update.seq for update in updates] == list(range(1, 21))
    assert [update.data.figures["nav"].value for update in updates] == [float(n) for n in range(4, 24)]


async def test_every_channel_delivers_what_its_services_published(bus: Bus, gateway: Replica) -> None:
    published = {
        "analytics_update": (topics.VALUATIONS, ""),
        "risk_update": (topics.RISK, ""),
        "limit_update": (topics.STATES, "equity-01:var_99"),
        "risk_alert": (topics.ALERTS, ""),
    }
    async with socket(gateway) as client:
        await joined(client, analytics(bus.book), risk(bus.book), limits(bus.book), alerts(bus.book))
        for topic, group in published.values():
            await bus.publish(topic, bus.example(topic), group=group)
        updates = {update.type: update for update in await pushed(client, 4)}
    for kind, (topic, _) in published.items():
        event = updates[kind].alert if kind == "risk_alert" else updates[kind].data
        assert event == bus.example(topic)


async def test_one_who_sends_nonsense_is_told_why_and_stays_connected(bus: Bus, gateway: Replica) -> None:
    async with socket(gateway) as client:
        await joined(client)
        for nonsense in ("garbage", '{"type": "sudo"}', '{"type": "subscribe_risk", "id": "x"}', "[" * 60_000):
            await say(client, nonsense)
            error = await heard(client)
            assert (error.type, error.code) == ("error", 1004)
        await client.send(b"\x00\x01")
        assert (await heard(client)).message == "message: expected text, was binary"
        await say(client, analytics(bus.book))
        assert (await heard(client)).type == "subscription_confirmed"


@pytest.mark.parametrize(
    "bad",
    [None, "nonsense", token(ttl_seconds=-1), token(secret="another secret, which is long enough too")],
    ids=["missing", "wrong", "expired", "of another secret"],
)
async def test_a_token_that_is_no_good_gets_nothing(bus: Bus, gateway: Replica, bad: str | None) -> None:
    async with socket(gateway) as client:
        await say(client, Connect(token=bad))
        await say(client, analytics(bus.book))
        with pytest.raises(ConnectionClosed) as closed:
            await heard(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4001
    assert closed.value.rcvd.reason.startswith("token: expected")


async def test_a_token_that_runs_out_ends_the_connection(bus: Bus, gateway: Replica) -> None:
    async with socket(gateway) as client:
        await joined(client, analytics(bus.book), with_token=token(ttl_seconds=2))
        assert (await heard(client)).type == "token_expiring"
        assert await closed_with(client) == 4202


async def test_a_token_shows_only_its_portfolios(bus: Bus, gateway: Replica) -> None:
    bearer = token(["another"])
    async with socket(gateway, additional_headers={"Authorization": f"Bearer {bearer}"}) as client:
        await say(client, Connect())
        assert (await heard(client)).type == "connected"
        await say(client, analytics(bus.book))
        assert (await heard(client)).code == 1002
        await say(client, analytics("another"))
        assert (await heard(client)).code == 1003


async def test_foreign_origins_other_protocols_and_long_messages_are_closed_for_good(gateway: Replica) -> None:
    async with socket(gateway, origin="https://elsewhere.example") as client:
        assert await closed_with(client) == 4003
    async with socket(gateway, origin=gateway.url) as client:
        await joined(client)
    async with socket(gateway, subprotocols=["tailstream.v1.json", "other"]) as client:
        assert client.subprotocol == "tailstream.v1.json"
    async with socket(gateway) as client:
        await joined(client)
        await client.send("x" * 65_537)
        assert await closed_with(client) == 4009


async def test_a_refused_record_is_in_quarantine_and_costs_only_itself(system: System, bus: Bus) -> None:
    broken = computed(bus.book, 2).to_json().replace(b"2.0", b"NaN", 1)
    async with socket(system.gateway) as client:
        await joined(client, analytics(bus.book, mode="distinct"))
        await bus.computed(1)
        await bus.publish(topics.ANALYTICS_LIVE, broken, group="basic")
        await bus.computed(3)
        assert [update.data.figures["nav"].value for update in await pushed(client, 2)] == [1.0, 3.0]
    (refused,) = await quarantined(system)
    assert (refused["topic"], refused["key"]) == (topics.ANALYTICS_LIVE.name, f"{bus.book}/basic")
    assert "JSON is malformed" in refused["reason"]


async def quarantined(system: System) -> list[Any]:
    """What is in quarantine, once there is something."""
    records = await eventually(lambda: read_back(system.settings, Shard(topics.QUARANTINE.name, 0)))
    return [json.loads(record.value or b"") for record in records]


async def test_a_draining_replica_says_so_and_its_successor_resumes_without_loss(stack: Stack, prefix: str) -> None:
    gateway = await asyncio.to_thread(started, stack, prefix)
    try:
        async with bus_of(ServiceSettings(kafka=stack.addresses.kafka, topic_prefix=prefix)) as bus:
            position = await drained(gateway, bus)
            missed = await bus.alerted(3, 4, 5)
            gateway.start()
            await asyncio.to_thread(gateway.await_ready, within_seconds=90)
            async with socket(gateway) as client:
                (confirmed,) = await joined(client, alerts(recover={"position": position}))
                assert (confirmed.recovered, confirmed.replayed) == (True, 3)
                assert [str(update.alert.event_id) for update in await pushed(client, 3)] == missed
    finally:
        gateway.kill()


async def drained(gateway: Replica, bus: Bus) -> str:
    """Two alerts are seen, then the gateway is stopped; the position of the second."""
    async with socket(gateway) as client:
        await joined(client, alerts())
        await bus.alerted(1, 2)
        position: str = (await pushed(client, 2))[-1].position
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        draining = await heard(client)
        assert draining.type == "draining"
        assert 0 <= draining.reconnect_after_ms <= 60_000
        assert await closed_with(client) == 4200
        assert await stopping == 0
    return position


async def test_a_ping_is_answered_by_a_pong_or_the_connection_ends(stack: Stack, prefix: str) -> None:
    quick = {"TAILSTREAM_PING_SECONDS": "1", "TAILSTREAM_PONG_TIMEOUT_SECONDS": "5"}
    gateway = await asyncio.to_thread(partial(started, stack, prefix, **quick))
    try:
        async with socket(gateway) as client:
            await joined(client, alerts())
            for _ in range(3):
                ping = await heard(client)
                assert (ping.type, set(ping.positions)) == ("ping", {"s1"})
                await say(client, Pong())
            assert await closed_with(client) == 4201
    finally:
        gateway.kill()


async def test_over_http_it_says_which_portfolios_there_are_and_what_is_down(bus: Bus, gateway: Replica) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        refused = await http.get("/api/v1/portfolios", headers={"X-Request-ID": "r1"})
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        assert refused.json()["correlation_id"] == "r1"
        bearer = {"Authorization": f"Bearer {token([bus.book])}"}
        found = (await http.get("/api/v1/portfolios", headers=bearer)).json()
        assert found == {"total": 1, "portfolios": [json.loads(bus.example(topics.DEFINITIONS).to_json())]}
        wrong = await http.get("/api/v1/portfolios?limit=0", headers=bearer)
        assert (wrong.status_code, "limit" in wrong.json()["detail"]) == (422, True)
        health = await http.get("/health")
        assert health.status_code == 503
        assert set(health.json()["down"]) == {"analytics", "risk", "limits", "recorder"}
        assert (await http.get("/docs")).status_code == 200
        metrics = (await http.get("/metrics")).text
        assert "tailstream_gateway_connections" in metrics
