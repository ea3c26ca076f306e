"""Analytics, put together: what it reads, what measures it, what it publishes."""

from functools import partial

from contracts.topics import ANALYTICS_LIVE, METRICS, VALUATIONS
from services.analytics.analyzers import ANALYZERS
from services.analytics.decode import decode
from services.analytics.encode import encode
from services.analytics.engine import Engine
from services.analytics.settings import AnalyticsSettings
from tailstream.fold.world import World
from tailstream.runtime.closing import INPUTS, ClosingService
from tailstream.runtime.records import partition_of
from tailstream.runtime.service import Service


def build(settings: AnalyticsSettings) -> Service:
    """One replica of analytics."""
    service = Service("analytics", settings, topics=(*INPUTS, METRICS, VALUATIONS, ANALYTICS_LIVE))
    make = partial(make_engine, settings)
    service.add(ClosingService(service, settings, engine=make, decode=decode, encode=encode, states=(VALUATIONS,)))
    return service


def make_engine(settings: AnalyticsSettings, partitions: int) -> Engine:
    """The engine of a system whose portfolio topics have so many partitions."""
    world = World(
        partition_of=lambda portfolio_id: partition_of(portfolio_id, partitions),
        partitions=partitions,
        window_periods=1,
        stale_after_periods=settings.stale_after_periods,
        min_rows_kept=settings.min_rows_kept,
    )
    return Engine(
        world,
        ANALYZERS,
        window_returns=settings.analytics_window,
        periods_per_year=settings.periods_per_year,
    )
