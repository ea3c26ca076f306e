"""Monte Carlo: scenarios drawn from a distribution of all instruments together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.random import PCG64DXSM, Generator

from tailstream.quant.arrays import ZERO_DISPERSION, Floats
from tailstream.quant.covariance import cholesky, exact_product, ledoit_wolf
from tailstream.quant.var.degrees import fit_degrees, known_degrees
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Simulation, Window, expect_minimum
from tailstream.quant.var.simulation import estimate_alone, simulated_estimate, simulation_declined

DRAWS = 10_000
"""Scenarios, half of them the other half with its sign turned."""


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """10,000 seeded draws of a multivariate normal with the sample's means and deviations (ddof = 1).

    Correlations are shrunk as Ledoit & Wolf (2004) do it, applied to standardised returns: an instrument keeps its own
    variance, whatever stands beside it. Draws are antithetic, so that the means are exact. For a book that is linear
    in its instruments this is noise around `Normal`, and no member of the average.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS

    id: ClassVar[str] = "monte_carlo"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.SCENARIOS
    averaged: ClassVar[bool] = False
    redrawn: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=2)

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        """Draw (n, 10000) from the normal of returns (n, T); nothing is fitted. Parameters: draws, shrinkage."""
        return simulation_declined(returns, self.minimum_observations) or _drawn(_market(returns), seed, None)

    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (10000,) in the drawn scenarios, in its unit, with the parameters of `simulate`."""
        return simulated_estimate(simulation, pnl, levels)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), in its unit, drawn from one fixed seed as if it were one instrument."""
        return estimate_alone(self, pnl, levels)


@dataclass(frozen=True, slots=True)
class MonteCarloT(MonteCarlo):
    """As `MonteCarlo`, of a multivariate t with the same means, deviations and correlations.

    Its scale is `sd sqrt((df - 2) / df)`, not sd. All instruments share df, which maximises the likelihood of their
    standardised returns taken as independent: a composite likelihood, Varin, Reid & Firth (2011), which holds with more
    instruments than periods too.
    """

    id: ClassVar[str] = "monte_carlo_t"

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        """Draw (n, 10000) from the t of returns (n, T); `fitted` spares fitting df. Parameters: draws, shrinkage, df.

        Raises ValueError when `fitted` has no df from 2.1 to 200.
        """
        refused = simulation_declined(returns, self.minimum_observations)
        if refused:
            return refused
        market = _market(returns)
        return _drawn(market, seed, known_degrees(fitted) if fitted else _fitted_degrees(market.standardised))


class _Market(NamedTuple):
    """Means and deviations (n,), which instruments move at all, and the standardised returns (m, T) of those."""

    means: Floats
    deviations: Floats
    moving: np.ndarray[tuple[int], np.dtype[np.bool_]]
    standardised: Floats


def _market(returns: Floats) -> _Market:
    means = np.add.reduce(returns, axis=1) / returns.shape[1]
    away = returns - means[:, None]
    deviations = np.sqrt(np.add.reduce(away * away, axis=1) / (returns.shape[1] - 1))
    moving = deviations > ZERO_DISPERSION * np.maximum(1.0, np.abs(means))
    return _Market(means, deviations, moving, away[moving] / deviations[moving, None])


def _drawn(market: _Market, seed: int, df: float | None) -> Simulation:
    correlation, shrinkage = ledoit_wolf(market.standardised)
    generator = Generator(PCG64DXSM(seed))
    independent = generator.standard_normal((market.standardised.shape[0], DRAWS // 2))
    shocks = exact_product(cholesky(correlation), independent)
    parameters = {"draws": float(DRAWS), "shrinkage": shrinkage}
    if df is not None:
        shocks *= _unit_variance_mixing(generator, df)
        parameters["df"] = df
    return Simulation.of(parameters, _scenarios(market, shocks))


def _unit_variance_mixing(generator: Generator, df: float) -> Floats:
    """What makes normal shocks, a scenario each, t with variance 1: `sqrt(df / chi2)` times `sqrt((df - 2) / df)`."""
    return np.sqrt((df - 2.0) / generator.chisquare(df, DRAWS // 2))


def _scenarios(market: _Market, shocks: Floats) -> Floats:
    """Returns (n, 10000): the shocks (m, 5000) in units of the instruments, and the same with their sign turned."""
    returns = np.repeat(market.means[:, None], DRAWS, axis=1)
    moves = shocks * market.deviations[market.moving, None]
    returns[market.moving, : DRAWS // 2] += moves
    returns[market.moving, DRAWS // 2 :] -= moves
    return returns


def _fitted_degrees(standardised: Floats) -> float:
    squares = standardised * standardised
    return fit_degrees(lambda df: log_likelihood(df, squares))


def log_likelihood(df: float, squares: Floats) -> float:
    """Of t distributions with variance 1, df > 2, at standardised returns of which the squares are given."""
    constant = math.lgamma((df + 1.0) / 2.0) - math.lgamma(df / 2.0) - math.log(math.pi * (df - 2.0)) / 2.0
    tails = float(np.add.reduce(np.log1p(squares / (df - 2.0)), axis=None))
    return squares.size * constant - (df + 1.0) / 2.0 * tails
