"""A system of service processes that is told a story, hurt on the way, and asked in the end what came of it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg
from aiokafka import AIOKafkaProducer

from contracts.topics import ALERTS, OUTCOMES, QUARANTINE, Topic
from tailstream.cli.db import migrate
from tailstream.cli.replicas import Replica
from tailstream.runtime.records import Emission, Record, Shard, placement
from tailstream.runtime.restore import read_back
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Stack
from tests.simulation.story import CLOSING_TOPICS, WINDOWS, Output, Story, output

SERVICES = ("analytics", "risk", "limits", "recorder")
DEADLINE_SECONDS = 150.0
SEND_RECORDS = 50
ENVIRONMENT = {
    "TAILSTREAM_SESSION_TIMEOUT_MS": "2000",
    "TAILSTREAM_HEARTBEAT_INTERVAL_MS": "300",
    "TAILSTREAM_REBALANCE_TIMEOUT_MS": "10000",
    "TAILSTREAM_TRANSACTION_TIMEOUT_MS": "10000",
    "TAILSTREAM_TRANSACTION_CLOSES_MAX": "2",
    "TAILSTREAM_LOG_LEVEL": "INFO",
    **{f"TAILSTREAM_{name.upper()}": str(value) for name, value in WINDOWS.items()},
}
TABLES = {
    "analytics.metrics.v1": "analytics_metrics",
    "analytics.valuations.v1": "portfolio_valuations",
    "risk.metrics.v1": "risk_metrics",
    "risk.backtests.v1": "risk_backtests",
}


@dataclass(frozen=True)
class Outcome:
    """What stands on the bus and in the database once all is done."""

    outputs: tuple[Output, ...]
    """As a read_committed reader finds them, repeats included."""
    evaluations: dict[str, tuple[int, str, str]]
    """Of each limit: how often it was evaluated at a close, the chain over those evaluations, its level."""
    alerts: dict[str, list[tuple[str, str, str]]]
    """Of each limit: its closing alerts in order (alert id, state, period); what the outbox repeated is there once."""
    rows: dict[str, int]
    """Rows of each history table; a primary key sees to it that none stands twice."""
    quarantined: int


class Count(NamedTuple):
    """How far a shard was read, and how many records there were."""

    end: int = 0
    records: int = 0


@dataclass
class System:
    """Replicas of the four services that keep something, on topics and a database of their own."""

    stack: Stack
    prefix: str
    database: str
    partitions: int
    replicas: dict[str, list[Replica]] = field(default_factory=dict)
    _published: dict[Shard, Count] = field(default_factory=lambda: defaultdict(Count))

    @property
    def settings(self) -> ServiceSettings:
        return ServiceSettings(kafka=self.stack.addresses.kafka, topic_prefix=self.prefix)

    def create(self, *, each: int = 1, services: Sequence[str] = SERVICES, **environment: str) -> None:
        """Make ``each`` replicas of the services; ``environment`` is told to all of them."""
        migrate(self.database)
        told = ENVIRONMENT | environment
        told |= {"TAILSTREAM_TOPIC_PREFIX": self.prefix, "TAILSTREAM_POSTGRES": self.database}
        for service in services:
            made = [Replica.of(self.stack, service, number=n + 1, environment=told) for n in range(each)]
            for replica in made:
                replica.name = f"{self.prefix}{replica.name}"
            self.replicas[service] = made

    def all(self) -> list[Replica]:
        return [replica for replicas in self.replicas.values() for replica in replicas]

    def stop(self) -> None:
        for replica in self.all():
            if replica.exit_code is None:
                replica.kill()

    async def define(self, story: Story) -> None:
        """Submit the story's limits and wait until each is accepted."""
        await self.publish(story.commands)
        await self.until(lambda: self._count(OUTCOMES), len(story.commands))

    async def publish(self, emissions: tuple[Emission, ...]) -> None:
        """In order, and as anyone may publish: nothing is checked."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka, compression_type="zstd", max_request_size=4_000_000
        ) as producer:
            for start in range(0, len(emissions), SEND_RECORDS):
                await asyncio.gather(
                    *[
                        await producer.send(
                            self.prefix + e.topic.name,
                            e.value,
                            e.key.encode(),
                            partition=placement(e.topic, e.portfolio_id, self.partitions),
                        )
                        for e in emissions[start : start + SEND_RECORDS]
                    ]
                )

    @asynccontextmanager
    async def kept_alive(self, again: Mapping[str, str]) -> AsyncIterator[None]:
        """Start again whatever ends inside; of the services in ``again`` the first that ends, with that failpoint."""
        keeper = asyncio.create_task(self._keep_alive(dict(again)))
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep_alive(self, again: dict[str, str]) -> None:
        while True:
            for service, replicas in self.replicas.items():
                for replica in replicas:
                    if replica.exit_code is not None:
                        replica.start(TAILSTREAM_FAILPOINT=again.pop(service, ""))
            await asyncio.sleep(0.05)

    async def measured(self, story: Story) -> None:
        """Wait until every row is written, so that every output is on the bus, and every close is evaluated."""
        await self.until(self._rows, len(story.expected))
        await self.until(self._evaluations, sum(story.evaluations.values()))

    async def until(self, measure: Callable[[], Awaitable[int]], wanted: int) -> None:
        """Wait until ``measure`` has reached ``wanted``."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (reached := await measure()) < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"expected {wanted} within {DEADLINE_SECONDS} s, was {reached}\n{self.state()}")
            await asyncio.sleep(0.2)

    def state(self) -> str:
        """How every replica is, for whoever reads a failure."""
        return "\n".join(f"{r.name}: exit {r.exit_code}, {r.not_ready()}\n{r.log_end()}" for r in self.all())

    async def outcome(self) -> Outcome:
        alerts: dict[str, dict[str, tuple[str, str, str]]] = defaultdict(dict)
        for record in await self._read(ALERTS):
            alert = ALERTS.event.from_json(record.value or b"").model_dump(mode="json")
            if alert["basis"] == "close":
                step = (alert["alert_id"], alert["state"], alert["period"])
                alerts[alert["limit_id"]].setdefault(alert["event_id"], step)
        async with await psycopg.AsyncConnection.connect(self.database) as connection:
            states = await (
                await connection.execute("select limit_id, evaluations, chain, level from limits.states")
            ).fetchall()
        return Outcome(
            outputs=await self.outputs(),
            evaluations={limit: (count, chain, level) for limit, count, chain, level in states},
            alerts={limit: list(steps.values()) for limit, steps in alerts.items()},
            rows={topic: await self._row_count(table) for topic, table in TABLES.items()},
            quarantined=await self._count(QUARANTINE),
        )

    async def outputs(self) -> tuple[Output, ...]:
        """The closing outputs, as a read_committed reader finds them."""
        read = await asyncio.gather(*[self._read(topic) for topic in CLOSING_TOPICS])
        return tuple(output(r.topic, r.key or "", r.value or b"") for records in read for r in records)

    async def _read(self, topic: Topic) -> list[Record]:
        width = 1 if topic is QUARANTINE else self.partitions
        read = await asyncio.gather(*[read_back(self.settings, Shard(topic.name, p)) for p in range(width)])
        return [record for records in read for record in records]

    async def _count(self, topic: Topic) -> int:
        return len(await self._read(topic))

    async def published(self) -> int:
        """How many closing outputs are on the bus."""
        shards = [Shard(topic.name, p) for topic in CLOSING_TOPICS for p in range(self.partitions)]
        return sum(await asyncio.gather(*[self._published_of(shard) for shard in shards]))

    async def _published_of(self, shard: Shard) -> int:
        """How many are on the shard, of which only those are read that have come since the last time."""
        known = self._published[shard]
        records = await read_back(self.settings, shard, start=known.end)
        end = records[-1].offset + 1 if records else known.end
        self._published[shard] = Count(end, known.records + len(records))
        return self._published[shard].records

    async def _evaluations(self) -> int:
        return await self._ask("select coalesce(sum(evaluations), 0) from limits.states")

    async def _rows(self) -> int:
        return sum([await self._row_count(table) for table in TABLES.values()])

    async def _row_count(self, table: str) -> int:
        return await self._ask(f"select count(*) from history.{table}")

    async def _ask(self, query: str) -> int:
        async with await psycopg.AsyncConnection.connect(self.database) as connection:
            row = await (await connection.execute(query)).fetchone()
        return int(row[0]) if row else 0


def deaths(log: Path) -> list[str]:
    """What the processes wrote that died at a failpoint: where, and in the middle of what."""
    return log.read_text().splitlines() if log.exists() else []
