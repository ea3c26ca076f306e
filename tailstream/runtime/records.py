"""What comes in and what goes out, as plain values: the only words that runtime, decode and encode share."""

from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from aiokafka.partitioner import murmur2

from contracts.event import Event, Measured
from contracts.topics import BY_NAME, Layout, Topic


class Shard(NamedTuple):
    """One partition of one topic, by its logical name."""

    topic: str
    partition: int


class Record(NamedTuple):
    """A record as it came: raw bytes. ``topic`` is the logical name, without the prefix."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    timestamp_ms: int


class Rejected(NamedTuple):
    """A record, or the part of it that ``field`` names, that is refused; ``reason`` says what was expected and came."""

    record: Record
    reason: str
    field: str | None = None


class Emission(NamedTuple):
    """A record to be published. ``value`` None is a tombstone."""

    topic: Topic
    key: str
    portfolio_id: str | None
    value: bytes | None
    event_id: UUID | None = None
    correlation_id: str | None = None
    """Names the record that caused this one: ``topic:partition:offset``."""


def emission(
    topic: Topic, event: Event, *, key: str, portfolio_id: str | None = None, cause: str | None = None
) -> Emission:
    """``event`` as a record of ``topic``; its id is the event's own where it has one."""
    event_id = event.event_id if isinstance(event, Measured) else getattr(event, "event_id", None)
    return Emission(topic, key, portfolio_id, event.to_json(), event_id, cause)


@lru_cache(maxsize=65_536)
def partition_of(portfolio_id: str, partitions: int) -> int:
    """The partition of a portfolio's records on every portfolio topic: Kafka's default partitioner."""
    return int((murmur2(portfolio_id.encode()) & 0x7FFFFFFF) % partitions)


def misplaced(record: Record, portfolio_id: str, partitions: int) -> Rejected | None:
    """The refusal of a record that is not in its portfolio's partition, or not under its portfolio's key."""
    expected = partition_of(portfolio_id, partitions)
    if record.partition != expected:
        return Rejected(record, f"partition: expected {expected} for portfolio {portfolio_id}, was {record.partition}")
    if record.key is None or record.key.split("/", 1)[0] != portfolio_id:
        return Rejected(record, f"key: expected {portfolio_id}, was {record.key}", "key")
    return None


def placement(topic: Topic, portfolio_id: str | None, partitions: int) -> int:
    """The partition that a record of ``topic`` goes to."""
    if topic.layout is Layout.SINGLE:
        return 0
    if portfolio_id is None:
        raise ValueError(f"portfolio_id: expected one for a record of {topic.name}, was None")
    return partition_of(portfolio_id, partitions)


def logical(name: str, prefix: str) -> str:
    """The logical name of the physical topic ``name``."""
    return name.removeprefix(prefix)


def event_of(record: Record) -> Event:
    """The record's event, read by the model that the table of topics names.

    Raises
    ------
    pydantic.ValidationError
        Naming every field that is missing or wrong.
    """
    return BY_NAME[record.topic].event.from_json(record.value or b"")
