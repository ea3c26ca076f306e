"""The limits service on real Kafka and PostgreSQL: its processes live, die and are replaced."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest

from contracts.alerts import AlertChanged
from contracts.event import Event
from contracts.limits import LimitCommandDecided, LimitState
from contracts.portfolio import PortfolioDefined
from contracts.system import RecordQuarantined
from contracts.topics import ALERTS, DEFINITIONS, OUTCOMES, QUARANTINE, RISK, STATES, Layout, Topic
from services.limits.engine import Engine
from tailstream.cli.db import migrate
from tailstream.cli.replicas import Replica
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission, Record, Shard
from tailstream.runtime.restore import read_back
from tailstream.runtime.service import EXIT_FATAL
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Addresses, Stack
from tests import limits_log as log

DEADLINE_SECONDS = 60.0
BOOKS = [f"book-{number:02}" for number in range(8)]
VALUES = [0.010, 0.016, 0.016, 0.025, 0.018, 0.018, 0.018, 0.005, 0.005, 0.005]


class Bus:
    """The test's own topics."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.settings = ServiceSettings(kafka=kafka, topic_prefix=prefix)

    async def publish(self, published: Sequence[log.Published]) -> None:
        await self.put([Emission(t, log.key_of(t, e), e.portfolio_id, e.to_json()) for t, e in published])  # type: ignore[attr-defined]

    async def put(self, emissions: Sequence[Emission]) -> None:
        outlet = Outlet(self.settings, "test", partitions=lambda: log.PARTITIONS)
        await outlet.start()
        try:
            await outlet.publish(emissions)
        finally:
            await outlet.stop()

    async def records(self, topic: Topic) -> list[Record]:
        partitions = 1 if topic.layout is Layout.SINGLE else log.PARTITIONS
        return [r for p in range(partitions) for r in await read_back(self.settings, Shard(topic.name, p))]

    async def events(self, topic: Topic) -> list[Event]:
        """Each event once, in the order of its partition: delivery is at least once."""
        read = {(r.value or b""): topic.event.from_json(r.value or b"") for r in await self.records(topic)}
        return list(read.values())


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"expected {what} within {DEADLINE_SECONDS:.0f} s"
        await asyncio.sleep(0.1)


@pytest.fixture
def bus(addresses: Addresses, prefix: str) -> Bus:
    return Bus(addresses.kafka, prefix)


@pytest.fixture
def make_replica(stack: Stack, prefix: str, database: str) -> Iterator[Callable[..., Replica]]:
    migrate(database)
    made: list[Replica] = []
    fixed = {"TAILSTREAM_TOPIC_PREFIX": prefix, "TAILSTREAM_POSTGRES": database}

    def make(number: int = 1, **environment: str) -> Replica:
        replica = Replica(
            stack, f"{prefix}limits-{number}", ("-m", "services.limits"), environment={**fixed, **environment}
        )
        made.append(replica)
        return replica

    yield make
    for replica in made:
        replica.kill()


def story() -> list[log.Published]:
    closes = [
        log.close(day, book=book, var_99=value * (1 + number / 50))
        for day, value in enumerate(VALUES)
        for number, book in enumerate(BOOKS)
    ]
    return [part for close in closes for part in close]


def definitions() -> list[log.Published]:
    return [part for book in BOOKS for part in log.define(log.var_limit(0.02, book=book))]


async def all_evaluated(bus: Bus, evaluations: int = len(VALUES)) -> bool:
    newest = {event.portfolio_id: event for event in await bus.events(STATES) if isinstance(event, LimitState)}
    return len(newest) == len(BOOKS) and all(state.evaluations == evaluations for state in newest.values())


async def history(bus: Bus) -> dict[str, object]:
    """The closing evaluations and the alerts of every limit."""
    states = {e.portfolio_id: (e.chain, e.level) for e in await bus.events(STATES) if isinstance(e, LimitState)}
    alerts: dict[str, list[bytes]] = {book: [] for book in BOOKS}
    for event in await bus.events(ALERTS):
        assert isinstance(event, AlertChanged)
        alerts[event.portfolio_id].append(event.to_json())
    return {"states": states, "alerts": alerts}


def expected_history() -> dict[str, object]:
    """What an engine that is never disturbed says of the same log."""
    engine = Engine(stale_after=3)
    step = engine.step(log.Log().arrivals([*definitions(), *story()]), {})
    states, alerts = {}, {book: [] for book in BOOKS}  # type: ignore[var-annotated]
    for announcement in step.announcements:
        match announcement.event:
            case LimitState() as state:
                states[state.portfolio_id] = (state.chain, state.level)
            case AlertChanged() as alert:
                alerts[alert.portfolio_id].append(alert.to_json())
    return {"states": states, "alerts": alerts}


async def decided(bus: Bus, count: int) -> bool:
    return len(await bus.events(OUTCOMES)) == count


async def test_commands_are_answered_closes_evaluated_and_alerts_told(
    bus: Bus, make_replica: Callable[..., Replica]
) -> None:
    replica = make_replica()
    replica.start()
    await bus.publish(definitions())
    await until(lambda: decided(bus, len(BOOKS)), "an outcome for each command")
    await bus.publish(story())
    await until(lambda: all_evaluated(bus), "every close evaluated")
    assert await history(bus) == expected_history()
    assert replica.not_ready() is None
    assert replica.stop() == 0


async def test_bad_records_cost_themselves_only(bus: Bus, make_replica: Callable[..., Replica]) -> None:
    replica = make_replica()
    replica.start()
    await bus.publish(definitions())
    await until(lambda: decided(bus, len(BOOKS)), "an outcome for each command")
    other = next(book for book in BOOKS if log.partition_of(book, 4) != log.partition_of(BOOKS[0], 4))
    event = log.close(0)[-1][1].to_json()
    await bus.put(
        [
            Emission(RISK, BOOKS[0], BOOKS[0], b"\xff\x00 garbage"),
            Emission(RISK, BOOKS[0], BOOKS[0], event.replace(b'"n_obs":500', b'"n_obs":"many"')),
            Emission(RISK, BOOKS[0], other, log.close(0, book=BOOKS[0])[-1][1].to_json()),
        ]
    )
    await bus.publish(story())
    await until(lambda: all_evaluated(bus), "every close evaluated")
    refused = [event for event in await bus.events(QUARANTINE) if isinstance(event, RecordQuarantined)]
    assert sorted((r.service, r.reason.split(":")[0]) for r in refused) == [
        ("limits", "n_obs"),
        ("limits", "partition"),
        ("limits", "value"),
    ]
    assert await history(bus) == expected_history()


@pytest.mark.parametrize("place", ["store.before_commit", "store.after_commit"])
async def test_a_replica_killed_around_its_commit_is_replaced_without_a_trace(
    bus: Bus, make_replica: Callable[..., Replica], place: str
) -> None:
    replica = make_replica(TAILSTREAM_BATCH_RECORDS_MAX="25")
    replica.start()
    await bus.publish(definitions())
    await until(lambda: decided(bus, len(BOOKS)), "an outcome for each command")
    assert replica.stop() == 0
    await bus.publish(story())
    replica.start(TAILSTREAM_FAILPOINT=f"{place}:4")
    await until(lambda: _ended(replica), "the failpoint to be hit")
    assert replica.exit_code == -9
    replica.start()
    await until(lambda: all_evaluated(bus), "every close evaluated")
    assert await history(bus) == expected_history()


async def test_an_owner_that_was_frozen_past_its_session_changes_nothing_when_it_wakes(
    bus: Bus, make_replica: Callable[..., Replica]
) -> None:
    frozen, heir = make_replica(1), make_replica(2)
    frozen.start()
    await bus.publish(definitions())
    await until(lambda: decided(bus, len(BOOKS)), "an outcome for each command")
    half = story()[: len(story()) // 2]
    await bus.publish(half)
    await until(lambda: all_evaluated(bus, len(VALUES) // 2), "the first half evaluated")
    frozen.freeze()
    heir.start()
    await bus.publish(story()[len(half) :])
    await until(lambda: all_evaluated(bus), "the second half evaluated by the heir")
    frozen.thaw()
    await until(lambda: _left_or_ready(frozen), "the frozen replica to be refused and leave, or to have joined again")
    await until(lambda: _left_or_ready(heir), "the heir to be where it was")
    assert heir.exit_code is None
    assert await history(bus) == expected_history()


async def test_a_file_of_limits_is_applied_and_each_answered(
    bus: Bus, make_replica: Callable[..., Replica], prefix: str, addresses: Addresses
) -> None:
    replica = make_replica()
    replica.start()
    defined = [PortfolioDefined(portfolio_id=book, name=book, base_currency="USD") for book in BOOKS]
    await bus.put([Emission(DEFINITIONS, d.portfolio_id, d.portfolio_id, d.to_json()) for d in defined])
    await bus.put([Emission(DEFINITIONS, BOOKS[0], BOOKS[0], None)])
    rules = "owner: me\nlimits: [{limit_id: var, metric: var_99, base: 0.02, portfolios: ['*']}]"
    for _ in range(2):
        outcomes = await _apply(rules, prefix, addresses)
        assert [(o["portfolio_id"], o["outcome"], o["version"]) for o in outcomes] == [
            (book, "accepted", 1) for book in BOOKS[1:]
        ]
    assert len([e for e in await bus.events(OUTCOMES) if isinstance(e, LimitCommandDecided)]) == 2 * len(BOOKS[1:])


async def _apply(rules: str, prefix: str, addresses: Addresses) -> list[dict[str, object]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from tailstream.cli import main; main()", "limits", "apply", "-", "--json"),
        env={**os.environ, **addresses.env(), "TAILSTREAM_TOPIC_PREFIX": prefix},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate(rules.encode())
    assert process.returncode == 0, errors.decode()
    outcomes: list[dict[str, object]] = json.loads(out)
    return outcomes


async def _ended(replica: Replica) -> bool:
    return replica.exit_code is not None


async def _left_or_ready(replica: Replica) -> bool:
    return replica.exit_code == EXIT_FATAL or (replica.exit_code is None and replica.not_ready() is None)
