"""What risk puts on the bus."""

from contracts.event import Basis, Event
from contracts.risk import RiskBacktested, RiskMeasured, WhatIfMeasured
from contracts.topics import BACKTESTS, REPLIES, RISK, RISK_LIVE
from tailstream.runtime.records import Emission, emission


def encode(event: Event, cause: str) -> Emission:
    """The record of an event of the engine; ``cause`` names the record that it follows from."""
    match event:
        case RiskMeasured(portfolio_id=portfolio_id, basis=basis):
            topic = RISK if basis == Basis.CLOSE else RISK_LIVE
        case RiskBacktested(portfolio_id=portfolio_id):
            topic = BACKTESTS
        case WhatIfMeasured(portfolio_id=portfolio_id):
            topic = REPLIES
        case _:
            raise TypeError(f"event: expected one that risk publishes, was {type(event).__name__}")
    return emission(topic, event, key=portfolio_id, portfolio_id=portfolio_id, cause=cause)
