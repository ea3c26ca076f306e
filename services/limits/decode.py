"""Records to arrivals: what limits read of each topic, and why the rest is refused."""

from collections.abc import Sequence

from pydantic import ValidationError

from contracts.event import Arrival, Basis, Event, Measured
from contracts.limits import LimitCommandIssued
from contracts.topics import ANALYTICS_LIVE, COMMANDS, METRICS, RISK, RISK_LIVE, VALUATIONS, Topic
from services.limits.figures import ANALYZER_FIGURES
from services.limits.waiting import Place
from tailstream.runtime.records import Record, Rejected, event_of, misplaced

INPUTS: tuple[Topic, ...] = (METRICS, VALUATIONS, ANALYTICS_LIVE, RISK, RISK_LIVE, COMMANDS)
_BASIS = {
    METRICS.name: Basis.CLOSE,
    VALUATIONS.name: Basis.CLOSE,
    RISK.name: Basis.CLOSE,
    ANALYTICS_LIVE.name: Basis.LIVE,
    RISK_LIVE.name: Basis.LIVE,
}
_OTHER_ANALYZERS = (b'"analyzer":"returns"',)
"""As our own producer writes them: recognised without being read, because no limit is held against their figures."""


def decode(records: Sequence[Record], partitions: int) -> tuple[list[Arrival], list[Rejected]]:
    """The arrivals in the order of their records, and the refused records; what no limit needs is neither."""
    arrivals, rejected = list[Arrival](), list[Rejected]()
    for record in records:
        if _is_needed(record):
            match _read(record, partitions):
                case Rejected() as refusal:
                    rejected.append(refusal)
                case Arrival(event=event) as arrival if _is_evaluated(event):
                    arrivals.append(arrival)
    return arrivals, rejected


def restored(place: Place, value: bytes) -> Arrival:
    """A record that was accepted, and stored to wait for the rest of its close."""
    event = event_of(Record(*place, None, value, 0))
    assert isinstance(event, Measured)
    return Arrival(*place, event.portfolio_id, event)


def _is_needed(record: Record) -> bool:
    if record.value is None:
        return record.topic not in (ANALYTICS_LIVE.name, RISK_LIVE.name)  # there it says: no live figures any more
    return record.topic != METRICS.name or not any(name in record.value for name in _OTHER_ANALYZERS)


def _is_evaluated(event: Event | None) -> bool:
    analyzer = getattr(event, "analyzer", None)
    return analyzer is None or analyzer in ANALYZER_FIGURES


def _read(record: Record, partitions: int) -> Arrival | Rejected:
    if record.value is None:
        return Rejected(record, "value: expected an event, was a tombstone")
    try:
        event = event_of(record)
    except ValidationError as error:
        return _refused(record, error)
    assert isinstance(event, Measured | LimitCommandIssued)
    refusal = misplaced(record, event.portfolio_id, partitions) or _of_wrong_basis(record, event)
    return refusal or Arrival(record.topic, record.partition, record.offset, record.key or "", event)


def _refused(record: Record, error: ValidationError) -> Rejected:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    was = repr(first["input"])[:80]
    return Rejected(record, f"{field or 'value'}: {first['msg']}, was {was}", field)


def _of_wrong_basis(record: Record, event: Measured | LimitCommandIssued) -> Rejected | None:
    if not isinstance(event, Measured):
        return None
    expected = _BASIS[record.topic]
    if event.basis != expected:
        return Rejected(record, f"basis: expected {expected} on {record.topic}, was {event.basis}", "basis")
    if (event.period is None) != (expected == Basis.LIVE):
        wanted = "null" if expected == Basis.LIVE else "one"
        return Rejected(record, f"period: expected {wanted} on {record.topic}, was {event.period}", "period")
    return None
