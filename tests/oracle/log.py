"""What stands on the log and in history, as raw records."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

POLL_MS = 200
ROWS_AT_ONCE = 1_000


class Raw(NamedTuple):
    """A record of the log; ``text`` None is a tombstone."""

    key: str
    partition: int
    offset: int
    text: str | None

    @property
    def value(self) -> Any:
        """The record's JSON; None for a tombstone."""
        return None if self.text is None else json.loads(self.text)


async def read_topic(kafka: str, topic: str) -> list[Raw]:
    """All that is committed on a topic, each partition in its order.

    Raises
    ------
    LookupError
        When there is no such topic.
    """
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        return await _read_to_the_end(consumer, sorted(consumer.assignment()))
    except UnknownTopicOrPartitionError as error:
        raise LookupError(f"{topic}: expected a topic of {kafka}, there is none") from error
    finally:
        await consumer.stop()


async def _read_to_the_end(consumer: AIOKafkaConsumer, where: list[TopicPartition]) -> list[Raw]:
    ends = await consumer.end_offsets(where)
    records: list[Raw] = []
    while [one for one in where if await consumer.position(one) < ends[one]]:
        for fetched in (await consumer.getmany(*where, timeout_ms=POLL_MS)).values():
            records += (
                Raw(r.key.decode(), r.partition, r.offset, None if r.value is None else r.value.decode())
                for r in fetched
            )
    return records


def read_table(postgres: str, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    """These columns of every row of a table of history."""
    with psycopg.connect(postgres) as connection, connection.cursor(name="oracle") as rows:
        rows.itersize = ROWS_AT_ONCE
        yield from rows.execute(f"select {', '.join(columns)} from history.{table}")
