"""Newton's method for the maximum of a log-likelihood in a few parameters, each within its bounds."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

STEPS_MOST = 200

GAIN_NEGLIGIBLE = 1e-10
"""A step that promises to add less than this to a log-likelihood is the last one. Newton's steps square their error."""

DAMPING_LEAST, DAMPING_MOST = 1e-4, 1e12

CURVATURE_LEAST = 1e-9
"""Damping takes a parameter that the likelihood hardly depends on for curved by this much."""

SINGULAR = 1e-14
"""Curvature of which rounding leaves this part is none."""


class Slope(NamedTuple):
    """A log-likelihood at a point: its value, gradient (k,) and Hessian (k, k), of which the lower triangle is read."""

    value: float
    gradient: Sequence[float]
    hessian: Sequence[Sequence[float]]


class Bound(NamedTuple):
    """The least and the most that a parameter may be; a parameter with both equal stays as it is."""

    least: float
    most: float

    def clip(self, value: float) -> float:
        """The admissible value nearest to `value`."""
        return min(max(value, self.least), self.most)

    def part(self, value: float, move: float) -> float:
        """How much of `move` stays within the bounds, 1 being all of it."""
        if move == 0.0:
            return math.inf
        return ((self.least if move < 0.0 else self.most) - value) / move

    def stops(self, value: float, slope: float) -> bool:
        """Whether `value` is at a bound that the likelihood would rise beyond."""
        return (value <= self.least and slope <= 0.0) or (value >= self.most and slope >= 0.0)


class Peak(NamedTuple):
    """Where the climb ended, the log-likelihood there, and whether that is a maximum."""

    at: tuple[float, ...]
    value: float
    converged: bool


def maximise(likelihood: Callable[[Sequence[float]], Slope], start: Sequence[float], bounds: Sequence[Bound]) -> Peak:
    """Climb from `start` to a local maximum of `likelihood` within `bounds`, by damped Newton steps.

    A parameter that a step would carry beyond its bound goes there, and the others go where the quadratic is highest
    then; it rests there while the likelihood would rise beyond (Bertsekas 1982). Where the Hessian is not negative
    definite, or a step does not rise, it is damped as Levenberg and Marquardt do (Nocedal & Wright 2006, ch. 10).
    The same start gives the same bits.
    """
    at = [bound.clip(value) for bound, value in zip(bounds, start, strict=True)]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _climb(likelihood, at, bounds)


def _climb(likelihood: Callable[[Sequence[float]], Slope], at: list[float], bounds: Sequence[Bound]) -> Peak:
    here, damping = likelihood(at), 0.0
    for _ in range(STEPS_MOST):
        if not math.isfinite(here.value) or damping > DAMPING_MOST:
            break
        to = _next(here, at, bounds, damping)
        gain = sum(g * (there - x) for g, there, x in zip(here.gradient, to, at, strict=True)) if to else -math.inf
        if to and abs(gain) < GAIN_NEGLIGIBLE:
            return Peak(tuple(to), here.value, converged=True)
        there = likelihood(to) if to and gain > 0.0 else None
        if to and there and there.value > here.value:
            at, here, damping = to, there, (0.1 * damping if damping > DAMPING_LEAST else 0.0)
        else:
            damping = max(DAMPING_LEAST, 10.0 * damping)
    return Peak(tuple(at), here.value, converged=False)


def _next(here: Slope, at: Sequence[float], bounds: Sequence[Bound], damping: float) -> list[float] | None:
    """Where the damped quadratic is highest, each bound counted as soon as the way there meets it.

    None where the curvature is no hill.
    """
    to = list(at)
    free = [i for i, slope in enumerate(here.gradient) if not bounds[i].stops(at[i], slope)]
    while free:
        moves = _moves(here, free, [there - x for there, x in zip(to, at, strict=True)], damping)
        if moves is None:
            return None
        first = min(range(len(free)), key=lambda k: bounds[free[k]].part(at[free[k]], moves[k]))
        if bounds[free[first]].part(at[free[first]], moves[first]) >= 1.0:
            for i, move in zip(free, moves, strict=True):
                to[i] = at[i] + move
            break
        i = free.pop(first)
        to[i] = bounds[i].least if moves[first] < 0.0 else bounds[i].most
    return to


def _moves(here: Slope, free: Sequence[int], made: Sequence[float], damping: float) -> list[float] | None:
    """The damped Newton step of the free parameters, given the moves `made` by those that are not."""
    hill = [[-here.hessian[i][j] for j in free[: row + 1]] for row, i in enumerate(free)]
    for row, curvatures in enumerate(hill):
        curvatures[row] += damping * max(abs(curvatures[row]), CURVATURE_LEAST)
    right = [
        here.gradient[i] + sum(here.hessian[max(i, j)][min(i, j)] * move for j, move in enumerate(made) if move)
        for i in free
    ]
    return _solve(hill, right)


def _solve(lower: list[list[float]], right: list[float]) -> list[float] | None:
    """Solve `A x = right` from the lower triangle of a positive definite A, in place; None when it is not."""
    for i, row in enumerate(lower):
        for j in range(i):
            row[j] = (row[j] - sum(row[k] * lower[j][k] for k in range(j))) / lower[j][j]
            right[i] -= row[j] * right[j]
        pivot = row[i] - sum(x * x for x in row[:i])
        if not pivot > SINGULAR * abs(row[i]):
            return None
        row[i] = math.sqrt(pivot)
        right[i] /= row[i]
    for i in reversed(range(len(right))):
        right[i] = (right[i] - sum(lower[k][i] * right[k] for k in range(i + 1, len(right)))) / lower[i][i]
    return right
