"""Settings of risk, beside what every service has."""

from typing import Annotated

from pydantic import Field, field_validator

from tailstream.runtime.settings import ClosingSettings


class RiskSettings(ClosingSettings):
    """How VaR and ES are measured."""

    scenario_window: Annotated[int, Field(ge=1)] = 500
    """Past periods whose returns are the scenarios."""
    scenarios_min: Annotated[int, Field(ge=2)] = 250
    """Fewer observations of an instrument leave it uncovered; fewer scenarios leave a figure ``insufficient``."""
    min_coverage: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Below this share of gross exposure a figure is ``degraded``."""
    var_levels: tuple[float, ...] = (0.95, 0.975, 0.99, 0.995)
    """Confidence levels, ascending."""

    @field_validator("var_levels")
    @classmethod
    def _confidences(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if not levels or any(not 0.5 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
            raise ValueError("expected ascending confidence levels between 0.5 and 1, as 0.95,0.99")
        return levels
