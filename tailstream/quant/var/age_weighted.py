"""Age-weighted historical simulation: newer scenarios count more."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Window, declined, expect_minimum
from tailstream.quant.var.tail import tail_probability


@dataclass(frozen=True, slots=True)
class AgeWeighted:
    """Historical simulation with geometric weights, Boudoukh, Richardson & Whitelaw (1998).

    `w_i = d^(i-1) (1 - d) / (1 - d^n)`, i = 1 the newest, d the `decay`. VaR is the smallest loss whose cumulated
    weight from below reaches the level; ES the weighted mean of the tail with a fractional last weight.
    `effective_observations = 1 / sum(w^2)` tells how few days carry it: at 0.98 about 99 of any number.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS
    decay: float = 0.98

    id: ClassVar[str] = "age_weighted"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.SCENARIOS
    averaged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=1)
        if not 0.0 < self.decay < 1.0:
            raise ValueError(f"decay: expected a factor strictly between 0 and 1, was {self.decay}")

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), oldest first, in its unit. Parameters: decay, effective_observations."""
        refused = declined(pnl, levels, self.minimum_observations)
        if refused:
            return refused
        weights, effective = age_weights(pnl.size, self.decay)
        losses = 0.0 - pnl
        order = np.argsort(losses, kind="stable")
        below = np.add.accumulate(weights[order])
        var = [_value_at_risk(losses[order], below, level) for level in levels]
        es = [_shortfall(losses, weights, level, at) for level, at in zip(levels, var, strict=True)]
        return Estimate.of({"decay": self.decay, "effective_observations": effective}, var, es)


@lru_cache(maxsize=64)
def age_weights(observations: int, decay: float) -> tuple[Floats, float]:
    """Weights (n,), oldest first, that sum to 1, and the number of equal weights they are worth."""
    scale = (1.0 - decay) / (1.0 - decay**observations)
    weights = np.array([scale * decay**age for age in reversed(range(observations))])
    weights.setflags(write=False)
    return weights, 1.0 / float(np.add.reduce(weights * weights))


def _value_at_risk(ascending: Floats, below: Floats, level: float) -> float:
    reached = int(np.searchsorted(below, float(1 - tail_probability(level))))
    return float(ascending[min(reached, ascending.size - 1)])  # rounding may leave the last sum just short of 1


def _shortfall(losses: Floats, weights: Floats, level: float, var: float) -> float:
    """VaR plus the weighted mean excess: summed in the order of time, so that ties need no order of their own."""
    excess = np.maximum(losses - var, 0.0)
    return var + float(np.add.reduce(weights * excess)) / float(tail_probability(level))
