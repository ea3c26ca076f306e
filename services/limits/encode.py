"""What the engine announces, as records."""

from contracts.alerts import AlertChanged
from contracts.limits import LimitCommandDecided, LimitState
from contracts.topics import ALERTS, OUTCOMES, STATES
from services.limits.engine import Announcement
from tailstream.runtime.records import Emission, emission


def encode(announcement: Announcement) -> Emission:
    """The record of one announced event; its correlation id names the record that caused it."""
    event, cause = announcement.event, ":".join(map(str, announcement.cause))
    match event:
        case LimitState():
            key = f"{event.portfolio_id}/{event.limit_id}"
            return emission(STATES, event, key=key, portfolio_id=event.portfolio_id, cause=cause)
        case AlertChanged():
            return emission(ALERTS, event, key=event.portfolio_id, portfolio_id=event.portfolio_id, cause=cause)
        case LimitCommandDecided():
            return emission(OUTCOMES, event, key=event.portfolio_id, portfolio_id=event.portfolio_id, cause=cause)
    raise TypeError(f"expected an event that limits publish, was {type(event).__name__}")
