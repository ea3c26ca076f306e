"""How records come in: raw bytes, in batches, read_committed.

A ``GroupedInlet`` shares a topic's partitions with the service's other replicas (limits, recorder). A
``BroadcastReader`` reads everything on every replica (market, definitions, holdings; all of the gateway's topics).
"""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, UnknownMemberIdError
from aiokafka.structs import ConsumerRecord
from faststream.kafka.message import KafkaAckableMessage
from faststream.middlewares import AckPolicy

from contracts.topics import Layout, Topic
from tailstream.runtime.failpoints import failpoint
from tailstream.runtime.records import Record, Shard, logical
from tailstream.runtime.restore import record_of
from tailstream.runtime.service import Service

log = structlog.get_logger()

Handler = Callable[[Sequence[Record]], Awaitable[None]]
Positions = Callable[[Sequence[Shard]], Awaitable[Mapping[Shard, int]]]
Released = Callable[[Sequence[Shard]], Awaitable[None]]


def subscribe(
    service: Service, topics: Sequence[Topic], listener: ConsumerRebalanceListener, on_batch: Callable[[Any], Any]
) -> Any:
    """A FastStream batch subscriber that hands over raw records and leaves offsets and errors to us."""
    settings = service.settings
    subscriber: Any = None

    async def parse(raw: Sequence[ConsumerRecord]) -> KafkaAckableMessage:
        return KafkaAckableMessage(
            body=b"", headers={}, raw_message=raw, message_id="", correlation_id="", consumer=subscriber.consumer
        )

    async def decode(message: KafkaAckableMessage) -> Any:
        return message.raw_message

    subscriber = service.broker.subscriber(
        *(settings.topic_prefix + topic.name for topic in topics),
        group_id=settings.topic_prefix + service.name,
        group_instance_id=settings.group_instance_id,
        batch=True,
        max_records=settings.batch_records_max,
        batch_timeout_ms=settings.batch_timeout_ms,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        isolation_level="read_committed",
        partition_assignment_strategy=(RangePartitionAssignor,),
        listener=listener,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
        rebalance_timeout_ms=settings.rebalance_timeout_ms,
        parser=parse,
        decoder=decode,
    )
    subscriber(on_batch)
    return subscriber


class GroupedInlet(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is published without types
    """One subscriber over all of a service's partitioned topics, so that a portfolio's topics meet in one replica.

    ``handle`` is called with records of owned shards only, in order for each shard, one call at a time. What leaves it
    as an exception ends the process: transient errors are retried inside it.
    """

    def __init__(
        self,
        service: Service,
        topics: Sequence[Topic],
        handle: Handler,
        *,
        positions: Positions | None = None,
        released: Released | None = None,
    ) -> None:
        """``positions`` says where each newly assigned shard goes on; without it Kafka's committed offsets say it, and
        they are committed after each batch's effects. ``released`` is told of shards that went elsewhere."""
        self._service = service
        self._handle = handle
        self._positions = positions
        self._released = released
        self._batch = asyncio.Lock()
        self._next: dict[TopicPartition, int] = {}
        self._adoption: asyncio.Task[None] | None = None
        self._assigned = False
        self._last_batch = 0.0
        self._subscriber = subscribe(service, topics, self, self._on_batch)

    async def start(self) -> None:
        """Nothing to do before the group is joined."""

    async def stop(self) -> None:
        """Finish the batch in flight; the subscriber leaves the group with the broker."""
        async with self._batch:
            self._next = {}

    def waiting_for(self) -> str | None:
        """Whether the group has settled and this member's shards are where they go on."""
        if not self._assigned:
            return "its group to be joined"
        if self._adoption is not None and not self._adoption.done():
            return "its shards to be restored"
        return None

    @property
    def shards(self) -> tuple[int, ...]:
        """The partitions this member owns."""
        return tuple(sorted({where.partition for where in self._next}))

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Finish the batch in flight and forget the shards."""
        if self._adoption is not None:
            self._adoption.cancel()
            await asyncio.gather(self._adoption, return_exceptions=True)
        async with self._batch:
            gone = [self._shard(where) for where in self._next]
            self._next = {}
            if gone and self._released is not None:
                await self._released(gone)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Pause and return at once, because no heartbeat is sent before; a task does the rest."""
        consumer = self._subscriber.consumer
        if assigned:
            consumer.pause(*assigned)
        self._assigned = True
        self._adoption = asyncio.create_task(self._adopt(consumer, sorted(assigned)))

    async def _adopt(self, consumer: AIOKafkaConsumer, assigned: Sequence[TopicPartition]) -> None:
        try:
            failpoint("shard.rebalancing", f"{self._service.name} {len(assigned)} partitions")
            begins = await self._begins(consumer, assigned)
            for where, offset in begins.items():
                consumer.seek(where, offset)
            failpoint("shard.restoring", f"{self._service.name} {len(assigned)} partitions")
            async with self._batch:
                self._next = begins
            if assigned:
                consumer.resume(*assigned)
            log.info("shards adopted", partitions=self.shards)
        except asyncio.CancelledError:
            raise
        except IllegalStateError:
            log.info("the assignment changed while it was adopted")
        except BaseException as error:
            self._service.fatal("adopting shards", error)

    async def _begins(
        self, consumer: AIOKafkaConsumer, assigned: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        if self._positions is not None:
            stored = await self._positions([self._shard(where) for where in assigned])
            return {where: stored.get(self._shard(where), 0) for where in assigned}
        return {where: await consumer.committed(where) or 0 for where in assigned}

    def _shard(self, where: TopicPartition) -> Shard:
        return Shard(logical(where.topic, self._service.settings.topic_prefix), where.partition)

    async def _on_batch(self, raw: Sequence[ConsumerRecord]) -> None:
        async with self._batch:
            mine, after = self._mine(raw)
            if not mine:
                return
            try:
                await self._handle([record_of(r, self._service.settings.topic_prefix) for r in mine])
            except BaseException as error:
                self._service.fatal("handling a batch", error)
            self._next.update(after)
            self._service.count_in(mine)
            if self._positions is None:
                await self._commit(after)
            self._observe_lag()

    def _mine(self, raw: Sequence[ConsumerRecord]) -> tuple[list[ConsumerRecord], dict[TopicPartition, int]]:
        """Drop what was fetched under an earlier assignment."""
        mine: list[ConsumerRecord] = []
        after: dict[TopicPartition, int] = {}
        for record in raw:
            where = TopicPartition(record.topic, record.partition)
            expected = after.get(where, self._next.get(where))
            if expected is not None and record.offset >= expected:
                mine.append(record)
                after[where] = record.offset + 1
        return mine, after

    async def _commit(self, after: Mapping[TopicPartition, int]) -> None:
        try:
            await self._subscriber.consumer.commit(dict(after))
        except (CommitFailedError, IllegalStateError, UnknownMemberIdError) as error:
            log.info(
                "offsets not committed: the group moved on and the next owner repeats the batch", error=repr(error)
            )
        except KafkaError as error:
            log.warning("offsets not committed; the next batch commits them too", error=repr(error))

    def _observe_lag(self) -> None:
        now = time.monotonic()
        if now - self._last_batch < 1.0:
            return
        self._last_batch = now
        consumer = self._subscriber.consumer
        behind = 0
        for where, offset in self._next.items():
            with contextlib.suppress(IllegalStateError, AssertionError):
                behind += max(0, (consumer.highwater(where) or offset) - offset)
        self._service.metrics.lag.set(behind)


@dataclass(frozen=True, slots=True)
class Beginning:
    """From the first record that the topic still has."""


@dataclass(frozen=True, slots=True)
class End:
    """Only what comes from now on."""


@dataclass(frozen=True, slots=True)
class Tail:
    """From ``records`` before the end of each partition."""

    records: int


@dataclass(frozen=True, slots=True)
class Since:
    """From what was published ``seconds`` ago."""

    seconds: float


@dataclass(frozen=True, slots=True)
class At:
    """From this offset of each partition."""

    offset: int


Start = Beginning | End | Tail | Since | At
OnRecords = Callable[[Sequence[Record]], Awaitable[None] | None]


class BroadcastReader:
    """Reads all partitions of its topics, with no group; caught up once it has passed the ends seen at its start."""

    def __init__(
        self,
        service: Service,
        starts: Mapping[Topic, Start],
        on_records: OnRecords,
        *,
        on_positions: Callable[[Mapping[Shard, int]], Awaitable[None]] | None = None,
    ) -> None:
        """``on_positions`` is told how far every partition was read and handed over, whenever that has changed."""
        self._on_positions = on_positions
        self._service = service
        self._topics = tuple(starts)
        self._starts = {service.settings.topic_prefix + topic.name: start for topic, start in starts.items()}
        self._on_records = on_records
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._told: dict[TopicPartition, int] = {}
        self.caught_up = asyncio.Event()

    async def start(self) -> None:
        """Take up the positions and read from now on."""
        settings = self._service.settings
        self._widths = {
            settings.topic_prefix + topic.name: 1 if topic.layout is Layout.SINGLE else self._service.partitions
            for topic in self._topics
        }
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        self._consumer = consumer
        await consumer.start()
        await self._assign(consumer)
        self._task = asyncio.create_task(self._run(consumer))

    async def stop(self) -> None:
        """Finish what was fetched, then disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._consumer is not None:
            await self._consumer.stop()

    def waiting_for(self) -> str | None:
        """How much is still to be read before it has caught up."""
        if self.caught_up.is_set():
            return None
        left = sum(max(0, end - self._positions.get(where, 0)) for where, end in self._ends.items())
        return f"{left} records still to be read"

    def position(self, shard: Shard) -> int:
        """The offset up to which the shard was read and handed over."""
        return self._positions[TopicPartition(self._service.settings.topic_prefix + shard.topic, shard.partition)]

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        where = [TopicPartition(name, partition) for name in self._starts for partition in range(self._widths[name])]
        consumer.assign(where)
        self._ends = {w: int(end) for w, end in (await consumer.end_offsets(where)).items()}
        begins = await consumer.beginning_offsets(where)
        for w in where:
            begin = await self._begin(consumer, w, int(begins[w]))
            consumer.seek(w, begin)
            self._positions[w] = begin
        self._check_caught_up()

    async def _begin(self, consumer: AIOKafkaConsumer, where: TopicPartition, begin: int) -> int:
        start = self._starts[where.topic]
        match start:
            case Beginning():
                return begin
            case End():
                return self._ends[where]
            case Tail(records):
                return max(begin, self._ends[where] - records)
            case At(offset):
                return max(begin, offset)
            case Since(seconds):
                found = await consumer.offsets_for_times({where: int((time.time() - seconds) * 1000)})
                return int(found[where].offset) if found.get(where) is not None else self._ends[where]

    async def _run(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                fetched = await consumer.getmany(timeout_ms=200, max_records=self._service.settings.batch_records_max)
                await self._hand_over(fetched)
                await self._advance(consumer, idle=not fetched)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._service.fatal("reading the bus", error)

    async def _hand_over(self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        raw = [record for records in fetched.values() for record in records]
        if not raw:
            return
        handled = self._on_records([record_of(r, self._service.settings.topic_prefix) for r in raw])
        if inspect.isawaitable(handled):
            await handled
        for where, records in fetched.items():
            self._positions[where] = records[-1].offset + 1
        self._service.count_in(raw)
        await asyncio.sleep(0)  # a reader that is far behind must not keep the loop to itself

    async def _advance(self, consumer: AIOKafkaConsumer, *, idle: bool) -> None:
        """Follow the consumer's position past what no reader sees (transaction markers, compacted records); tell it."""
        before = dict(self._told)
        if idle or not self.caught_up.is_set():
            for where in self._ends:
                self._positions[where] = max(self._positions[where], int(await consumer.position(where)))
        self._told = dict(self._positions)
        if self._on_positions is not None and self._told != before:
            await self._on_positions({self._shard(where): offset for where, offset in self._told.items()})
        self._check_caught_up()

    def _shard(self, where: TopicPartition) -> Shard:
        return Shard(logical(where.topic, self._service.settings.topic_prefix), where.partition)

    def _check_caught_up(self) -> None:
        if all(self._positions[where] >= end for where, end in self._ends.items()):
            self.caught_up.set()
