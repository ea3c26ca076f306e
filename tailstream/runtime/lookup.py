"""Looking things up in the log, for a process that is no service: one record, a stretch, or as much as is enough."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from contracts.topics import Layout, Topic
from tailstream.runtime.admin import find_topics
from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.records import Record, Shard
from tailstream.runtime.restore import FETCH_TIMEOUT_MS, FIRST_TAIL_RECORDS, record_of
from tailstream.runtime.settings import ServiceSettings

ID_HEADER = "ce_id"
FETCH_MAX_WAIT_MS = 10
"""Of the broker for more to come: every question but the last record's is of what is there already."""


@asynccontextmanager
async def open_log(settings: ServiceSettings, topics: Sequence[Topic]) -> AsyncIterator["LogReader"]:
    """The log as the broker has it now, committed records alone.

    Raises
    ------
    ConfigurationError
        Naming those of ``topics`` that the broker does not have.
    """
    held = await find_topics(settings.kafka, prefix=settings.topic_prefix)
    missing = sorted(topic.name for topic in topics if topic.name not in held)
    if missing:
        raise ConfigurationError(
            f"topics: expected the broker at {settings.kafka} to have {', '.join(missing)} "
            f"with the prefix {settings.topic_prefix!r} (TAILSTREAM_TOPIC_PREFIX), was without"
        )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
    )
    try:
        await consumer.start()
        width = max(held[topic.name].partitions for topic in topics if topic.layout is Layout.BY_PORTFOLIO)
        yield LogReader(consumer, settings.topic_prefix, width)
    finally:
        await consumer.stop()


class LogReader:
    """Reads what is asked for, one question at a time."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str, partitions: int) -> None:
        self._consumer = consumer
        self._prefix = prefix
        self.partitions = partitions
        """How many partitions each portfolio topic has."""

    async def bounds(self, shard: Shard) -> tuple[int, int]:
        """The shard's first offset, and its last stable one."""
        where = self._where(shard)
        begins, ends = (await self._consumer.beginning_offsets([where]), await self._consumer.end_offsets([where]))
        return int(begins[where]), int(ends[where])

    async def read(self, shard: Shard, start: int = 0, stop: int | None = None) -> list[Record]:
        """The records from ``start`` up to, not including, ``stop``, oldest first; to the end where it is None."""
        begin, end = await self.bounds(shard)
        start, stop = max(start, begin), end if stop is None else min(stop, end)
        where = self._assigned(shard, start)
        records: list[Record] = []
        while start < stop and await self._consumer.position(where) < stop:
            for raw in await self._fetched(where):
                if raw.offset < stop:
                    records.append(record_of(raw, self._prefix))
        return records

    async def read_until(
        self, shard: Shard, stop: int, enough: Callable[[list[Record]], bool], *, first: int = FIRST_TAIL_RECORDS
    ) -> list[Record]:
        """The records before ``stop``, oldest first: as many as ``enough`` wants, or all there are."""
        begin, _ = await self.bounds(shard)
        length = first
        while True:
            start = max(begin, stop - length)
            records = await self.read(shard, start, stop)
            if start == begin or enough(records):
                return records
            length *= 4

    async def find(self, shard: Shard, reached: Callable[[Record], bool]) -> int:
        """The offset of the first record that has ``reached`` what is looked for; the end where none has.

        By bisection: once a record has, all later ones have.
        """
        low, high = await self.bounds(shard)
        while low < high:
            middle = (low + high) // 2
            record = await self._first_from(shard, middle, high)
            if record is None or reached(record):
                high = middle
            else:
                low = record.offset + 1
        return low

    async def find_id(self, topic: Topic, event_id: str) -> Record | None:
        """The record of the topic whose header has this id, the newest stretches first; no value is decoded."""
        partitions = 1 if topic.layout is Layout.SINGLE else self.partitions
        bounds = {p: await self.bounds(Shard(topic.name, p)) for p in range(partitions)}
        longest = max(end - begin for begin, end in bounds.values())
        for newest, oldest in _stretches(longest):
            for partition, (begin, end) in bounds.items():
                start, stop = max(begin, end - oldest), end - newest
                found = await self._with_id(Shard(topic.name, partition), start, stop, event_id.encode())
                if found is not None:
                    return found
        return None

    async def _with_id(self, shard: Shard, start: int, stop: int, event_id: bytes) -> Record | None:
        where = self._assigned(shard, start)
        while start < stop and await self._consumer.position(where) < stop:
            for raw in await self._fetched(where):
                if (ID_HEADER, event_id) in raw.headers:
                    return record_of(raw, self._prefix)
        return None

    async def _first_from(self, shard: Shard, start: int, stop: int) -> Record | None:
        where = self._assigned(shard, start)
        while await self._consumer.position(where) < stop:
            for raw in await self._fetched(where, records_max=1):
                return record_of(raw, self._prefix) if raw.offset < stop else None
        return None

    async def _fetched(self, where: TopicPartition, records_max: int | None = None) -> Sequence[ConsumerRecord]:
        fetched = await self._consumer.getmany(where, timeout_ms=FETCH_TIMEOUT_MS, max_records=records_max)
        return fetched.get(where, ())  # type: ignore[no-any-return]  # aiokafka is published without types

    def _assigned(self, shard: Shard, start: int) -> TopicPartition:
        where = self._where(shard)
        if self._consumer.assignment() != {where}:
            self._consumer.assign([where])
        self._consumer.seek(where, start)
        return where

    def _where(self, shard: Shard) -> TopicPartition:
        return TopicPartition(self._prefix + shard.topic, shard.partition)


def _stretches(longest: int) -> Iterator[tuple[int, int]]:
    """Distances from the end, from and to, each stretch four times as long as the one before."""
    newest, oldest = 0, FIRST_TAIL_RECORDS
    while newest < longest:
        yield newest, oldest
        newest, oldest = oldest, oldest * 4
