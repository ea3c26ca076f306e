"""Risk, put together: what it reads, what measures it, what it publishes."""

from dataclasses import fields
from functools import partial
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from contracts.topics import BACKTESTS, REPLIES, REQUESTS, RISK, RISK_LIVE
from services.risk.decode import decode
from services.risk.encode import encode
from services.risk.engine import Engine
from services.risk.settings import RiskSettings
from services.risk.stress import StressBook
from services.risk.terms import Terms
from tailstream.fold.world import World
from tailstream.runtime.closing import INPUTS, ClosingService
from tailstream.runtime.decoding import explain
from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.plugins import methods
from tailstream.runtime.records import partition_of
from tailstream.runtime.service import Service


def build(settings: RiskSettings) -> Service:
    """One replica of risk."""
    service = Service("risk", settings, topics=(*INPUTS, RISK, BACKTESTS, RISK_LIVE, REQUESTS, REPLIES))
    service.add(
        ClosingService(
            service,
            settings,
            engine=partial(make_engine, settings),
            decode=decode,
            encode=encode,
            states=(RISK, BACKTESTS),
            requests=REQUESTS,
        )
    )
    return service


def make_engine(settings: RiskSettings, partitions: int) -> Engine:
    """The engine of a system whose portfolio topics have so many partitions."""
    world = World(
        partition_of=lambda portfolio_id: partition_of(portfolio_id, partitions),
        partitions=partitions,
        window_periods=settings.history_periods,
        stale_after_periods=settings.stale_after_periods,
        min_rows_kept=settings.min_rows_kept,
    )
    asked = {
        field.name: getattr(settings, field.name)
        for field in fields(Terms)
        if field.name in type(settings).model_fields
    }
    terms = Terms(**asked)
    installed = methods(settings.scenarios_min, settings.var_methods or None)
    return Engine(world, installed, terms, stress_book(settings.stress_file))


def stress_book(path: Path | None) -> StressBook:
    """The stress scenarios of a YAML file, or those that are delivered.

    Raises
    ------
    ConfigurationError
        Naming the file, and what in it is wrong.
    """
    source = path or files("services.risk") / "stress.yaml"
    try:
        return StressBook.model_validate(yaml.safe_load(source.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{source}: {error}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{source}: {explain(error)}") from error
