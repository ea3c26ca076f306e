"""Records to arrivals: what limits read of each topic, and why the rest is refused."""

from collections.abc import Sequence

from contracts.event import Arrival, Basis, Measured
from contracts.topics import ANALYTICS_LIVE, COMMANDS, METRICS, RISK, RISK_LIVE, VALUATIONS, Topic
from services.limits.figures import ANALYZER_FIGURES
from services.limits.waiting import Place
from tailstream.runtime import decoding
from tailstream.runtime.records import Record, Rejected, event_of

INPUTS: tuple[Topic, ...] = (METRICS, VALUATIONS, ANALYTICS_LIVE, RISK, RISK_LIVE, COMMANDS)
_LIVE = frozenset({ANALYTICS_LIVE.name, RISK_LIVE.name})
_OTHER_ANALYZERS = (b'"analyzer":"returns"',)
"""As our own producer writes them: recognised without being read, because no limit is held against their figures."""


def decode(records: Sequence[Record], partitions: int) -> tuple[list[Arrival], list[Rejected]]:
    """The arrivals in the order of their records, and the refused records; what no limit needs is neither."""
    read, rejected = decoding.decode([record for record in records if _is_needed(record)], partitions)
    arrivals = list[Arrival]()
    for arrival in read:
        if (wrong := _wrong_basis(arrival)) is not None:
            rejected.append(Rejected(_record_at(arrival, records), wrong[1], wrong[0]))
        elif _is_evaluated(arrival):
            arrivals.append(arrival)
    return arrivals, rejected


def restored(place: Place, value: bytes) -> Arrival:
    """A record that was accepted, and stored to wait for the rest of its close."""
    event = event_of(Record(*place, None, value, 0))
    assert isinstance(event, Measured)
    return Arrival(*place, event.portfolio_id, event)


def _is_needed(record: Record) -> bool:
    return record.topic != METRICS.name or not any(name in (record.value or b"") for name in _OTHER_ANALYZERS)


def _is_evaluated(arrival: Arrival) -> bool:
    """Not a tombstone, which says that there are no live figures any more, nor an analyzer that no limit knows."""
    analyzer = getattr(arrival.event, "analyzer", None)
    return arrival.event is not None and (analyzer is None or analyzer in ANALYZER_FIGURES)


def _wrong_basis(arrival: Arrival) -> tuple[str, str] | None:
    """The field that does not go with the topic, and why."""
    event = arrival.event
    if not isinstance(event, Measured):
        return None
    basis = Basis.LIVE if arrival.topic in _LIVE else Basis.CLOSE
    if event.basis != basis:
        return "basis", f"basis: expected {basis} on {arrival.topic}, was {event.basis}"
    if (event.period is None) != (basis == Basis.LIVE):
        wanted = "null" if basis == Basis.LIVE else "a period"
        return "period", f"period: expected {wanted} on {arrival.topic}, was {event.period}"
    return None


def _record_at(arrival: Arrival, records: Sequence[Record]) -> Record:
    return next(record for record in records if record[:3] == arrival[:3])
