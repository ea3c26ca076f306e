"""Drawdowns: how far wealth is below its peak, for how long, and what it came back from.

Depths are positive fractions of the peak. The peak is seeded with the starting wealth, so a loss in the first period
is a drawdown. Positions count closes: 0 is the start, i is the close of the i-th return.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tailstream.quant.arrays import UNDEFINED, ZERO_DISPERSION, Figure, Floats, mean
from tailstream.quant.returns import compounding_refused, wealth


class Drawdown(NamedTuple):
    """One fall from a peak. `recovery` is None while it lasts; `length` is periods from peak to recovery or the end."""

    peak: int
    valley: int
    recovery: int | None
    depth: float
    length: int


class DrawdownFigures(NamedTuple):
    """The drawdowns of a window in five figures; all 0 without one.

    current: depth at the last close. deepest: the largest depth. average: mean depth of the drawdowns of the table.
    longest: periods of the longest one. ulcer: `sqrt(mean(depth^2))` over all n periods (Martin & McCann 1989).
    """

    current: Figure
    deepest: Figure
    average: Figure
    longest: Figure
    ulcer: Figure


class _Episodes(NamedTuple):
    peaks: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]  # the recovery, or one past the last close for the one that lasts


def underwater(returns: Floats) -> Floats:
    """Depth below the running peak at the start and after each of (n,) returns, shape (n + 1,).

    A depth of at most 1e-12 is the rounding of a recovery and counts as 0. Returns must all be above -1.
    """
    path = wealth(returns)
    with np.errstate(invalid="ignore"):
        depths: Floats = 1.0 - path / np.maximum.accumulate(path)
    depths[depths <= ZERO_DISPERSION] = 0.0
    return depths


def drawdown_figures(returns: Floats) -> DrawdownFigures:
    """The five figures of (n,) returns, n >= 1; each `insufficient`, `undefined` or `ruined` when there are none."""
    refused = compounding_refused(returns)
    if refused:
        return DrawdownFigures(*[refused] * 5)
    depths = underwater(returns)
    if not math.isfinite(depths[-1]):
        return DrawdownFigures(*[UNDEFINED] * 5)
    episodes = _episodes(depths)
    return DrawdownFigures(
        current=Figure.of(depths[-1]),
        deepest=Figure.of(np.maximum.reduce(depths)),
        average=Figure.of(_average_depth(depths, episodes)),
        longest=Figure.of(_longest(depths, episodes)),
        ulcer=Figure.of(math.sqrt(mean(depths[1:] * depths[1:]))),
    )


def drawdown_table(returns: Floats) -> list[Drawdown]:
    """Every drawdown of (n,) returns in the order of time; empty when wealth never fell.

    The peak is the last close before the fall. Raises ValueError for returns that cannot be compounded.
    """
    refused = compounding_refused(returns)
    if refused:
        raise ValueError(f"returns: expected finite ones above -1, at least one; they are {refused.status}")
    depths = underwater(returns)
    return [_drawdown(depths, int(peak), int(end)) for peak, end in zip(*_episodes(depths), strict=True)]


def _drawdown(depths: Floats, peak: int, end: int) -> Drawdown:
    valley = peak + int(np.argmax(depths[peak:end]))
    lasts = end == depths.size
    return Drawdown(peak, valley, None if lasts else end, float(depths[valley]), end - peak - lasts)


def _episodes(depths: Floats) -> _Episodes:
    below = depths > 0.0
    turns = np.flatnonzero(below[1:] != below[:-1])  # a fall after every even one, the recovery from it at the odd
    lasting = [depths.size] if below[-1] else []
    return _Episodes(peaks=turns[::2], ends=np.concatenate([turns[1::2] + 1, np.array(lasting, dtype=np.intp)]))


def _average_depth(depths: Floats, episodes: _Episodes) -> float:
    return mean(np.maximum.reduceat(depths, episodes.peaks)) if episodes.peaks.size else 0.0


def _longest(depths: Floats, episodes: _Episodes) -> float:
    if episodes.peaks.size == 0:
        return 0.0
    return float(np.maximum.reduce(np.minimum(episodes.ends, depths.size - 1) - episodes.peaks))
