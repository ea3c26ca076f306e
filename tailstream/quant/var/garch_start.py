"""Where the likelihood of a GARCH(1,1) has its hills: it often has several, and Newton's steps climb only one.

For a known beta and mean the variance is linear in omega and alpha, and these are soon found. The likelihood along a
grid of beta, each with its best omega, alpha and df, shows the hills that are worth climbing.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var.garch_likelihood import GarchLikelihood, recursion
from tailstream.quant.var.t_likelihood import log_factor

BETAS = np.array(
    [0, 0.2, 0.4, 0.55, 0.67, 0.76, 0.83, 0.88, 0.915, 0.94, 0.957, 0.97, 0.98, 0.987, 0.9925, 0.9955, 0.998, 0.9997]
)
"""Near enough together for the hills of a thousand days to show, the last for a variance that only drifts."""

ROUNDS, SCORINGS = 2, 2
"""Omega and alpha are scored, then df is looked for, so often. The hills for one df may be far from those for another.

The heights are then half a unit or less below the maximum beside them, on 95 % of 120 windows of stocks.
"""

USUAL = 0.15
"""`1 / df` of most P&L."""

SPACING = 0.08
"""How far apart, in `1 / df`, the three heights are through which a parabola is laid."""

FARTHEST = 2.0
"""The longest step in `1 / df`, in spacings."""

BEYOND = 1.4
"""A step goes this many times as far as the top of the parabola, because omega and alpha will follow df there."""

INVERSE_DF_LEAST, INVERSE_DF_MOST = 0.004, 0.48

OMEGA_LEAST, OMEGA_MOST = 1e-8, 10.0


class Hill(NamedTuple):
    """A maximum of the log-likelihood along the grid of beta, of that `height`, and the betas next to it there."""

    height: float
    omega: float
    alpha: float
    beta: float
    inverse_df: float
    beta_least: float
    beta_most: float


def hills(likelihood: GarchLikelihood, mu: float) -> list[Hill]:
    """The hills for a known mean, the highest first; variances that only drift (alpha = 0) have their own."""
    profile = _profile(likelihood, mu)
    slope, alike = np.diff(profile.height), ~np.diff(profile.alpha > 0.0)
    ahead, behind = np.append(alike & (slope > 0.0), False), np.insert(alike & (slope <= 0.0), 0, False)
    tops = np.flatnonzero(~(ahead | behind))
    return sorted((profile.hill(int(place)) for place in tops), reverse=True)


class _Profile(NamedTuple):
    """The log-likelihood at each beta of the grid, and the omega, alpha and `1 / df` it is the highest with."""

    height: Floats
    omega: Floats
    alpha: Floats
    inverse_df: Floats

    def hill(self, place: int) -> Hill:
        neighbours = BETAS[[max(place - 1, 0), min(place + 1, BETAS.size - 1)]]
        at = (self.height[place], self.omega[place], self.alpha[place], BETAS[place], self.inverse_df[place])
        return Hill(*map(float, (*at, *neighbours)))


class _Parts(NamedTuple):
    """The variance (betas, n) is `omega by_omega + alpha by_alpha + constant`."""

    by_omega: Floats
    by_alpha: Floats
    constant: Floats

    @classmethod
    def of(cls, squares: Floats, before: float) -> "_Parts":
        inputs = np.concatenate([[before], squares[:-1]])
        by_alpha = np.array([recursion(beta, inputs) for beta in BETAS.tolist()])
        powers, sums = _powers(squares.size)
        return cls(sums, by_alpha, powers * before)

    def per_variance(self, omega: Floats, alpha: Floats) -> Floats:
        return np.asarray(1.0 / (omega[:, None] * self.by_omega + alpha[:, None] * self.by_alpha + self.constant))


def _profile(likelihood: GarchLikelihood, mu: float) -> _Profile:
    residuals = likelihood.values - mu
    squares = residuals * residuals
    parts = _Parts.of(squares, likelihood.before)
    omega, alpha, inverse_df = 0.7 * (1.0 - BETAS), 0.3 * (1.0 - BETAS), np.full(BETAS.size, USUAL)
    for _ in range(ROUNDS):
        for _ in range(SCORINGS):
            omega, alpha = _scored(omega, alpha, parts, squares, 1.0 / inverse_df)
        per_variance = parts.per_variance(omega, alpha)
        z = squares * per_variance
        inverse_df = _likelier(z, inverse_df)
    height = _height(z, inverse_df) + 0.5 * np.add.reduce(np.log(per_variance), axis=1)
    return _Profile(height, omega, alpha, inverse_df)


def _likelier(z: Floats, inverse_df: Floats) -> Floats:
    """The `1 / df` (betas,) beyond the top of a parabola through three heights."""
    middle = np.clip(inverse_df, INVERSE_DF_LEAST + SPACING, INVERSE_DF_MOST - SPACING)
    less, here, more = (_height(z, middle + step) for step in (-SPACING, 0.0, SPACING))
    bend = np.minimum(less - 2.0 * here + more, -1e-9)
    move = np.clip(BEYOND * 0.5 * (less - more) / bend, -FARTHEST, FARTHEST)
    return np.clip(middle + SPACING * move, INVERSE_DF_LEAST, INVERSE_DF_MOST)


def _height(z: Floats, inverse_df: Floats) -> Floats:
    """The log-likelihood (betas,) of innovations with the squares z (betas, n) and variance 1."""
    wider = 1.0 / (1.0 - 2.0 * inverse_df)
    grown = (inverse_df * wider)[:, None] * z
    grown += 1.0
    np.log(grown, out=grown)
    factor = log_factor(inverse_df) + 0.5 * np.log(wider)
    return np.asarray(z.shape[1] * factor - 0.5 * (1.0 + 1.0 / inverse_df) * np.add.reduce(grown, axis=1))


def _scored(omega: Floats, alpha: Floats, parts: _Parts, squares: Floats, df: Floats) -> tuple[Floats, Floats]:
    """A step of Fisher's scoring within bounds; the information of t innovations is `df / (df + 3)` of normal ones.

    Of each term the slope in h is `surplus / (2 h)`, the surplus being `(df + 1) z / (df - 2 + z) - 1`, `z = e^2 / h`.
    """
    per_variance = parts.per_variance(omega, alpha)
    off = (df - 2.0)[:, None]
    surplus = df[:, None] - (df[:, None] + 1.0) * off / (off + squares * per_variance)
    by_omega, by_alpha = parts.by_omega * per_variance, parts.by_alpha * per_variance
    slopes = (surplus, by_omega), (surplus, by_alpha)
    curvatures = (by_omega, by_omega), (by_omega, by_alpha), (by_alpha, by_alpha)
    g, f, *information = (np.add.reduce(one * other, axis=1) for one, other in slopes + curvatures)
    hill = _Quadratic(g, f, *(df / (df + 3.0) * normal for normal in information))
    to_omega, to_alpha = hill.top(OMEGA_LEAST - omega, OMEGA_MOST - omega, -alpha, 1.0 - BETAS - alpha)
    return omega + to_omega, alpha + to_alpha


class _Quadratic(NamedTuple):
    """`g x + f y - (a x^2 + 2 b x y + c y^2) / 2`, one for each beta."""

    g: Floats
    f: Floats
    a: Floats
    b: Floats
    c: Floats

    def top(self, x_least: Floats, x_most: Floats, y_least: Floats, y_most: Floats) -> tuple[Floats, Floats]:
        """Where each is highest within bounds: one of the two is bounded first, and the other follows."""
        g, f, a, b, c = self
        apart = a * c * (1.0 + 1e-9) - b * b
        x = np.clip((c * g - b * f) / apart, x_least, x_most)
        y = np.clip((f - b * x) / c, y_least, y_most)
        other_y = np.clip((a * f - b * g) / apart, y_least, y_most)
        other_x = np.clip((g - b * other_y) / a, x_least, x_most)
        better = self._height(x, y) >= self._height(other_x, other_y)
        return np.where(better, x, other_x), np.where(better, y, other_y)

    def _height(self, x: Floats, y: Floats) -> Floats:
        return self.g * x + self.f * y - (0.5 * self.a * x * x + self.b * x * y + 0.5 * self.c * y * y)


@lru_cache(maxsize=4)
def _powers(periods: int) -> tuple[Floats, Floats]:
    """`beta^(t+1)` (betas, n), what is left of the backcast, and `(1 - beta^(t+1)) / (1 - beta)`, the sums before."""
    powers = BETAS[:, None] ** np.arange(1.0, periods + 1.0)
    return powers, (1.0 - powers) / (1.0 - BETAS[:, None])
