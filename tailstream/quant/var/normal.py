"""The normal method: mean and standard deviation, and nothing of the tail's own shape."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

from scipy.special import ndtri

from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Window, declined, expect_minimum
from tailstream.quant.var.tail import tail_probability
from tailstream.quant.volatility import dispersion


class Multiples(NamedTuple):
    """How many standard deviations beyond the mean loss VaR and ES of a normal loss lie."""

    var: float
    es: float


@dataclass(frozen=True, slots=True)
class Normal:
    """`VaR = -(mu + z_(1-c) sigma)`, `ES = -mu + sigma phi(z) / (1 - c)`, sigma with ddof = 1.

    P&L without spread is the degenerate normal: both are `-mu`. McNeil, Frey & Embrechts (2015), ch. 2.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS

    id: ClassVar[str] = "normal"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.SCENARIOS
    averaged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=2)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), in its unit; their order matters for rounding alone. Parameters: mean, sigma."""
        refused = declined(pnl, levels, self.minimum_observations)
        if refused:
            return refused
        centre, sigma = dispersion(pnl)
        multiples = [normal_multiples(level) for level in levels]
        var = [sigma * multiple.var - centre for multiple in multiples]
        es = [sigma * multiple.es - centre for multiple in multiples]
        return Estimate.of({"mean": centre, "sigma": sigma}, var, es)


@lru_cache(maxsize=1024)
def normal_multiples(level: float) -> Multiples:
    """`-z` and `phi(z) / (1 - c)` with z the normal quantile of `1 - level`, both positive in the tail."""
    probability = float(tail_probability(level))
    z = float(ndtri(probability))
    return Multiples(var=-z, es=math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi) / probability)
