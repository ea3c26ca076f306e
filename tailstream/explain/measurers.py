"""The services whose closing events can be recomputed: their engines, what they publish and what they restore from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from contracts.topics import BACKTESTS, METRICS, RISK, VALUATIONS, Topic
from services.analytics import app as analytics
from services.analytics.encode import encode as encode_analytics
from services.analytics.settings import AnalyticsSettings
from services.risk import app as risk
from services.risk.encode import encode as encode_risk
from services.risk.settings import RiskSettings
from tailstream.runtime.closing import ClosingEngine, Encoder
from tailstream.runtime.decoding import explain
from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.settings import ClosingSettings

Models = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measurer:
    """A service that measures closes."""

    name: str
    outputs: tuple[Topic, ...]
    states: tuple[Topic, ...]
    """Those of the outputs that it restores from."""
    settings: Callable[[Models], ClosingSettings]
    """Its settings as the environment has them, for the models that an event names."""
    make_engine: Callable[[Any, int], ClosingEngine]
    encode: Encoder


def _analytics_settings(models: Models) -> ClosingSettings:
    return AnalyticsSettings()


def _risk_settings(models: Models) -> ClosingSettings:
    """With the methods of the event, whatever others are in use by now."""
    return RiskSettings(var_methods=tuple(models))


def settings_of(measurer: Measurer, models: Models) -> ClosingSettings:
    """The service's settings.

    Raises
    ------
    ConfigurationError
        Naming what is wrong with the environment.
    """
    try:
        return measurer.settings(models)
    except ValidationError as error:
        raise ConfigurationError(f"TAILSTREAM_ environment of {measurer.name}: {explain(error)}") from error


ANALYTICS = Measurer(
    "analytics", (VALUATIONS, METRICS), (VALUATIONS,), _analytics_settings, analytics.make_engine, encode_analytics
)
RISKS = Measurer("risk", (RISK, BACKTESTS), (RISK, BACKTESTS), _risk_settings, risk.make_engine, encode_risk)

BY_OUTPUT: Mapping[str, Measurer] = MappingProxyType(
    {topic.name: measurer for measurer in (RISKS, ANALYTICS) for topic in measurer.outputs}
)
