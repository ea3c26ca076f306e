"""The generalised Pareto distribution of what losses exceed a threshold by.

An excess is larger than y with probability `(1 + x y / b)^(-1 / x)`, x the `shape` (without a unit, larger = heavier
tail), b > 0 the `scale` (in the unit of the losses); at x = 0 it is `exp(-y / b)`. Below x = 0 nothing exceeds
`-b / x`; from x = 1 on there is no mean. The location is 0: the threshold is known, not fitted.
Below x = -1 the density is infinite at its end, and the likelihood has no bound: no shape here is smaller than -1.
McNeil, Frey & Embrechts (2015), Quantitative Risk Management, ch. 5.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import boxcox, xlog1py

from tailstream.quant.arrays import Floats, mean

SMALLEST_SHAPE = -1.0
"""Excesses spread evenly up to the largest one: the shortest tail whose likelihood is bounded."""

PLACES = 48
"""At how many places the slope of the likelihood is looked at; maxima nearer together than these count as one."""

NEARLY_EXPONENTIAL = 1e-8
"""Nearer to x = 0 than this, in `x / b` times the largest excess, the slope is taken here: rounding spoils its own."""

SMALLEST_EXCESS = 1e-300
"""An excess smaller than this part of the largest one does not widen the search."""

STEPS_MAX = 100


class Pareto(NamedTuple):
    """The shape, without a unit, and the scale, in the unit of the losses."""

    shape: float
    scale: float


def fit(excesses: Floats) -> Pareto:
    """The maximum likelihood estimate with shape >= -1 from positive excesses (n,).

    Given `t = x / b` the best shape is `mean(log(1 + t y))`, which leaves one unknown, Grimshaw (1993). The slope of
    the likelihood is looked at over the whole range of t, and each turn from rising to falling is solved for: the
    answer is the highest maximum and needs no start. Where excesses crowd below the largest one there is no maximum
    but the bound, shape -1 and the largest excess as scale. Raises ValueError when an excess is not positive.
    """
    largest = _largest(excesses)
    relative = excesses / largest
    maxima = [*_maxima(relative), Pareto(SMALLEST_SHAPE, 1.0)]
    shape, scale = max(maxima, key=lambda pareto: log_likelihood(pareto, relative))
    return Pareto(shape, scale * largest)


def scale_given(shape: float, excesses: Floats) -> float:
    """The maximum likelihood estimate of the scale when the shape (>= -1) is known, from positive excesses (n,).

    It solves `(1 + x) mean(y / (b + x y)) = 1`, whose left side is monotone in `1 / b`, and concave (x > 0) or convex
    (x < 0): Newton's steps from the side named in `_inverse_scale` never pass the solution.
    """
    largest = _largest(excesses)
    if shape <= SMALLEST_SHAPE:
        return largest
    relative = excesses / largest
    inverse = _inverse_scale(shape, relative)
    for _ in range(STEPS_MAX):
        weight = 1.0 / (1.0 + shape * inverse * relative)
        left = relative * weight
        step = (inverse * mean(left) - 1.0 / (1.0 + shape)) / mean(left * weight)
        inverse -= step
        if abs(step) <= 1e-14 * inverse:
            break
    return largest / inverse


def probability_weighted(excesses: Floats) -> Pareto:
    """The estimate by probability-weighted moments from positive excesses (n,), in closed form; -1 <= shape < 1.

    `a_0 = mean(y)`, `a_1 = mean((1 - p_i) y_(i))` with `p_i = (i - 0.35) / n`, `x = 2 - a_0 / (a_0 - 2 a_1)`,
    `b = (1 - x) a_0`: the mean is always met. Hosking & Wallis (1987), whose k is -x. Raises ValueError when an excess
    is not positive.
    """
    largest = _largest(excesses)
    ascending = np.sort(excesses) / largest
    exceeded = 1.0 - (np.arange(1, ascending.size + 1) - 0.35) / ascending.size
    centre, weighted = mean(ascending), mean(exceeded * ascending)
    shape = max(2.0 - centre / (centre - 2.0 * weighted), SMALLEST_SHAPE)
    return Pareto(shape, (1.0 - shape) * centre * largest)


def quantile(pareto: Pareto, exceeded: Floats | float) -> Floats:
    """The excess that is exceeded with probability `exceeded`, in (0, 1]: `b (exceeded^-x - 1) / x`, any shape."""
    return np.asarray(-pareto.scale * boxcox(exceeded, -pareto.shape))


def log_likelihood(pareto: Pareto, excesses: Floats) -> float:
    """The sum of the log densities at excesses (n,); -inf where one lies beyond the end of the distribution."""
    shape, relative = pareto.shape, excesses / pareto.scale
    if shape < 0.0 and float(relative.max()) * -shape > 1.0:
        return -math.inf
    terms = xlog1py(1.0 + 1.0 / shape, shape * relative) if shape != 0.0 else relative
    return -excesses.size * math.log(pareto.scale) - float(np.add.reduce(terms))


def _maxima(relative: Floats) -> list[Pareto]:
    """The maxima of the likelihood inside its range, from excesses (n,) of which the largest is 1.

    `s = log(1 + t)`, t in units of the largest excess, is about `x log(n)` for excesses that are Pareto. At the lower
    end the shape is so far below what any maximum has, at the upper so far above, that the slope there is known.
    """
    smallest = max(float(relative.min()), SMALLEST_EXCESS)
    places = np.linspace(-2.0 * math.log(relative.size + 1), math.log(1e3 / smallest), PLACES)
    rising = _slope(places, relative) > 0.0
    turns = np.flatnonzero(rising[:-1] & ~rising[1:])
    return [_maximum(float(places[turn]), float(places[turn + 1]), relative) for turn in turns]


def _maximum(lower: float, upper: float, relative: Floats) -> Pareto:
    t = math.expm1(brentq(lambda place: float(_slope(np.float64(place), relative)), lower, upper, xtol=1e-14))
    shape = mean(np.log1p(t * relative))
    return Pareto(shape, shape / t) if shape != 0.0 else Pareto(0.0, mean(relative))


def _slope(places: Floats | np.float64, relative: Floats) -> Floats:
    """The derivative in t of the log-likelihood per excess, `1/t - x'/x - x'` with `x(t) = mean(log(1 + t y))`."""
    t = np.expm1(places)
    t = np.where(np.abs(t) < NEARLY_EXPONENTIAL, NEARLY_EXPONENTIAL, t)
    grown = 1.0 + t[..., None] * relative
    shape = np.add.reduce(np.log(grown), axis=-1) / relative.size
    change = np.add.reduce(relative / grown, axis=-1) / relative.size
    return np.asarray(1.0 / t - change / shape - change)


def _inverse_scale(shape: float, relative: Floats) -> float:
    """Where Newton's steps start: below the solution for x > 0, and for x < 0 above it but inside the range."""
    start = 1.0 / ((1.0 + shape) * mean(relative))
    if shape >= 0.0:
        return start
    return min(start, relative.size / (1.0 + shape - shape * relative.size))


def _largest(excesses: Floats) -> float:
    if excesses.size == 0:
        raise ValueError("excesses: expected at least one, was none")
    smallest, largest = float(excesses.min()), float(excesses.max())
    if not 0.0 < smallest <= largest < math.inf:
        raise ValueError(f"excesses: expected finite ones above 0, were from {smallest} to {largest}")
    return largest
