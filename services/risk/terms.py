"""What figures are asked for, and how far back they look."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailstream.quant.backtest import BASEL_OBSERVATIONS
from tailstream.quant.var import Window


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that figures depend on; but for the last the names are those of the settings."""

    var_levels: tuple[float, ...]
    scenario_window: int
    fit_window: int
    scenarios_min: int
    min_coverage: float
    refit_every: int
    horizons: tuple[int, ...]
    contribution_level: float
    stressed_window: int
    stressed_every: int
    backtest_window: int = BASEL_OBSERVATIONS
    """Closes that backtests and the weights of the average look back on: no setting, because zones are for so many."""

    @property
    def windows(self) -> Mapping[Window, int]:
        """Periods by the kind of window."""
        return {Window.SCENARIOS: self.scenario_window, Window.FIT: self.fit_window}
