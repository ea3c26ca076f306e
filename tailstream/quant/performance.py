"""Performance against risk: Sharpe, Sortino, Calmar, Omega, and the shape of the distribution of returns."""

import math

import numpy as np

from tailstream.quant.arrays import (
    INSUFFICIENT,
    NO_DOWNSIDE,
    UNDEFINED,
    ZERO_VARIANCE,
    Figure,
    Floats,
    finite,
    mean,
    ratio,
)
from tailstream.quant.returns import Annualisation
from tailstream.quant.volatility import dispersion, root_mean_square_shortfall


def sharpe(returns: Floats, over: Annualisation, risk_free: float = 0.0) -> Figure:
    """Annualised Sharpe ratio, `mean(r - rf_p) / sd(r - rf_p, ddof=1) sqrt(P)`, arithmetic mean.

    `risk_free` is annual, a fraction. `zero_variance` for constant returns. Sharpe (1994), Lo (2002).
    """
    if not over.allows(returns.size):
        return INSUFFICIENT
    centre, spread = dispersion(returns - over.per_period(risk_free))
    return ratio(centre * math.sqrt(over.periods_per_year), spread, over_zero=ZERO_VARIANCE)


def sortino(returns: Floats, over: Annualisation, minimum_return: float = 0.0) -> Figure:
    """Annualised Sortino ratio, `mean(r - mar_p) P / (sqrt(mean(min(r - mar_p, 0)^2)) sqrt(P))` over **all** n.

    `minimum_return` is annual, a fraction. `no_downside` when no period falls short. Sortino & Price (1994).
    """
    if not over.allows(returns.size):
        return INSUFFICIENT
    excess = returns - over.per_period(minimum_return)
    earned = mean(excess) * math.sqrt(over.periods_per_year)
    return ratio(earned, root_mean_square_shortfall(excess), over_zero=NO_DOWNSIDE)


def calmar(annual_return: Figure, max_drawdown: Figure) -> Figure:
    """Annual geometric return over the deepest drawdown (a positive depth); `no_downside` without a drawdown.

    Either figure missing, its status is the answer.
    """
    if annual_return.value is None or max_drawdown.value is None:
        return annual_return if annual_return.value is None else max_drawdown
    return ratio(annual_return.value, max_drawdown.value, over_zero=NO_DOWNSIDE)


def omega(returns: Floats, threshold: float = 0.0) -> Figure:
    """`sum(max(r - L, 0)) / sum(max(L - r, 0))` with `threshold` L a period; `no_downside` without a shortfall.

    Keating & Shadwick (2002).
    """
    if returns.size == 0:
        return INSUFFICIENT
    excess = returns - threshold
    gained, lost = np.add.reduce(np.maximum(excess, 0.0)), np.add.reduce(np.maximum(-excess, 0.0))
    return ratio(float(gained), float(lost), over_zero=NO_DOWNSIDE)


def profit_factor(returns: Floats) -> Figure:
    """Sum of the gains over the sum of the losses, Omega at 0; `no_downside` without a loss."""
    return omega(returns)


def skewness(returns: Floats) -> Figure:
    """Bias-corrected skewness (pandas' form), `sqrt(n (n - 1)) / (n - 2) * m3 / m2^1.5`; n >= 3."""
    n = returns.size
    if n < 3:
        return INSUFFICIENT
    standard = _standardised(returns)
    if standard is None:
        return ZERO_VARIANCE
    return Figure.of(math.sqrt(n * (n - 1)) / (n - 2) * mean(standard * standard * standard))


def excess_kurtosis(returns: Floats) -> Figure:
    """Bias-corrected excess kurtosis (pandas' form); n >= 4.

    `(n - 1) / ((n - 2)(n - 3)) * ((n + 1) m4 / m2^2 - 3 (n - 1))`.
    """
    n = returns.size
    if n < 4:
        return INSUFFICIENT
    standard = _standardised(returns)
    if standard is None:
        return ZERO_VARIANCE
    square = standard * standard
    return Figure.of((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * mean(square * square) - 3 * (n - 1)))


def _standardised(returns: Floats) -> Floats | None:
    """Returns less their mean in units of the biased standard deviation (ddof = 0), or None for constant ones."""
    centre, spread = dispersion(returns)
    if spread == 0.0:
        return None
    biased = spread * math.sqrt((returns.size - 1) / returns.size)
    return np.asarray((returns - centre) / biased)


def tail_ratio(returns: Floats) -> Figure:
    """`|q95| / |q05|`, interpolated (type 7) quantiles; n >= 2, `undefined` when the 5 % quantile is 0."""
    if returns.size < 2:
        return INSUFFICIENT
    if not finite(returns):
        return UNDEFINED
    ascending = np.sort(returns)
    low, high = interpolated_quantile(ascending, 0.05), interpolated_quantile(ascending, 0.95)
    return ratio(abs(high), abs(low), over_zero=UNDEFINED)


def interpolated_quantile(ascending: Floats, probability: float) -> float:
    """Quantile of a non-empty ascending array, linear between order statistics (Hyndman-Fan type 7)."""
    position = (ascending.size - 1) * probability
    below = math.floor(position)
    low, high = float(ascending[below]), float(ascending[min(below + 1, ascending.size - 1)])
    return low + (position - below) * (high - low)
