"""The Student t method: one parameter for how fat the tails are, fitted by maximum likelihood."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Fit, Window, declined, expect_minimum
from tailstream.quant.var.newton import Bound, maximise
from tailstream.quant.var.normal import normal_multiples
from tailstream.quant.var.t_likelihood import TLikelihood, t_quantile, t_shortfall
from tailstream.quant.volatility import dispersion

DF_LEAST = 0.5
"""Tails that nothing traded has. The likelihood has a maximum as long as fewer than a third of the values are equal."""

DF_NORMAL = 200.0
"""Beyond this the figures are those of the normal distribution, with the maximum likelihood sigma (ddof = 0)."""

DF_MOST = 500.0
"""What no data of a few years tell from infinity."""

DF_START = 5.0

NARROW = 1e-9
"""Quartiles nearer together than this part of the standard deviation say nothing about the scale."""

ANYWHERE = Bound(-math.inf, math.inf)
LOG_SCALES = Bound(-50.0, 50.0)


@dataclass(frozen=True, slots=True)
class StudentT:
    """`VaR = -(loc + scale t^-1_df(1-c))`, `ES = -loc + scale f(q)/(1-c) (df + q^2)/(df - 1)`, by maximum likelihood.

    The shape is df; location and scale are the maximum likelihood estimates given df, so that with the shape of the
    same P&L all three are the joint estimate. A tail of df <= 1 has a VaR and no ES; beyond df = 200 the normal limit
    is taken. Lange, Little & Taylor (1989); McNeil, Frey & Embrechts (2015), ch. 2 and 6.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS

    id: ClassVar[str] = "student_t"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.FIT
    averaged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=4)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), in its unit; its order matters for rounding alone. Parameters: df, loc, scale."""
        return self.estimate_with(self.fit(pnl), pnl, levels)

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        """The df of the largest likelihood, from 0.5 to 500; a `start` saves steps. Raises ValueError if it has no df.

        P&L without spread is `zero_variance`. Where a third of the observations are equal, or the likelihood still
        rises at df = 0.5, the fit is `degraded`.
        """
        refused = declined(pnl, (), self.minimum_observations)
        if refused:
            return Fit.missing(refused.status, str(refused.reason))
        deviation = dispersion(pnl).deviation
        if deviation == 0.0:
            return Fit.missing("zero_variance", "P&L without spread has no shape")
        fitted = _fitted(
            pnl, deviation, expected_df(start) if start else DF_START, Bound(1.0 / DF_MOST, 1.0 / DF_LEAST)
        )
        if isinstance(fitted, str):
            return Fit.missing("degraded", fitted)
        if fitted.df <= DF_LEAST:
            return Fit.missing("degraded", f"the likelihood still rises at df = {DF_LEAST}")
        return Fit.of({"df": fitted.df})

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES with the df of `fit`, and location and scale of `pnl`, whose mean is all where nothing moves."""
        refused = declined(pnl, levels, self.minimum_observations)
        if refused:
            return refused
        centre, deviation = dispersion(pnl)
        if deviation == 0.0:
            return _StudentT(DF_MOST, centre, 0.0).estimate(levels)
        if fit.status != "ok":
            return Estimate.missing(fit.status, str(fit.reason), levels)
        df = expected_df(fit.parameters)
        if df > DF_NORMAL:
            return _StudentT(df, centre, deviation * math.sqrt(1.0 - 1.0 / pnl.size)).estimate(levels)
        located = _fitted(pnl, deviation, df, Bound(1.0 / df, 1.0 / df))
        return Estimate.missing("degraded", located, levels) if isinstance(located, str) else located.estimate(levels)


class _StudentT(NamedTuple):
    """The distribution of P&L."""

    df: float
    loc: float
    scale: float

    def estimate(self, levels: Sequence[float]) -> Estimate:
        var = [self.scale * _quantile(self.df, level) - self.loc for level in levels]
        if self.df <= 1.0:
            reason = f"a t distribution has an ES where df is above 1, was fitted with {self.df:.3g}"
            return Estimate.of(self._asdict(), var, [None] * len(levels), reason)
        return Estimate.of(
            self._asdict(), var, [self.scale * _shortfall(self.df, level) - self.loc for level in levels]
        )


def _quantile(df: float, level: float) -> float:
    return normal_multiples(level).var if df > DF_NORMAL else t_quantile(df, level)


def _shortfall(df: float, level: float) -> float:
    return normal_multiples(level).es if df > DF_NORMAL else t_shortfall(df, level)


def _fitted(pnl: Floats, deviation: float, df: float, inverse_df: Bound) -> _StudentT | str:
    """The t distribution of the largest likelihood with `1 / df` within bounds, or why there is none.

    The likelihood grows without bound where the scale goes to 0 at a value that a share of `df / (1 + df)` of all have.
    """
    ascending = np.sort(pnl)
    equal = math.ceil(pnl.size / (1.0 + inverse_df.most))
    if (ascending[equal - 1 :] == ascending[: pnl.size - equal + 1]).any():
        return f"{equal} or more of {pnl.size} observations are equal: the likelihood has no maximum"
    lower, centre, upper = (float(ascending[pnl.size * quarter // 4]) for quarter in (1, 2, 3))
    unit = upper - lower if upper - lower > NARROW * deviation else deviation
    start = (0.0, -math.log(2.0 * t_quantile(df, 0.75)), 1.0 / df)
    peak = maximise(TLikelihood((pnl - centre) / unit), start, (ANYWHERE, LOG_SCALES, inverse_df))
    if not peak.converged:
        return "the fit did not converge"
    location, log_scale, inverse = peak.at
    return _StudentT(1.0 / inverse, centre + unit * location, unit * math.exp(log_scale))


def expected_df(parameters: Mapping[str, float]) -> float:
    """The df of a former fit. Raises ValueError when it is missing or not from 0.5 to 500."""
    df = parameters.get("df", math.nan)
    if not DF_LEAST <= df <= DF_MOST:
        raise ValueError(f"df: expected a number from {DF_LEAST} to {DF_MOST}, was {df}")
    return df
