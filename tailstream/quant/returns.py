"""Returns of a portfolio: of one period, compounded, averaged, annualised."""

from typing import NamedTuple

import numpy as np

from tailstream.quant.arrays import INSUFFICIENT, RUINED, UNDEFINED, Figure, Floats, finite, mean

MINIMUM_ANNUALISED_OBSERVATIONS = 30
MINIMUM_ANNUALISED_DAYS = 90


class Annualisation(NamedTuple):
    """How a window is scaled to a year, and whether it is long enough to be.

    `periods_per_year`: 252 for daily returns. `calendar_days`: from the close before the first return to the last.
    """

    periods_per_year: float
    calendar_days: int

    def allows(self, observations: int) -> bool:
        """Refused below 30 observations or 90 calendar days: a good week is no year."""
        return observations >= MINIMUM_ANNUALISED_OBSERVATIONS and self.calendar_days >= MINIMUM_ANNUALISED_DAYS

    def per_period(self, annual_rate: float) -> float:
        """The rate of one period that compounds to `annual_rate` in a year: `(1 + rate)^(1/P) - 1`."""
        return float((1.0 + annual_rate) ** (1.0 / self.periods_per_year)) - 1.0


def time_weighted_return(nav: float, previous_nav: float, flow: float) -> Figure:
    """Return of one period, `(nav - flow - previous_nav) / previous_nav`: an external flow is no performance.

    All three in one currency; `flow` is positive when money came in. `ruined` when there was no wealth to earn on.
    """
    if previous_nav <= 0.0:
        return RUINED
    return Figure.of((nav - flow - previous_nav) / previous_nav)


def wealth(returns: Floats) -> Floats:
    """Compounded wealth, shape (n + 1,), of one unit at the start: the starting wealth is the first value."""
    path = np.empty(returns.size + 1)
    path[0] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply.accumulate(1.0 + returns, out=path[1:])
    return path


def compounding_refused(returns: Floats) -> Figure | None:
    """Why (n,) returns cannot be compounded, or None when they can.

    `insufficient` without any, `undefined` when one is not finite, `ruined` when one is -100 % or less: nothing was
    left to compound, and a later recovery of it means nothing.
    """
    if returns.size == 0:
        return INSUFFICIENT
    if not finite(returns):
        return UNDEFINED
    return RUINED if np.minimum.reduce(returns) <= -1.0 else None


def total_return(returns: Floats) -> Figure:
    """Compounded return of the whole window, `prod(1 + r) - 1`; (n,) returns, n >= 1."""
    return compounding_refused(returns) or Figure.of(wealth(returns)[-1] - 1.0)


def annual_return(returns: Floats, over: Annualisation) -> Figure:
    """Geometric return a year, `prod(1 + r)^(P / n) - 1`; `insufficient` for a window too short to annualise."""
    refused = compounding_refused(returns)
    if refused or not over.allows(returns.size):
        return refused or INSUFFICIENT
    growth = float(wealth(returns)[-1])
    try:
        return Figure.of(growth ** (over.periods_per_year / returns.size) - 1.0)
    except OverflowError:
        return UNDEFINED


def mean_return(returns: Floats) -> Figure:
    """Arithmetic mean a period, not annualised; (n,) returns, n >= 1."""
    return Figure.of(mean(returns)) if returns.size else INSUFFICIENT


def best_return(returns: Floats) -> Figure:
    """The largest return of one period; n >= 1."""
    return Figure.of(np.maximum.reduce(returns)) if returns.size else INSUFFICIENT


def worst_return(returns: Floats) -> Figure:
    """The smallest return of one period, negative when it is a loss; n >= 1."""
    return Figure.of(np.minimum.reduce(returns)) if returns.size else INSUFFICIENT


def hit_rate(returns: Floats) -> Figure:
    """Share of gains among the periods whose return is not zero; `undefined` when all are zero."""
    if returns.size == 0:
        return INSUFFICIENT
    moved = np.count_nonzero(returns)
    if moved == 0 or not finite(returns):
        return UNDEFINED
    return Figure.of(np.count_nonzero(returns > 0.0) / moved)
