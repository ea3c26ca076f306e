"""From raw records to what arrived, or the reason why it is refused."""

from collections.abc import Sequence
from typing import cast

from pydantic import ValidationError

from contracts.event import Measured
from contracts.topics import BY_NAME
from services.recorder.engine import Arrival, Recorded
from tailstream.runtime.records import Record, Rejected, event_of, misplaced


def decode(records: Sequence[Record], partitions: int) -> tuple[list[Arrival], list[Rejected]]:
    """Sort ``records`` into accepted and refused ones, each judged alone.

    The tombstone of a compacted topic is neither: it takes nothing back from history. ``partitions`` is the number of
    partitions of the portfolio topics.
    """
    accepted: list[Arrival] = []
    rejected: list[Rejected] = []
    for record in records:
        if record.value is None and BY_NAME[record.topic].compacted:
            continue
        verdict = _judge(record, partitions)
        if isinstance(verdict, Arrival):
            accepted.append(verdict)
        else:
            rejected.append(verdict)
    return accepted, rejected


def explain(error: ValidationError) -> str:
    """Each wrong field with what was expected and what came, cut where it would be too long to read."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}, was {str(e['input'])[:100]!r}"
        for e in error.errors()[:5]
    )


def _judge(record: Record, partitions: int) -> Arrival | Rejected:
    if record.value is None:
        return Rejected(record, "record: expected an event, was a tombstone")
    try:
        event = cast(Recorded, event_of(record))
    except ValidationError as error:
        return Rejected(record, explain(error))
    if isinstance(event, Measured) and event.period is None:
        return Rejected(record, "period: expected the closed period of a closing figure, was null", "period")
    return misplaced(record, event.portfolio_id, partitions) or Arrival(record, event)
