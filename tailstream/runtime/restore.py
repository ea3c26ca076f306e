"""Reading a shard back from the log: all of it, or as much of its end as the reader needs."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from tailstream.runtime.records import Record, Shard, logical
from tailstream.runtime.settings import ServiceSettings

FIRST_TAIL_RECORDS = 2_000
FETCH_TIMEOUT_MS = 200


def record_of(raw: ConsumerRecord, prefix: str) -> Record:
    """aiokafka's record in our words; a key that is not text is shown as text, for the refusal to name it."""
    key = raw.key.decode("utf-8", "backslashreplace") if raw.key is not None else None
    return Record(logical(raw.topic, prefix), raw.partition, raw.offset, key, raw.value, raw.timestamp)


@asynccontextmanager
async def _reader(settings: ServiceSettings, shard: Shard) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        await consumer.start()
        where = TopicPartition(settings.topic_prefix + shard.topic, shard.partition)
        consumer.assign([where])
        yield consumer, where
    finally:
        await consumer.stop()


async def end_offset(settings: ServiceSettings, shard: Shard) -> int:
    """The shard's last stable offset: what a read_committed reader may read up to now."""
    async with _reader(settings, shard) as (consumer, where):
        return int((await consumer.end_offsets([where]))[where])


async def read_back(settings: ServiceSettings, shard: Shard, *, start: int = 0) -> list[Record]:
    """All committed records of the shard from ``start`` to its last stable offset, oldest first."""
    async with _reader(settings, shard) as (consumer, where):
        end = (await consumer.end_offsets([where]))[where]
        begin = (await consumer.beginning_offsets([where]))[where]
        return await _read(consumer, where, max(start, begin), end, settings.topic_prefix)


async def read_tail(
    settings: ServiceSettings, shard: Shard, enough: Callable[[list[Record]], bool], *, first: int = FIRST_TAIL_RECORDS
) -> list[Record]:
    """The end of the shard, oldest first: as many records as ``enough`` wants, or all there are.

    Reads the last ``first`` offsets, then four times as many, and so on.
    """
    async with _reader(settings, shard) as (consumer, where):
        end = (await consumer.end_offsets([where]))[where]
        begin = (await consumer.beginning_offsets([where]))[where]
        length = first
        while True:
            start = max(begin, end - length)
            records = await _read(consumer, where, start, end, settings.topic_prefix)
            if start == begin or enough(records):
                return records
            length *= 4


async def _read(consumer: AIOKafkaConsumer, where: TopicPartition, start: int, end: int, prefix: str) -> list[Record]:
    consumer.seek(where, start)
    records: list[Record] = []
    while await consumer.position(where) < end:  # the position, not the last record: transaction markers count too
        fetched = await consumer.getmany(where, timeout_ms=FETCH_TIMEOUT_MS)
        records.extend(record_of(raw, prefix) for raw in fetched.get(where, ()) if raw.offset < end)
    return records
