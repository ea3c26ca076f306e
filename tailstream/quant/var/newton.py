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

    Parameters at a bound that the likelihood would rise beyond rest there (Bertsekas 1982). Where the Hessian is not
    negative definite, or a step does not rise, it is damped as Levenberg and Marquardt do (Nocedal & Wright 2006,
    ch. 10). The same start gives the same bits.
    """
    at = [bound.clip(value) for bound, value in zip(bounds, start, strict=True)]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _climb(likelihood, at, bounds)


def _climb(likelihood: Callable[[Sequence[float]], Slope], at: list[float], bounds: Sequence[Bound]) -> Peak:
    here, damping = likelihood(at), 0.0
    for _ in range(STEPS_MOST):
        if not math.isfinite(here.value) or damping > DAMPING_MOST:
            break
        step = _step(here, [not b.stops(x, g) for b, x, g in zip(bounds, at, here.gradient, strict=True)], damping)
        if step is None:
            damping = max(DAMPING_LEAST, 10.0 * damping)
            continue
        to = [bound.clip(x + change) for bound, x, change in zip(bounds, at, step, strict=True)]
        if sum(g * change for g, change in zip(here.gradient, step, strict=True)) < GAIN_NEGLIGIBLE:
            return Peak(tuple(to), here.value, converged=True)
        there = likelihood(to)
        if there.value > here.value:
            at, here, damping = to, there, (0.1 * damping if damping > DAMPING_LEAST else 0.0)
        else:
            damping = max(DAMPING_LEAST, 10.0 * damping)
    return Peak(tuple(at), here.value, converged=False)


def _step(here: Slope, free: Sequence[bool], damping: float) -> list[float] | None:
    """The damped Newton step of the free parameters, 0 for the others; None where the curvature is no hill."""
    index = [i for i, moves in enumerate(free) if moves]
    hill = [[-here.hessian[i][j] for j in index[: row + 1]] for row, i in enumerate(index)]
    for row, curvatures in enumerate(hill):
        curvatures[row] += damping * max(abs(curvatures[row]), CURVATURE_LEAST)
    solved = _solve(hill, [here.gradient[i] for i in index])
    if solved is None:
        return None
    step = [0.0] * len(free)
    for i, change in zip(index, solved, strict=True):
        step[i] = change
    return step


def _solve(lower: list[list[float]], right: list[float]) -> list[float] | None:
    """Solve `A x = right` from the lower triangle of a positive definite A, in place; None when it is not."""
    for i, row in enumerate(lower):
        for j in range(i):
            row[j] = (row[j] - sum(row[k] * lower[j][k] for k in range(j))) / lower[j][j]
            right[i] -= row[j] * right[j]
        pivot = row[i] - sum(x * x for x in row[:i])
        if not pivot > 1e-14 * abs(row[i]):
            return None
        row[i] = math.sqrt(pivot)
        right[i] /= row[i]
    for i in reversed(range(len(right))):
        right[i] = (right[i] - sum(lower[k][i] * right[k] for k in range(i + 1, len(right)))) / lower[i][i]
    return right
