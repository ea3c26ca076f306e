"""Cubics of a standard normal: the distributions that Cornish-Fisher quantiles are those of.

With `linear` = 1 a cubic is monotone when its `square` p and `cube` q lie in the disc `p^2 + (3q - 1/2)^2 <= 1/4`. The
disc is mapped one to one to the skewness and kurtosis that monotone cubics have. Its edge, where the cubic is
`(z + m)^3` but for place and scale, is the edge of those: at skewness 0 they have excess kurtosis 0 to 43.2, and none
has a skewness above 4.3633.
Maillard (2012), A User's Guide to the Cornish Fisher Expansion; Fleishman (1978), Psychometrika 43.
"""

import math
from typing import NamedTuple

from scipy.optimize import brentq, root

from tailstream.quant.arrays import Floats
from tailstream.quant.var.normal import Multiples, normal_multiples

MOST_SKEWED = 0.8471829
"""Where on the edge skewness is greatest, see `_edge`: it grows from 0 up to here, and falls to 0 from here to 1."""


class Moments(NamedTuple):
    """Skewness and excess kurtosis: of a sample or a distribution, or the S and K that an expansion is written with."""

    skewness: float
    excess_kurtosis: float


class Cubic(NamedTuple):
    """`Z = linear z + square (z^2 - 1) + cube (z^3 - 3z)` of a standard normal z; the mean is 0."""

    linear: float
    square: float
    cube: float

    @classmethod
    def expansion(cls, parameters: Moments) -> "Cubic":
        """`Z = z + (z^2-1)S/6 + (z^3-3z)K/24 - (2z^3-5z)S^2/36`, Cornish & Fisher (1937)."""
        s, k = parameters
        return cls(1.0 - s * s / 36.0, s / 6.0, k / 24.0 - s * s / 18.0)

    @property
    def parameters(self) -> Moments:
        """The S and K of the expansion that is this cubic but for its variance, |S| < 6; not its own moments."""
        square, cube = self.square / self.linear, self.cube / self.linear
        sixth = 2.0 * square / (1.0 + math.sqrt(1.0 + 4.0 * square * square))
        return Moments(6.0 * sixth, 24.0 * (cube * (1.0 - sixth * sixth) + 2.0 * sixth * sixth))

    @property
    def monotone(self) -> bool:
        """Whether Z grows with z; expansions: `(S/3)^2 <= 4 (K/8 - S^2/6)(1 - K/8 + 5S^2/36)`, `K/8 >= S^2/6`."""
        slope = self.linear - 3.0 * self.cube
        return self.cube >= 0.0 and slope >= 0.0 and self.square**2 <= 3.0 * slope * self.cube

    @property
    def variance(self) -> float:
        """The variance of Z; it is 1 for no expansion but the normal's."""
        return self.linear**2 + 2.0 * self.square**2 + 6.0 * self.cube**2

    @property
    def moments(self) -> Moments:
        """Skewness and excess kurtosis of Z, exactly."""
        a, b, c = self
        third = 6.0 * a * a * b + 8.0 * b**3 + 36.0 * a * b * c + 108.0 * b * c * c
        fourth = 3.0 * a**4 + 24.0 * a**3 * c + 60.0 * (a * b) ** 2 + 60.0 * b**4 + 252.0 * (a * c) ** 2
        fourth += 576.0 * a * b * b * c + 1296.0 * a * c**3 + 2232.0 * (b * c) ** 2 + 3348.0 * c**4
        return Moments(third / self.variance**1.5, fourth / self.variance**2 - 3.0)

    def multiples(self, level: float) -> Multiples:
        """VaR and ES of Z: minus its quantile, and minus its mean below that by the truncated moments of z."""
        normal = normal_multiples(level)
        z = -normal.var
        quantile = self.linear * z + self.square * (z * z - 1.0) + self.cube * (z * z - 3.0) * z
        return Multiples(-quantile, normal.es * (self.linear + self.square * z + self.cube * (z * z - 1.0)))

    def standardised(self) -> "Cubic":
        """The same shape with variance 1."""
        deviation = math.sqrt(self.variance)
        return Cubic(self.linear / deviation, self.square / deviation, self.cube / deviation)

    def mirrored(self, sign: float) -> "Cubic":
        """The same shape with its skewness on the side of `sign`."""
        return Cubic(self.linear, math.copysign(self.square, sign), self.cube)


class Extremes(NamedTuple):
    """The two cubics of positive skewness between which, by their kurtosis, all monotone ones of that skewness are."""

    least: Cubic
    most: Cubic


def extremes(skewness: float) -> Extremes | None:
    """The monotone cubics with |skewness| and the least and most kurtosis; None when no monotone one is so skewed."""
    aim = abs(skewness)
    if aim > _edge(MOST_SKEWED).moments.skewness:
        return None
    return Extremes(_edge_with(aim, 0.0, MOST_SKEWED), _edge_with(aim, MOST_SKEWED, 1.0))


def matched(moments: Moments, between: Extremes) -> Cubic:
    """The monotone cubic that has these moments, whose kurtosis must lie `between` the extremes of its skewness."""
    aim = Moments(abs(moments.skewness), moments.excess_kurtosis)
    least, most = between.least.moments.excess_kurtosis, between.most.moments.excess_kurtosis
    way = (aim.excess_kurtosis - least) / (most - least)
    start = [(1.0 - way) * low + way * high for low, high in zip(between.least[1:], between.most[1:], strict=True)]
    square, cube = root(_misses, start, args=(aim,), tol=1e-13).x.tolist()
    return Cubic(1.0, square, cube).mirrored(moments.skewness)


def _misses(point: Floats, aim: Moments) -> tuple[float, float]:
    reached = Cubic(1.0, float(point[0]), float(point[1])).moments
    return reached.skewness - aim.skewness, reached.excess_kurtosis - aim.excess_kurtosis


def _edge(place: float) -> Cubic:
    """On the edge of the disc from the normal (0) by way of all `(z + m)^3`, m >= 0, to `z^3` (1)."""
    return Cubic(1.0, place * math.sqrt(1.0 - place * place), place * place / 3.0)


def _edge_with(skewness: float, start: float, end: float) -> Cubic:
    """The cubic on a stretch of the edge that has this skewness, which is within the stretch's."""
    return _edge(brentq(lambda place: _edge(place).moments.skewness - skewness, start, end, xtol=1e-14))
