"""From raw records to what arrived, or the reason why it is refused."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError

from contracts.topics import BY_NAME
from services.recorder.tables import TABLES
from tailstream.runtime.decoding import explain
from tailstream.runtime.records import Record, Rejected, event_of, misplaced
from tailstream.runtime.structs import struct_of


class Accepted(NamedTuple):
    """A record that is to be recorded, and the event in it."""

    record: Record
    event: Any
    """Has the fields of the topic's event."""

    @property
    def topic(self) -> str:
        """The topic it came from."""
        return self.record.topic


_READERS = {table.topic.name: msgspec.json.Decoder(struct_of(table.topic.event)).decode for table in TABLES}
_CLOSING = frozenset(table.topic.name for table in TABLES if "revision" in table.key)


def decode(records: Sequence[Record], partitions: int) -> tuple[list[Accepted], list[Rejected]]:
    """Sort ``records`` into accepted and refused ones, each judged alone.

    The tombstone of a compacted topic is neither: it takes nothing back from history. ``partitions`` is the number of
    partitions of the portfolio topics.
    """
    accepted: list[Accepted] = []
    rejected: list[Rejected] = []
    for record in records:
        if record.value is None and BY_NAME[record.topic].compacted:
            continue
        verdict = _judge(record, partitions)
        if isinstance(verdict, Accepted):
            accepted.append(verdict)
        else:
            rejected.append(verdict)
    return accepted, rejected


def _judge(record: Record, partitions: int) -> Accepted | Rejected:
    if record.value is None:
        return Rejected(record, "value: expected an event, was a tombstone")
    try:
        event = _event(record, record.value)
    except ValidationError as error:
        return Rejected(record, explain(error))
    if record.topic in _CLOSING and event.period is None:
        return Rejected(record, "period: expected the closed period of a closing figure, was null", "period")
    return misplaced(record, event.portfolio_id, partitions) or Accepted(record, event)


def _event(record: Record, value: bytes) -> Any:
    """The event as a struct, which is quick; what that refuses is for the contract to judge, and to explain."""
    try:
        return _READERS[record.topic](value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return event_of(record)
