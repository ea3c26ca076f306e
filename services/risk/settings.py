"""Settings of risk, beside what every service has."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from tailstream.runtime.settings import ClosingSettings


class RiskSettings(ClosingSettings):
    """How VaR and ES are measured."""

    var_methods: tuple[str, ...] = ()
    """Ids of the methods, in publishing order; empty is all that are installed, but for variants of another."""
    var_levels: tuple[float, ...] = (0.95, 0.975, 0.99, 0.995)
    """Confidence levels, ascending."""
    scenario_window: Annotated[int, Field(ge=1)] = 500
    """Past periods whose returns are the scenarios."""
    fit_window: Annotated[int, Field(ge=1)] = 1_000
    """Past periods that a distribution or process is fitted to."""
    scenarios_min: Annotated[int, Field(ge=2)] = 250
    """Fewer observations of an instrument leave it uncovered; fewer scenarios leave a figure ``insufficient``."""
    min_coverage: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Below this share of gross exposure a figure is ``degraded``."""
    refit_every: Annotated[int, Field(ge=1)] = 20
    """Closes from one fit of a portfolio's models to the next; portfolios take turns."""
    horizons: tuple[Annotated[int, Field(ge=2, le=250)], ...] = (10, 20)
    """Horizons in periods beside that of one."""
    contribution_level: Annotated[float, Field(gt=0.5, lt=1)] = 0.975
    """Confidence level of the decomposition."""
    stress_file: Path | None = None
    """YAML of the stress scenarios; without one, those that are delivered."""
    stressed_window: Annotated[int, Field(ge=50)] = 250
    """Periods of the window of the past that stressed VaR looks for."""
    stressed_every: Annotated[int, Field(ge=1)] = 60
    """Closes from one search for that window to the next; portfolios take turns."""
    history_periods: Annotated[int, Field(ge=250)] = 10_000
    """How many periods back that search and the historical stress scenarios reach."""

    @field_validator("var_levels")
    @classmethod
    def _confidences(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if not levels or any(not 0.5 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
            raise ValueError("expected ascending confidence levels between 0.5 and 1, as 0.95,0.99")
        return levels

    @model_validator(mode="after")
    def _enough_in_each_window(self) -> Self:
        shortest = min(self.scenario_window, self.fit_window)
        if self.scenarios_min > shortest:
            raise ValueError(
                f"scenarios_min: expected at most {shortest}, the periods of a window, was {self.scenarios_min}"
            )
        return self

    @model_validator(mode="after")
    def _windows_within_history(self) -> Self:
        longest = max(self.scenario_window, self.fit_window) + self.refit_every + max(self.horizons, default=0)
        if self.history_periods < longest:
            raise ValueError(
                f"history_periods: expected at least {longest} for the windows, was {self.history_periods}"
            )
        return self
