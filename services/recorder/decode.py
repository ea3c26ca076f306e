"""From raw records to what arrived, or the reason why it is refused."""

from collections.abc import Sequence
from typing import cast

from pydantic import ValidationError

from contracts.event import Measured
from contracts.topics import BY_NAME
from services.recorder.engine import Entry, Recorded
from tailstream.runtime.decoding import explain
from tailstream.runtime.records import Record, Rejected, event_of, misplaced


def decode(records: Sequence[Record], partitions: int) -> tuple[list[Entry], list[Rejected]]:
    """Sort ``records`` into accepted and refused ones, each judged alone.

    The tombstone of a compacted topic is neither: it takes nothing back from history. ``partitions`` is the number of
    partitions of the portfolio topics.
    """
    accepted: list[Entry] = []
    rejected: list[Rejected] = []
    for record in records:
        if record.value is None and BY_NAME[record.topic].compacted:
            continue
        verdict = _judge(record, partitions)
        if isinstance(verdict, Entry):
            accepted.append(verdict)
        else:
            rejected.append(verdict)
    return accepted, rejected


def _judge(record: Record, partitions: int) -> Entry | Rejected:
    if record.value is None:
        return Rejected(record, "record: expected an event, was a tombstone")
    try:
        event = cast(Recorded, event_of(record))
    except ValidationError as error:
        return Rejected(record, explain(error))
    if isinstance(event, Measured) and event.period is None:
        return Rejected(record, "period: expected the closed period of a closing figure, was null", "period")
    return misplaced(record, event.portfolio_id, partitions) or Entry(record, event)
