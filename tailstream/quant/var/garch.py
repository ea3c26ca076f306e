"""The GARCH method: the variance of the next day follows from the days before it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Fit, Window, declined, expect_minimum
from tailstream.quant.var.garch_likelihood import GarchLikelihood, backcast, variances
from tailstream.quant.var.garch_start import Hill, hills
from tailstream.quant.var.newton import Bound, Peak, maximise
from tailstream.quant.var.t_likelihood import t_quantile, t_shortfall
from tailstream.quant.volatility import dispersion

DF_LEAST, DF_MOST = 2.05, 500.0
"""From a variance that is hardly there to what no data tell from normal."""

MU_RATIOS, OMEGA_RATIOS = Bound(-2.0, 2.0), Bound(1e-8, 10.0)
PERSISTENCES, SHARES = Bound(1e-6, 1.0 - 1e-9), Bound(0.0, 1.0)
INVERSE_DFS = Bound(1.0 / DF_MOST, 1.0 / DF_LEAST)
BOUNDS = (MU_RATIOS, OMEGA_RATIOS, PERSISTENCES, SHARES, INVERSE_DFS)
"""Of `mu`, `omega`, `alpha + beta`, `alpha / (alpha + beta)` and `1 / df`, for P&L of mean 0 and variance 1."""

INSIDE = (MU_RATIOS, OMEGA_RATIOS, Bound(0.05, 1.0 - 1e-6), SHARES, INVERSE_DFS)
"""Where a climb starts: a likelihood hardly changes along some of the bounds."""

FORELAND = 1.5
"""A hill is climbed if it is not lower than the highest one by more than this, the heights being rough."""


@dataclass(frozen=True, slots=True)
class Garch:
    """`VaR = -(mu + sigma_next q_t(1-c))` of a GARCH(1,1) with constant mean; ES with the same scaling.

    `q_t` is the quantile of the t with variance 1, the usual one times `sqrt((df - 2) / df)`. The likelihood is the one
    that `arch` maximises (constant mean, t innovations, its backcast), but without its loose bounds of the variance;
    of several local maxima the highest is taken. The shape holds omega as a ratio to the variance of the P&L, and mu
    as its distance from the mean in standard deviations (ddof = 0): a book that grew or was hedged is measured by its
    own. Bollerslev (1986, 1987); McNeil, Frey & Embrechts (2015), ch. 4.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS

    id: ClassVar[str] = "garch"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.FIT
    averaged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=6)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), oldest first, in its unit. Parameters: omega, alpha, beta, df, mu, sigma_next."""
        return self.estimate_with(self.fit(pnl), pnl, levels)

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        """The shape of the largest likelihood: omega_ratio, alpha, beta, df, mu_ratio; a `start` saves steps.

        P&L without spread is `zero_variance`. A fit that does not converge, or whose tails have no variance
        (df at 2.05), is `degraded`. Raises ValueError when `start` is no such shape.
        """
        refused = declined(pnl, (), self.minimum_observations)
        if refused:
            return Fit.missing(refused.status, str(refused.reason))
        centre, deviation = _moments(pnl)
        if deviation == 0.0:
            return Fit.missing("zero_variance", "P&L without spread has no shape")
        peak = _highest(GarchLikelihood.of((pnl - centre) / deviation), _Shape.of(start) if start else None)
        if peak is None:
            return Fit.missing("degraded", "the fit did not converge")
        shape = _Shape.at(peak)
        if shape.df <= DF_LEAST:
            return Fit.missing("degraded", f"the likelihood still rises at df = {DF_LEAST}: the tails have no variance")
        return Fit.of(shape._asdict())

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES with the shape of `fit`, run forward over `pnl`, whose mean is all where nothing moves."""
        refused = declined(pnl, levels, self.minimum_observations)
        if refused:
            return refused
        centre, deviation = _moments(pnl)
        if deviation == 0.0:
            return _Next(0.0, 0.0, 0.0, DF_MOST, centre, 0.0).estimate(levels)
        if fit.status != "ok":
            return Estimate.missing(fit.status, str(fit.reason), levels)
        return _Shape.of(fit.parameters).forward(pnl, centre, deviation).estimate(levels)


class _Next(NamedTuple):
    """The distribution of the next P&L, and the process it comes from, in the unit of the P&L."""

    omega: float
    alpha: float
    beta: float
    df: float
    mu: float
    sigma_next: float

    def estimate(self, levels: Sequence[float]) -> Estimate:
        scale = self.sigma_next * math.sqrt((self.df - 2.0) / self.df)
        var = [scale * t_quantile(self.df, level) - self.mu for level in levels]
        es = [scale * t_shortfall(self.df, level) - self.mu for level in levels]
        return Estimate.of(self._asdict(), var, es)


class _Shape(NamedTuple):
    """What a fit holds: the process of P&L with mean 0 and variance 1."""

    omega_ratio: float
    alpha: float
    beta: float
    df: float
    mu_ratio: float

    @classmethod
    def at(cls, peak: Peak) -> "_Shape":
        mu, omega, persistence, share, inverse_df = peak.at
        return cls(omega, share * persistence, persistence - share * persistence, 1.0 / inverse_df, mu)

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> "_Shape":
        """From published parameters; raises ValueError when one of them is missing or no GARCH(1,1) has it."""
        shape = cls(*(parameters.get(name, math.nan) for name in cls._fields))
        limits = (OMEGA_RATIOS, SHARES, SHARES, Bound(DF_LEAST, DF_MOST), MU_RATIOS)
        for name, number, limit in zip(cls._fields, shape, limits, strict=True):
            if not limit.least <= number <= limit.most:
                raise ValueError(f"{name}: expected a number from {limit.least} to {limit.most}, was {number}")
        if not shape.alpha + shape.beta < 1.0:
            raise ValueError(f"alpha, beta: expected a sum below 1, was {shape.alpha + shape.beta}")
        return shape

    def forward(self, pnl: Floats, centre: float, deviation: float) -> _Next:
        """Run over P&L with this mean and standard deviation."""
        values = (pnl - centre) / deviation
        h = variances(values - self.mu_ratio, self.omega_ratio, self.alpha, self.beta, backcast(values))
        omega, mu = self.omega_ratio * deviation * deviation, centre + self.mu_ratio * deviation
        return _Next(omega, self.alpha, self.beta, self.df, mu, deviation * math.sqrt(float(h[-1])))

    def start(self) -> tuple[float, ...]:
        persistence = self.alpha + self.beta
        return self.mu_ratio, self.omega_ratio, persistence, self.alpha / max(persistence, 1e-300), 1.0 / self.df


def _highest(likelihood: GarchLikelihood, former: _Shape | None) -> Peak | None:
    """The highest maximum among the hills of the likelihood and the one next to the former fit."""
    peaks = [_climb(likelihood, former.start() if former else _foot(hills(likelihood, 0.0)[0], 0.0))]
    mu = peaks[0].at[0]
    found = hills(likelihood, mu)
    for hill in found:
        reached = any(_leads_to(hill, peak) for peak in peaks if peak.converged)
        if hill.height > found[0].height - FORELAND and not reached:
            peaks.append(_climb(likelihood, _foot(hill, mu)))
    return max((peak for peak in peaks if peak.converged), key=lambda peak: peak.value, default=None)


def _leads_to(hill: Hill, peak: Peak) -> bool:
    """Whether a climb from the hill is likely to end at the peak."""
    shape = _Shape.at(peak)
    beside = hill.beta_least < shape.beta < hill.beta_most and (hill.alpha > 0.0) == (shape.alpha > 0.0)
    return beside and hill.height <= peak.value


def _foot(hill: Hill, mu: float) -> tuple[float, ...]:
    persistence = hill.alpha + hill.beta
    return mu, hill.omega, persistence, hill.alpha / max(persistence, 1e-300), hill.inverse_df


def _climb(likelihood: GarchLikelihood, start: Sequence[float]) -> Peak:
    inside = [bound.clip(value) for bound, value in zip(INSIDE, start, strict=True)]
    return maximise(likelihood, inside, BOUNDS)


def _moments(pnl: Floats) -> tuple[float, float]:
    """Mean and standard deviation with ddof = 0, which is 0 where it is rounding."""
    centre, deviation = dispersion(pnl)
    return centre, deviation * math.sqrt(1.0 - 1.0 / pnl.size)
