"""A portfolio against a benchmark: what it shares with it, and what it adds.

Returns and benchmark are (n,) fractions of the same periods, oldest first, without gaps. Sensitivities need n >= 2;
what is a figure a year needs a window long enough to annualise.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tailstream.quant.arrays import INSUFFICIENT, UNDEFINED, ZERO_VARIANCE, Figure, Floats, finite, mean, ratio
from tailstream.quant.returns import Annualisation, compounding_refused, wealth
from tailstream.quant.volatility import Dispersion, dispersion


class _Joint(NamedTuple):
    """Deviations (ddof = 1) of both, and their covariance; NaN when not finite."""

    deviation: float
    benchmark_deviation: float
    covariance: float


def beta(returns: Floats, benchmark: Floats) -> Figure:
    """`cov(r, b) / var(b)`, ddof = 1; `zero_variance` for a constant benchmark. Sharpe (1964)."""
    if returns.size < 2:
        return INSUFFICIENT
    joint = _joint(returns, benchmark)
    return ratio(joint.covariance, joint.benchmark_deviation * joint.benchmark_deviation, over_zero=ZERO_VARIANCE)


def alpha(returns: Floats, benchmark: Floats, over: Annualisation, risk_free: float = 0.0) -> Figure:
    """Jensen's alpha a year, `(mean(r - rf_p) - beta mean(b - rf_p)) P`; `risk_free` is annual. Jensen (1968)."""
    if not over.allows(returns.size):
        return INSUFFICIENT
    slope, rate = beta(returns, benchmark), over.per_period(risk_free)
    if slope.value is None:
        return slope
    return Figure.of((mean(returns) - rate - slope.value * (mean(benchmark) - rate)) * over.periods_per_year)


def correlation(returns: Floats, benchmark: Floats) -> Figure:
    """Pearson's correlation, within [-1, 1]; `zero_variance` when either is constant."""
    if returns.size < 2:
        return INSUFFICIENT
    joint = _joint(returns, benchmark)
    found = ratio(joint.covariance, joint.deviation * joint.benchmark_deviation, over_zero=ZERO_VARIANCE)
    return found if found.value is None else Figure.of(max(-1.0, min(1.0, found.value)))


def tracking_error(returns: Floats, benchmark: Floats, over: Annualisation) -> Figure:
    """Volatility of the difference a year, `sd(r - b, ddof=1) sqrt(P)`; 0 for one that is constant."""
    if not over.allows(returns.size):
        return INSUFFICIENT
    return Figure.of(_difference(returns, benchmark).deviation * math.sqrt(over.periods_per_year))


def information_ratio(returns: Floats, benchmark: Floats, over: Annualisation) -> Figure:
    """`mean(r - b) / sd(r - b, ddof=1) sqrt(P)`; `zero_variance` when the difference is constant. Goodwin (1998)."""
    if not over.allows(returns.size):
        return INSUFFICIENT
    centre, spread = _difference(returns, benchmark)
    return ratio(centre * math.sqrt(over.periods_per_year), spread, over_zero=ZERO_VARIANCE)


def up_capture(returns: Floats, benchmark: Floats) -> Figure:
    """Geometric mean of r over the periods in which b gained, over the same of b; `undefined` without such a period."""
    return _capture(returns, benchmark, benchmark > 0.0)


def down_capture(returns: Floats, benchmark: Floats) -> Figure:
    """Geometric mean of r over the periods in which b lost, over the same of b; `undefined` without such a period.

    Below 1 less was lost than by the benchmark; negative when something was gained.
    """
    return _capture(returns, benchmark, benchmark < 0.0)


def _capture(returns: Floats, benchmark: Floats, when: npt.NDArray[np.bool_]) -> Figure:
    if returns.size == 0:
        return INSUFFICIENT
    if not finite(returns) or not finite(benchmark) or not when.any():
        return UNDEFINED
    gained, benchmark_gained = _geometric_mean(returns[when]), _geometric_mean(benchmark[when])
    if gained.value is None or benchmark_gained.value is None:
        return gained if gained.value is None else benchmark_gained
    return ratio(gained.value, benchmark_gained.value, over_zero=UNDEFINED)


def _geometric_mean(returns: Floats) -> Figure:
    return compounding_refused(returns) or Figure.of(float(wealth(returns)[-1]) ** (1.0 / returns.size) - 1.0)


def _difference(returns: Floats, benchmark: Floats) -> Dispersion:
    with np.errstate(over="ignore", invalid="ignore"):
        return dispersion(returns - benchmark)


def _joint(returns: Floats, benchmark: Floats) -> _Joint:
    ours, theirs = dispersion(returns), dispersion(benchmark)
    with np.errstate(over="ignore", invalid="ignore"):
        products = (returns - ours.mean) * (benchmark - theirs.mean)
        covariance = float(np.add.reduce(products)) / (returns.size - 1)
    return _Joint(ours.deviation, theirs.deviation, covariance)
