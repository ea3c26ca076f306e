"""The tail beyond a confidence level, counted in exact arithmetic.

`(1 - 0.95) * 1000` is 50.00000000000004 in floating point and its ceiling is 51: levels are therefore taken as the
decimal numbers that people write, and counted as fractions.
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple


class Tail(NamedTuple):
    """The worst `mass = n (1 - c)` of n observations: `whole = floor(mass)` of them, then a part of the next one.

    The next one, in descending order of loss, is the VaR: the order statistic `L_(ceil(n c))` ascending.
    """

    whole: int
    mass: float


@lru_cache(maxsize=1024)
def tail_probability(level: float) -> Fraction:
    """`1 - level`, exactly, of the shortest decimal that prints as `level`. Raises ValueError outside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: expected a confidence strictly between 0 and 1, was {level}")
    return 1 - Fraction(str(level))


@lru_cache(maxsize=1024)
def tail(level: float, observations: int) -> Tail:
    """The tail of `observations` (at least 1) beyond the confidence `level`."""
    mass = observations * tail_probability(level)
    return Tail(math.floor(mass), float(mass))
