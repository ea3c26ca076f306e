"""Risk, put together: what it reads, what measures it, what it publishes."""

from functools import partial

from contracts.topics import RISK, RISK_LIVE
from services.risk.encode import encode
from services.risk.engine import Engine
from services.risk.settings import RiskSettings
from tailstream.fold.world import World
from tailstream.quant.var import methods
from tailstream.runtime.closing import INPUTS, ClosingService
from tailstream.runtime.records import partition_of
from tailstream.runtime.service import Service


def build(settings: RiskSettings) -> Service:
    """One replica of risk."""
    service = Service("risk", settings, topics=(*INPUTS, RISK, RISK_LIVE))
    service.add(ClosingService(service, settings, engine=partial(make_engine, settings), encode=encode, state=RISK))
    return service


def make_engine(settings: RiskSettings, partitions: int) -> Engine:
    """The engine of a system whose portfolio topics have so many partitions."""
    world = World(
        partition_of=lambda portfolio_id: partition_of(portfolio_id, partitions),
        partitions=partitions,
        window_periods=settings.scenario_window,
        stale_after_periods=settings.stale_after_periods,
        min_rows_kept=settings.min_rows_kept,
    )
    return Engine(
        world,
        methods(settings.scenarios_min),
        levels=settings.var_levels,
        scenarios_min=settings.scenarios_min,
        min_coverage=settings.min_coverage,
    )
