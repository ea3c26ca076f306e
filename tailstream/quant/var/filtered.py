"""Filtered historical simulation: history at the volatility of tomorrow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.signal import lfilter

from tailstream.quant.arrays import ZERO_DISPERSION, Floats
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Simulation, Window, expect_minimum
from tailstream.quant.var.simulation import estimate_alone, simulated_estimate, simulation_declined

SEEDING_PERIODS = 20


@dataclass(frozen=True, slots=True)
class Filtered:
    """Each return of each instrument times `sigma_next / sigma_t`, then as `Historical`.

    Both are predictive EWMA volatilities, d the `decay`: `sigma_(t+1)^2 = d sigma_t^2 + (1 - d) r_t^2`, so that
    `sigma_t` is made of the returns before t, seeded with the mean square of the first 20. Where an instrument did
    not move before t, there is no `sigma_t` to divide by, and its return stays as it is.
    Hull & White (1998), Barone-Adesi, Giannopoulos & Vosper (1999).
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS
    decay: float = 0.94

    id: ClassVar[str] = "filtered"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.SCENARIOS
    averaged: ClassVar[bool] = True
    redrawn: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=1)
        if not 0.0 < self.decay < 1.0:
            raise ValueError(f"decay: expected a factor strictly between 0 and 1, was {self.decay}")

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        """The returns (n, T) of history, rescaled; nothing is drawn and nothing fitted. Parameters: decay."""
        refused = simulation_declined(returns, self.minimum_observations)
        return refused or Simulation.of({"decay": self.decay}, returns * _rescaling(returns, self.decay))

    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (T,) in the rescaled scenarios, in its unit. Parameters: decay."""
        return simulated_estimate(simulation, pnl, levels)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), oldest first, in its unit, rescaled as if it were one instrument."""
        return estimate_alone(self, pnl, levels)


def _rescaling(returns: Floats, decay: float) -> Floats:
    """`sigma_next / sigma_t` (n, T); 1 where `sigma_t` is nothing beside the largest return of the instrument."""
    deviations = _predicted_deviations(returns, decay)
    before, ahead = deviations[:, :-1], deviations[:, -1:]
    negligible = ZERO_DISPERSION * np.abs(returns).max(axis=1, keepdims=True)
    return np.divide(ahead, before, out=np.ones_like(returns), where=before > negligible)


def _predicted_deviations(returns: Floats, decay: float) -> Floats:
    """EWMA volatility (n, T + 1) before each of the returns (n, T), and after the last."""
    squares = returns * returns
    first = squares[:, :SEEDING_PERIODS]
    seed = np.add.reduce(first, axis=1, keepdims=True) / first.shape[1]
    later, _ = lfilter([1.0 - decay], [1.0, -decay], squares, axis=1, zi=decay * seed)
    deviations: Floats = np.sqrt(np.concatenate([seed, later], axis=1))
    return deviations
