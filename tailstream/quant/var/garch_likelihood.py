"""The log-likelihood of a GARCH(1,1) with constant mean and t innovations, with exact first and second derivatives.

`h_t = omega + alpha e_(t-1)^2 + beta h_(t-1)` with `e_t = x_t - mu`; before the first observation both stand for the
`backcast`. Each derivative of h follows the same recursion with another input (Fiorentini et al. 1996).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
from scipy.signal import lfilter

from tailstream.quant.arrays import Floats
from tailstream.quant.var.newton import Slope
from tailstream.quant.var.t_likelihood import Normaliser, normaliser

BACKCAST_PERIODS = 75
BACKCAST_DECAY = 0.94

ONE = np.array([1.0])

MU, OMEGA, ALPHA, BETA = range(4)
"""The places of the parameters in derivatives of the variance."""

PAIRS = ((MU, MU), (MU, ALPHA), (MU, BETA), (OMEGA, BETA), (ALPHA, BETA), (BETA, BETA))
"""The second derivatives of the variance that are not 0."""


def backcast(residuals: Floats) -> float:
    """The variance before the first observation: an average of the first 75 squares, the weights falling by 0.94."""
    first = residuals[:BACKCAST_PERIODS]
    return float(np.add.reduce(_backcast_weights(first.size) * (first * first)))


@lru_cache(maxsize=64)
def _backcast_weights(periods: int) -> Floats:
    weights = np.array([BACKCAST_DECAY**age for age in range(periods)])
    weights /= np.add.reduce(weights)
    weights.setflags(write=False)
    return weights


def recursion(beta: float, inputs: Floats, before: float | None = None) -> Floats:
    """`y_t = input_t + beta y_(t-1)` along the last axis of (..., n); of a single (n,), `y_(-1) = before`, else 0."""
    coefficients = np.array([1.0, -beta])
    if before is None:
        return cast(Floats, lfilter(ONE, coefficients, inputs))
    return cast(Floats, lfilter(ONE, coefficients, inputs, zi=np.array([beta * before]))[0])


def variances(residuals: Floats, omega: float, alpha: float, beta: float, before: float) -> Floats:
    """The conditional variances (n + 1,): of each residual (n,), and of the next one."""
    inputs = np.empty(residuals.size + 1)
    inputs[0] = omega + alpha * before
    inputs[1:] = omega + alpha * (residuals * residuals)
    return recursion(beta, inputs, before)


@dataclass(frozen=True, slots=True)
class GarchLikelihood:
    """Of values (n,) with mean 0 and variance 1, in (mu, omega, persistence, share, e).

    `persistence = alpha + beta`, `share = alpha / persistence` and `e = 1 / df`: each has bounds of its own.
    """

    values: Floats
    before: float

    @classmethod
    def of(cls, values: Floats) -> "GarchLikelihood":
        """With the backcast of the values."""
        return cls(values, backcast(values))

    def __call__(self, at: Sequence[float]) -> Slope:
        """The likelihood, its gradient and Hessian."""
        mu, omega, persistence, share, inverse_df = at
        alpha = share * persistence
        path = _path(self.values - mu, omega, alpha, persistence - alpha, self.before)
        return _in_persistence(_slope(path, inverse_df), persistence, share)


class _Path(NamedTuple):
    """Residuals (n,), `1 / h` (n,), and the derivatives of h over h: `first` (4, n), `second` (6, n) as in PAIRS."""

    residuals: Floats
    per_variance: Floats
    first: Floats
    second: Floats


def _path(residuals: Floats, omega: float, alpha: float, beta: float, before: float) -> _Path:
    h = variances(residuals[:-1], omega, alpha, beta, before)
    inputs = np.empty((4, h.size))
    inputs[MU, 0], inputs[MU, 1:] = 0.0, -2.0 * residuals[:-1]
    inputs[OMEGA] = 1.0
    inputs[ALPHA, 0], inputs[ALPHA, 1:] = before, residuals[:-1] * residuals[:-1]
    inputs[BETA, 0], inputs[BETA, 1:] = before, h[:-1]
    first = recursion(beta, inputs)
    second = np.zeros((6, h.size))
    second[0, 1:] = 2.0 * alpha * first[OMEGA, :-1]
    second[1] = first[MU]  # without its factor alpha it is the derivative in both
    first[MU] *= alpha
    inputs[:, 0], inputs[:, 1:] = 0.0, first[:, :-1]
    inputs[BETA] *= 2.0
    second[2:] = recursion(beta, inputs)
    per_variance = 1.0 / h
    first *= per_variance
    second *= per_variance
    return _Path(residuals, per_variance, first, second)


class _Slope(NamedTuple):
    """A log-likelihood, its gradient (5,) and its whole Hessian (5, 5) in (mu, omega, alpha, beta, e)."""

    value: float
    gradient: list[float]
    hessian: list[list[float]]


def _slope(path: _Path, inverse_df: float) -> _Slope:
    """By the chain rule from `c(e) - log(1 - 2 e)/2 - log(h)/2 - (1 + 1/e)/2 log(1 + k z)`, `z = (x - mu)^2 / h`.

    With `k = e / (1 - 2 e)` the innovations have variance 1: the usual t scaled by `sqrt((df - 2) / df)`.
    """
    residuals, per_variance, first, second = path
    wider = 1.0 / (1.0 - 2.0 * inverse_df)
    z = residuals * residuals * per_variance
    rest = 1.0 / (1.0 + inverse_df * wider * z)
    weight = (1.0 + inverse_df) * wider * rest
    drawn = weight * z
    in_mu, in_variance = weight * residuals * per_variance, 0.5 * (drawn - 1.0)
    tail = _tail(z, rest, normaliser(inverse_df), inverse_df, wider)
    tilted = wider * wider * rest * (3.0 - drawn)  # the derivative of the weight in e

    gradient = np.add.reduce(in_variance * first, axis=1)
    across = np.add.reduce(in_mu * rest * first, axis=1)
    with_tail = np.add.reduce(0.5 * z * tilted * first, axis=1)
    hessian = np.empty((5, 5))
    curved = (-0.5 * (drawn * (1.0 + rest) - 1.0)) * first
    hessian[:4, :4] = np.add.reduce(curved[:, None, :] * first, axis=2)
    for (i, j), bend in zip(PAIRS, np.add.reduce(in_variance * second, axis=1), strict=True):
        hessian[i, j] += bend
        hessian[j, i] = hessian[i, j]
    hessian[MU, :4] -= across
    hessian[:4, MU] -= across
    hessian[MU, MU] -= np.add.reduce(weight * per_variance * (2.0 * rest - 1.0))
    with_tail[MU] += np.add.reduce(residuals * per_variance * tilted)
    gradient[MU] += np.add.reduce(in_mu)
    hessian[4, :4] = hessian[:4, 4] = with_tail
    hessian[4, 4] = tail.curvature
    value = tail.value + 0.5 * float(np.add.reduce(np.log(per_variance)))
    return _Slope(value, [*gradient.tolist(), tail.slope], hessian.tolist())


def _tail(z: Floats, rest: Floats, factor: Normaliser, inverse_df: float, wider: float) -> Normaliser:
    """The part of the likelihood that holds e, but for `log(h) / 2`, with its derivatives in e."""
    grown = -float(np.add.reduce(np.log(rest)))
    inside = z * rest
    once, twice = float(np.add.reduce(inside)), float(np.add.reduce(inside * inside))
    power = 0.5 * (1.0 + 1.0 / inverse_df)
    return Normaliser(
        z.size * (factor.value + 0.5 * math.log(wider)) - power * grown,
        z.size * (factor.slope + wider) + 0.5 * grown / inverse_df**2 - power * wider**2 * once,
        z.size * (factor.curvature + 2.0 * wider**2)
        - grown / inverse_df**3
        + wider**2 * once / inverse_df**2
        - power * (4.0 * wider**3 * once - wider**4 * twice),
    )


def _in_persistence(slope: _Slope, persistence: float, share: float) -> Slope:
    """The same with (alpha, beta) seen as `(share, 1 - share)` times the persistence."""

    def turned(along: Sequence[float]) -> list[float]:
        mu, omega, alpha, beta, tail = along
        return [mu, omega, share * alpha + (1.0 - share) * beta, persistence * (alpha - beta), tail]

    columns = [turned(row) for row in slope.hessian]
    hessian = [turned(row) for row in zip(*columns, strict=True)]
    hessian[3][2] += slope.gradient[ALPHA] - slope.gradient[BETA]
    return Slope(slope.value, turned(slope.gradient), hessian)
