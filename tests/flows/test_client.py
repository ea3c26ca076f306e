"""The Python client against the gateway's own sockets: it stays connected, resumes, and says clearly when it cannot."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed
from contracts.topics import ALERTS
from services.gateway.auth import make_token
from tailstream.cli.replicas import Replica
from tailstream.client import Client, ClientError, ConnectionRefused, Item, RequestRefused, Snapshot, Update
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import emission
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Stack
from tests.gateway_desk import SECRET
from tests.gateway_log import PARTITIONS, Log
from tests.gateway_server import Server

SECONDS_MAX = 90.0


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def server(log: Log) -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    server.read(log.defined("A"), log.defined("B"))
    yield server
    await server.stop()


def token(ttl_seconds: int = 600) -> str:
    return make_token(SECRET, "ann", ["viewer"], "*", ttl_seconds, time.time())


async def until(client: Client, enough: Callable[[Item], bool]) -> list[Item]:
    """The items up to the one that is enough."""
    items: list[Item] = []
    async with asyncio.timeout(SECONDS_MAX):
        async for item in client:
            items.append(item)
            if enough(item):
                return items
    pytest.fail(f"the client ended after {items}")


def nav(item: Item) -> float | None:
    event = item.event() if isinstance(item, Update) else None
    return event.figures["nav"].value if isinstance(event, AnalyticsComputed) else None


async def test_it_hands_on_the_snapshot_and_then_every_update(server: Server, log: Log) -> None:
    server.read(log.computed("A", 1))
    async with Client(server.url, token()) as client:
        subscription = await client.analytics("A")
        server.read(log.computed("A", 2))
        snapshot, update = await until(client, lambda item: nav(item) == 2.0)
    assert isinstance(snapshot, Snapshot)
    assert [nav(entry) for entry in snapshot.updates] == [1.0]
    assert isinstance(update, Update)
    assert (update.seq, update.group, update.basis) == (1, "basic/live", "live")
    assert {group: nav(known) for group, known in subscription.state.items()} == {"basic/live": 2.0}


async def test_every_kind_of_subscription_hands_on_its_events(server: Server, log: Log) -> None:
    async with Client(server.url, token()) as client:
        for subscribe in (client.analytics, client.risk, client.limits, client.alerts):
            await subscribe("A")
        server.read(log.valued("A", 1), log.measured("A", 1), log.state("A", 1), log.alert("A", 1))
        items = await until(client, lambda item: isinstance(item, Update) and item.subscription.kind == "risk_alerts")
    events = [type(item.event()).__name__ for item in items if isinstance(item, Update)]
    assert sorted(events) == ["AlertChanged", "LimitState", "PortfolioValued", "RiskMeasured"]


@pytest.mark.parametrize("bad", ["nonsense", token(ttl_seconds=-1)], ids=["wrong", "expired"])
async def test_a_token_that_is_no_good_is_told_at_once(server: Server, bad: str) -> None:
    with pytest.raises(ConnectionRefused, match="4001: token: expected"):
        async with Client(server.url, bad):
            pytest.fail("it connected")


async def test_a_gateway_that_is_not_there_is_told_with_its_address() -> None:
    with pytest.raises(ClientError, match=r"no gateway at ws://127.0.0.1:9/ws/v1 in 0.2 s: .+"):
        async with Client("ws://127.0.0.1:9/ws/v1", token(), connect_seconds_max=0.2):
            pytest.fail("it connected")


async def test_a_refused_subscription_is_told_and_the_client_goes_on(server: Server, log: Log) -> None:
    async with Client(server.url, token()) as client:
        with pytest.raises(RequestRefused, match="1003: portfolio_id: expected a defined portfolio, was nowhere"):
            await client.analytics("nowhere")
        await client.analytics("A")
        server.read(log.computed("A", 1))
        assert [nav(item) for item in await until(client, lambda item: nav(item) == 1.0)] == [None, 1.0]


async def test_after_a_drain_it_comes_back_and_nothing_is_lost_or_repeated(server: Server, log: Log) -> None:
    async with Client(server.url, token()) as client:
        await client.alerts()
        server.read(*(log.alert("A", number) for number in range(3)))
        before = await until(client, lambda item: isinstance(item, Update) and item.seq == 3)
        await server.stop()
        server.read(*(log.alert("B", number) for number in range(3, 9)))
        await server.start()
        after = await until(client, lambda item: isinstance(item, Update) and item.seq == 6)
        assert client.connections == 2
    assert [type(item).__name__ for item in before + after] == ["Snapshot"] + ["Update"] * 9
    assert len({item.data["event_id"] for item in before + after if isinstance(item, Update) and item.data}) == 9


async def test_a_slow_consumer_gets_newer_values_instead_of_all_and_can_still_subscribe(
    server: Server, log: Log
) -> None:
    async with Client(server.url, token(), items_max=2) as client:
        await client.analytics("A")
        for number in range(5_000):
            server.read(log.computed("A", number))
            await asyncio.sleep(0)
        async with asyncio.timeout(SECONDS_MAX):
            await client.analytics("B")
        items = await until(client, lambda item: nav(item) == 4_999.0)
    numbers = [number for item in items if (number := nav(item)) is not None]
    assert numbers == sorted(numbers)
    assert len(numbers) < 1_000


async def test_a_token_that_can_be_made_anew_keeps_the_connection(server: Server, log: Log) -> None:
    made: list[str] = []
    enough = asyncio.Event()

    def fresh() -> str:
        made.append(token(ttl_seconds=2))  # each is announced to run out after a second
        if len(made) == 4:
            enough.set()
        return made[-1]

    async with Client(server.url, fresh) as client:
        await client.analytics("A")
        async with asyncio.timeout(SECONDS_MAX):
            await enough.wait()
        server.read(log.computed("A", 1))
        await until(client, lambda item: nav(item) == 1.0)
        assert client.connections == 1


async def test_after_unsubscribing_nothing_more_is_handed_on(server: Server, log: Log) -> None:
    async with Client(server.url, token()) as client:
        ended, kept = await client.analytics("A"), await client.analytics("B")
        await client.unsubscribe(ended)
        server.read(log.computed("A", 1), log.computed("B", 2))
        items = await until(client, lambda item: nav(item) == 2.0)
    assert {item.subscription for item in items if isinstance(item, Update)} == {kept}


async def test_closing_ends_the_iteration(server: Server) -> None:
    async with Client(server.url, token()) as client:
        await client.analytics("A")
        iterating = asyncio.create_task(_all(client))
        await asyncio.sleep(0)
        await client.close()
        async with asyncio.timeout(SECONDS_MAX):
            assert [type(item) for item in await iterating] == [Snapshot]


async def _all(client: Client) -> list[Item]:
    return [item async for item in client]


async def test_a_gateway_that_is_killed_costs_its_client_nothing(stack: Stack, prefix: str, log: Log) -> None:
    told = {"TAILSTREAM_TOPIC_PREFIX": prefix, "TAILSTREAM_JWT_SECRET": SECRET}
    gateway = Replica.of(stack, "gateway", environment=told)
    settings = ServiceSettings(kafka=stack.addresses.kafka, topic_prefix=prefix)
    outlet = Outlet(settings, "test", partitions=lambda: PARTITIONS)
    await outlet.start()
    gateway.start()
    try:
        await asyncio.to_thread(partial(gateway.await_ready, within_seconds=90))
        async with Client(f"{gateway.url.replace('http', 'ws')}/ws/v1", token()) as client:
            await client.alerts()
            assert await raised(client, outlet, log, dies=gateway) == [str(number) for number in range(6)]
            assert client.connections == 3
    finally:
        gateway.kill()
        await outlet.stop()


async def raised(client: Client, outlet: Outlet, log: Log, dies: Replica) -> list[str]:
    """Six alerts are raised one by one, and the gateway dies at two of them; the messages that the client received."""
    received: list[str] = []
    for number in range(6):
        alert = AlertChanged.from_json(log.alert("A", number).value or b"").model_copy(update={"message": str(number)})
        await outlet.publish([emission(ALERTS, alert, key="A", portfolio_id="A")])
        if number in (1, 3):
            dies.kill()
            dies.start()
        items = await until(client, lambda item, wanted=str(number): message(item) == wanted)
        received += [told for item in items if (told := message(item))]
    return received


def message(item: Item) -> str | None:
    event = item.event() if isinstance(item, Update) else None
    return event.message if isinstance(event, AlertChanged) else None
