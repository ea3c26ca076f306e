"""Cornish-Fisher: which cubic of a standard normal has a sample's skewness and excess kurtosis."""

import math
from typing import NamedTuple

import numpy as np
from numpy.polynomial import HermiteE, Polynomial
from numpy.polynomial.hermite_e import hermegauss
from scipy.optimize import fsolve
from scipy.stats import norm

NODES, MASSES = hermegauss(16)
MASSES = MASSES / MASSES.sum()
"""Expectations of polynomials of a standard normal up to degree 31: exact."""
STARTS = [(s, k) for s in np.linspace(0.0, 2.4, 9) for k in np.linspace(0.5, 8.0, 16)]
ACCURACY = 1e-9


class Bend(NamedTuple):
    """A cubic as the expansion with these ``s`` and ``k``; where ``matched`` it is brought to variance 1."""

    s: float
    k: float
    matched: bool

    @property
    def cubic(self) -> HermiteE:
        """Z = z + (z^2-1)S/6 + (z^3-3z)K/24 - (2z^3-5z)S^2/36, in Hermite polynomials: 2z^3-5z = 2He3 + He1."""
        s, k = self.s, self.k
        plain = HermiteE([0.0, 1 - s**2 / 36, s / 6, k / 24 - s**2 / 18])
        return plain / math.sqrt(_expected(plain(NODES) ** 2)) if self.matched else plain

    def quantile(self, tail: float) -> float:
        """Z at the normal's quantile."""
        return float(self.cubic(norm.ppf(tail)))

    def mean_below(self, tail: float) -> float:
        """E[Z | z <= q], because He_n phi integrates to -He_(n-1) phi."""
        return -float(norm.pdf(norm.ppf(tail)) * HermiteE(self.cubic.coef[1:])(norm.ppf(tail))) / tail

    @property
    def is_monotone(self) -> bool:
        """Whether its slope, a quadratic, is nowhere below zero."""
        c, b, a = self.cubic.deriv().convert(kind=Polynomial).coef
        return bool(a >= 0 and c >= 0 and b * b <= 4 * a * c * (1 + ACCURACY))

    @property
    def moments(self) -> tuple[float, float]:
        """Its own skewness and excess kurtosis."""
        z = self.cubic(NODES)
        variance = _expected(z**2)
        return _expected(z**3) / variance**1.5, _expected(z**4) / variance**2 - 3


def bend_of(skewness: float, kurtosis: float) -> Bend | None:
    """The expansion where it is monotone, else the monotone cubic whose own moments these are; None without one."""
    plain = Bend(skewness, kurtosis, matched=False)
    if plain.is_monotone:
        return plain
    aim = abs(skewness), kurtosis
    for start in STARTS:
        s, k = fsolve(lambda at: np.subtract(Bend(*at, matched=True).moments, aim), start, xtol=1e-13)
        found = Bend(math.copysign(s, skewness), k, matched=True)
        if s >= 0 and found.is_monotone and np.allclose(np.abs(found.moments), np.abs(aim), atol=ACCURACY, rtol=0):
            return found
    return None


def _expected(values: np.ndarray) -> float:
    return float((values * MASSES).sum())
