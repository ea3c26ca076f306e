"""Stress: what today's holdings would lose in a stretch of the past or under a shock; and which stretch was worst."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import rank_filter

from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.var.tail import tail

Bools = npt.NDArray[np.bool_]


class WindowLoss(NamedTuple):
    """Losses over a stretch of the past, positive = loss, in the currency of the exposures."""

    cumulative: float
    """Of holding what is held throughout, without trading."""
    worst_period: int
    """Index of the period with the largest loss; the earliest of equal ones."""
    worst_period_loss: float
    """Negative when even that period is a gain."""


class Stretch(NamedTuple):
    """The periods from `start` up to, not including, `end`."""

    start: int
    end: int


def window_loss(exposures: Floats, returns: Floats, cumulative: Floats | None = None) -> WindowLoss:
    """Losses of `exposures` (n,) in the periods of `returns` (n, T), T >= 1, oldest first.

    An instrument with a NaN return, which was not there throughout, is uncovered and left out: `whole_rows` says which.
    `cumulative` (n,) are the returns over all of the window where they are not the `compounded` ones, as an option's.
    Raises ValueError for a window without any period.
    """
    if returns.shape[1] == 0:
        raise ValueError("returns: expected at least one period, got none")
    over_all = compounded(returns) if cumulative is None else cumulative
    whole = whole_rows(returns) & ~np.isnan(over_all)
    pnl = scenario_pnl(exposures[whole], returns[whole])
    worst = int(np.argmin(pnl))
    return WindowLoss(shock_loss(exposures[whole], over_all[whole]), worst, 0.0 - float(pnl[worst]))


def whole_rows(returns: Floats) -> Bools:
    """Which rows (n,) of `returns` (n, T) have no gap and compound to a finite return."""
    return np.asarray(np.isfinite(compounded(returns)))


def compounded(returns: Floats) -> Floats:
    """Returns (n,) over all periods of (n, T), `prod(1 + r) - 1`; NaN where one is missing or they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        growth: Floats = np.multiply.reduce(1.0 + returns, axis=1)
    return np.where(np.isinf(growth), np.nan, growth) - 1.0


def shock_loss(exposures: Floats, shocks: Floats) -> float:
    """The loss of `exposures` (n,) when each instrument returns its shock (n,); positive = loss, 0 of nothing."""
    return 0.0 - float(scenario_pnl(exposures, shocks[:, None])[0])


def worst_window(pnl: Floats, length: int = 250, level: float = 0.99) -> Stretch | None:
    """The `length` consecutive periods of P&L (T,), oldest first, whose historical VaR at `level` is the largest.

    VaR is the order statistic `L_(ceil(length c))`, counted exactly. The earliest of equal ones; None where there are
    fewer periods. P&L has no gaps: a NaN raises ValueError.
    """
    if pnl.size < length:
        return None
    if np.isnan(pnl).any():
        raise ValueError("pnl: expected no missing P&L, got NaN")
    rank = tail(level, length).whole
    before = length // 2
    ranked = rank_filter(pnl, rank, size=length, mode="nearest")[before : pnl.size - (length - 1 - before)]
    start = int(np.argmin(ranked))
    return Stretch(start, start + length)
