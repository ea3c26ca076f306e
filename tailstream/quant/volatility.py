"""How far returns spread: the two moments everything shares, annualised volatility and downside deviation."""

import math
from typing import NamedTuple

import numpy as np

from tailstream.quant.arrays import INSUFFICIENT, ZERO_DISPERSION, Figure, Floats, mean
from tailstream.quant.returns import Annualisation


class Dispersion(NamedTuple):
    """Arithmetic mean and standard deviation (ddof = 1), in the unit of the values; both NaN when not finite."""

    mean: float
    deviation: float


def negligible(spread: float, centre: float) -> bool:
    """Whether `spread` is rounding around `centre`: at most `1e-12 * max(1, |centre|)`."""
    return spread <= ZERO_DISPERSION * max(1.0, abs(centre))


def dispersion(values: Floats) -> Dispersion:
    """Mean and standard deviation (ddof = 1) of (n,) values, n >= 2, in two passes.

    A deviation that is rounding is exactly 0. Values whose squares overflow give NaN, never a spread of infinity
    that a ratio would turn into 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        centre = mean(values)
        away = values - centre
        spread = math.sqrt(float(np.add.reduce(away * away)) / (values.size - 1))
    if not math.isfinite(spread):
        return Dispersion(math.nan, math.nan)
    return Dispersion(centre, 0.0 if negligible(spread, centre) else spread)


def volatility(returns: Floats, over: Annualisation) -> Figure:
    """Annualised volatility, `sd(r, ddof=1) sqrt(P)`, a fraction; 0 for constant returns."""
    if not over.allows(returns.size):
        return INSUFFICIENT
    return Figure.of(dispersion(returns).deviation * math.sqrt(over.periods_per_year))


def downside_deviation(returns: Floats, over: Annualisation, minimum_return: float = 0.0) -> Figure:
    """Annualised downside deviation, `sqrt(mean(min(r - mar_p, 0)^2)) sqrt(P)` over **all** n; 0 without shortfall.

    `minimum_return` is annual, a fraction. Sortino & Price (1994).
    """
    if not over.allows(returns.size):
        return INSUFFICIENT
    shortfall = root_mean_square_shortfall(returns - over.per_period(minimum_return))
    return Figure.of(shortfall * math.sqrt(over.periods_per_year))


def root_mean_square_shortfall(excess: Floats) -> float:
    """`sqrt(mean(min(x, 0)^2))` of a non-empty (n,) array, over all n and not only the negative ones.

    A shortfall that is rounding is exactly 0.
    """
    short = np.minimum(excess, 0.0)
    shortfall = math.sqrt(mean(short * short))
    return 0.0 if negligible(shortfall, 0.0) else shortfall
