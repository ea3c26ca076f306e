"""The log-likelihood of Student's t, in `e = 1 / df`: smooth down to the normal distribution at e = 0.

Nearly quadratic in e, unlike in df, so that Newton's steps take few of them from any start.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, psi, stdtrit, zeta

from tailstream.quant.arrays import Floats
from tailstream.quant.var.newton import Slope
from tailstream.quant.var.tail import tail_probability


class Normaliser(NamedTuple):
    """`log G((df + 1) / 2) - log G(df / 2) - log(pi df) / 2`, G the gamma function, and its derivatives in e."""

    value: float
    slope: float
    curvature: float


@lru_cache(maxsize=1024)
def normaliser(inverse_df: float) -> Normaliser:
    """The logarithm of the factor of the t density at e > 0; kept, because between fits df stays what it is."""
    df = 1.0 / inverse_df
    above, below = (df + 1.0) / 2.0, df / 2.0
    value = float(gammaln(above) - gammaln(below)) - 0.5 * math.log(math.pi * df)
    in_df = 0.5 * float(psi(above) - psi(below)) - 0.5 / df
    twice_in_df = 0.25 * float(zeta(2.0, above) - zeta(2.0, below)) + 0.5 / df**2
    return Normaliser(value, *_by_inverse(df, in_df, twice_in_df))


def log_factor(inverse_df: Floats) -> Floats:
    """The value of the normaliser at each e > 0."""
    df = 1.0 / inverse_df
    return np.asarray(gammaln((df + 1.0) / 2.0) - gammaln(df / 2.0) - 0.5 * np.log(math.pi * df))


def _by_inverse(df: float, in_df: float, twice_in_df: float) -> tuple[float, float]:
    """First and second derivative in `e = 1 / df` from those in df."""
    return -(df**2) * in_df, df**4 * twice_in_df + 2.0 * df**3 * in_df


@dataclass(frozen=True, slots=True)
class TLikelihood:
    """Of values (n,) that are t with a location, the logarithm of a scale, and e."""

    values: Floats

    def __call__(self, at: Sequence[float]) -> Slope:
        """The likelihood at (location, log scale, e); everything follows from five sums over the values."""
        location, log_scale, inverse_df = at
        per_scale = math.exp(-log_scale)
        u = (self.values - location) * per_scale
        grown = 1.0 + inverse_df * (u * u)
        weight = inverse_df / grown  # 1 / (df + u^2)
        pull = weight * u
        sums = _Sums(
            self.values.size,
            1.0 / inverse_df,
            weight=float(np.add.reduce(weight)),
            weight_squared=float(np.add.reduce(weight * weight)),
            pull=float(np.add.reduce(pull)),
            pull_weighted=float(np.add.reduce(pull * weight)),
            log_grown=float(np.add.reduce(np.log(grown))),
        )
        return sums.slope(log_scale, per_scale, normaliser(inverse_df))


class _Sums(NamedTuple):
    """Sums over n values, with `a = 1 / (df + u^2)` of `a`, `a^2`, `a u`, `a^2 u` and `log(1 + u^2 / df)`."""

    n: int
    df: float
    weight: float
    weight_squared: float
    pull: float
    pull_weighted: float
    log_grown: float

    def slope(self, log_scale: float, per_scale: float, factor: Normaliser) -> Slope:
        """Value, gradient and Hessian: `a u^2 = 1 - df a` reduces every other sum to these."""
        n, df = self.n, self.df
        share = n - df * self.weight  # the sum of a u^2
        squared = self.weight - df * self.weight_squared  # of a^2 u^2
        fourth = n - 2.0 * df * self.weight + df**2 * self.weight_squared  # of a^2 u^4
        in_df = 0.5 * ((df + 1.0) * share / df - self.log_grown)
        twice_in_df = 0.5 * (share + fourth - squared - (df + 1.0) * share / df) / df
        tilt, bend = _by_inverse(df, in_df, twice_in_df)
        return Slope(
            n * (factor.value - log_scale) - 0.5 * (df + 1.0) * self.log_grown,
            ((df + 1.0) * self.pull * per_scale, (df + 1.0) * share - n, n * factor.slope + tilt),
            (
                (-((df + 1.0) * (self.weight - 2.0 * squared)) * per_scale**2,),
                (-2.0 * (df + 1.0) * df * self.pull_weighted * per_scale, -2.0 * (df + 1.0) * (share - fourth)),
                (
                    -(df**2) * (self.pull - (df + 1.0) * self.pull_weighted) * per_scale,
                    -(df**2) * (fourth - squared),
                    n * factor.curvature + bend,
                ),
            ),
        )


@lru_cache(maxsize=1024)
def t_quantile(df: float, level: float) -> float:
    """How many scales beyond the location the VaR of a t loss lies. Raises ValueError for a level outside (0, 1)."""
    return -float(stdtrit(df, float(tail_probability(level))))


@lru_cache(maxsize=1024)
def t_shortfall(df: float, level: float) -> float:
    """How many scales beyond the location the ES of a t loss lies: `f(q) / (1 - c) (df + q^2) / (df - 1)`, df > 1."""
    q = t_quantile(df, level)
    density = math.exp(normaliser(1.0 / df).value - 0.5 * (df + 1.0) * math.log1p(q * q / df))
    return density / float(tail_probability(level)) * (df + q * q) / (df - 1.0)
