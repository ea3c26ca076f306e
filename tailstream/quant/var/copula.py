"""Copulas: each instrument has its own distribution, and a t or Gaussian copula joins them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.random import PCG64DXSM, Generator

from tailstream.quant.arrays import Floats
from tailstream.quant.covariance import cholesky, exact_product, kendall, normal_scores, positive_definite
from tailstream.quant.var.copula_likelihood import copula_likelihood
from tailstream.quant.var.degrees import LARGEST, fit_degrees, known_degrees
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Simulation, Window, expect_minimum
from tailstream.quant.var.margins import margin_quantiles
from tailstream.quant.var.simulation import estimate_alone, simulated_estimate, simulation_declined

DRAWS = 20_000
"""Scenarios, half of them the other half with its sign turned before the margins are put on."""

KENDALL_INSTRUMENTS_MAX = 30
"""Above it correlations are those of normal scores, and the likelihood is that of groups no larger."""

_PROBABILITIES = (np.arange(DRAWS) + 0.5) / DRAWS


@dataclass(frozen=True, slots=True)
class Copula:
    """20,000 seeded draws of a t copula with semi-parametric margins (`margin_quantiles`).

    Correlations are `sin(pi tau / 2)` with Kendall's tau up to 30 instruments and those of normal scores above, made
    positive definite. Given them, df maximises the likelihood of the pseudo-observations `rank / (T + 1)`; above 30
    instruments that of groups of at most 30, multiplied: the likelihood of all at once needs many more periods than
    instruments. Each margin is met exactly: the k-th smallest draw of an instrument is its quantile at
    `(k - 1/2) / 20000`, Packham & Schmidt (2010). Demarta & McNeil (2005); McNeil, Frey & Embrechts (2015), ch. 7.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS

    id: ClassVar[str] = "copula"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.FIT
    averaged: ClassVar[bool] = True
    redrawn: ClassVar[bool] = False

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=2)

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        """Draw (n, 20000) from the copula of returns (n, T); `fitted` spares fitting df.

        Parameters: df (200, its bound, where fewer than two instruments move), correlation (the mean one between two
        instruments, 0 where there are none), instruments. Raises ValueError when `fitted` has no df from 2.1 to 200.
        """
        refused = simulation_declined(returns, self.minimum_observations)
        if refused:
            return refused
        market = _market(returns)
        df = known_degrees(fitted) if fitted else _fitted_degrees(market)
        return Simulation.of({"df": df, **_parameters(market)}, _drawn(market, seed, df))

    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (20000,) in the drawn scenarios, in its unit, with the parameters of `simulate`."""
        return simulated_estimate(simulation, pnl, levels)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), in its unit, as if it were one instrument: its margin alone, nothing joined."""
        return estimate_alone(self, pnl, levels)


@dataclass(frozen=True, slots=True)
class CopulaGaussian(Copula):
    """As `Copula`, with the normal copula that the t has as its limit: large losses do not come together.

    It is nested in the other and no member of the average, which would count the same correlations twice.
    """

    id: ClassVar[str] = "copula_gaussian"
    averaged: ClassVar[bool] = False

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        """Draw (n, 20000) from the copula of returns (n, T); nothing is fitted by iteration.

        Parameters: correlation (the mean one between two instruments, 0 where there are none), instruments.
        """
        refused = simulation_declined(returns, self.minimum_observations)
        if refused:
            return refused
        market = _market(returns)
        return Simulation.of(_parameters(market), _drawn(market, seed, None))


class _Market(NamedTuple):
    """Returns (n, T), which instruments have two different ones, and the correlation (m, m) of those."""

    returns: Floats
    moving: npt.NDArray[np.intp]
    correlation: Floats


def _market(returns: Floats) -> _Market:
    moving = np.flatnonzero(np.ptp(returns, axis=1) > 0.0)
    return _Market(returns, moving, rank_correlation(returns[moving]) if moving.size > 1 else np.eye(moving.size))


def rank_correlation(returns: Floats) -> Floats:
    """The correlation of the copula, positive definite, from the ranks of returns (n, T)."""
    if returns.shape[0] <= KENDALL_INSTRUMENTS_MAX:
        return positive_definite(np.sin(math.pi / 2.0 * kendall(returns)))
    return positive_definite(normal_scores(returns))


def _parameters(market: _Market) -> dict[str, float]:
    moving = market.moving.size
    apart = float(np.add.reduce(market.correlation, axis=None)) - moving
    correlation = apart / (moving * (moving - 1)) if moving > 1 else 0.0
    return {"correlation": correlation, "instruments": float(market.returns.shape[0])}


def _fitted_degrees(market: _Market) -> float:
    if market.moving.size < 2:
        return LARGEST
    return fit_degrees(copula_likelihood(market.returns[market.moving], market.correlation, KENDALL_INSTRUMENTS_MAX))


def _drawn(market: _Market, seed: int, df: float | None) -> Floats:
    """Scenarios (n, 20000): every instrument has its quantiles, in the order of its shocks."""
    scenarios = np.empty((market.returns.shape[0], DRAWS))
    for quantiles, returns in zip(scenarios, market.returns, strict=True):
        quantiles[:] = margin_quantiles(returns, _PROBABILITIES)
    if market.moving.size > 1:
        for row, shocks in zip(market.moving, _shocks(market.correlation, seed, df), strict=True):
            scenarios[row, np.argsort(shocks)] = scenarios[row].copy()
    return scenarios


def _shocks(correlation: Floats, seed: int, df: float | None) -> Floats:
    """Draws (m, 20000) of a normal, or of a t but for a factor: only their order counts."""
    generator = Generator(PCG64DXSM(seed))
    half = exact_product(cholesky(correlation), generator.standard_normal((correlation.shape[0], DRAWS // 2)))
    if df is not None:
        half /= np.sqrt(generator.chisquare(df, DRAWS // 2))
    return np.concatenate([half, -half], axis=1)
