"""What risk publishes: Value at Risk and Expected Shortfall of the current holdings, positive = loss."""

from typing import Annotated

from pydantic import Field

from contracts.event import Figure, InstrumentId, Measured, Part, Status


class TailRisk(Part):
    """VaR and ES at one level, in money and as a fraction of NAV; a negative VaR is a gain."""

    var: float | None
    es: float | None
    var_fraction: float | None
    es_fraction: float | None


class MethodRisk(Part):
    """One method's figures; ``levels`` is keyed by the confidence as written: ``"0.99"``."""

    status: Status
    reason: str | None = None
    parameters: dict[str, float] = Field(default_factory=dict)
    levels: dict[str, TailRisk]


class RiskMeasured(Measured):
    """VaR and ES by every method and level, over ``n_obs`` scenarios of the current holdings."""

    nav: Figure
    gross: Figure
    n_obs: Annotated[int, Field(ge=0)]
    uncovered: tuple[InstrumentId, ...] = ()
    """Positions left out of the scenarios, never scaled up."""
    methods: dict[str, MethodRisk]
