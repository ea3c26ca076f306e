"""What risk puts on the bus."""

from contracts.event import Basis, Event
from contracts.risk import RiskMeasured
from contracts.topics import RISK, RISK_LIVE
from tailstream.runtime.records import Emission, emission


def encode(event: Event, cause: str) -> Emission:
    """The record of an event of the engine; ``cause`` names the record that it follows from."""
    if not isinstance(event, RiskMeasured):
        raise TypeError(f"event: expected RiskMeasured, was {type(event).__name__}")
    topic = RISK if event.basis == Basis.CLOSE else RISK_LIVE
    return emission(topic, event, key=event.portfolio_id, portfolio_id=event.portfolio_id, cause=cause)
