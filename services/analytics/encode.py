"""What analytics puts on the bus."""

from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Basis, Event
from contracts.topics import ANALYTICS_LIVE, METRICS, VALUATIONS
from tailstream.runtime.records import Emission, emission


def encode(event: Event, cause: str) -> Emission:
    """The record of an event of the engine; ``cause`` names the record that it follows from."""
    match event:
        case PortfolioValued(portfolio_id=portfolio_id):
            return emission(VALUATIONS, event, key=portfolio_id, portfolio_id=portfolio_id, cause=cause)
        case AnalyticsComputed(portfolio_id=portfolio_id, basis=Basis.CLOSE):
            return emission(METRICS, event, key=portfolio_id, portfolio_id=portfolio_id, cause=cause)
        case AnalyticsComputed(portfolio_id=portfolio_id, analyzer=analyzer):
            return emission(
                ANALYTICS_LIVE, event, key=f"{portfolio_id}/{analyzer}", portfolio_id=portfolio_id, cause=cause
            )
    raise TypeError(f"event: expected one that analytics publishes, was {type(event).__name__}")
