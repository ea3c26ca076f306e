"""Cornish-Fisher: the quantiles of the normal, bent by a cubic to the skewness and kurtosis of the P&L."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from tailstream.quant.arrays import Floats, mean
from tailstream.quant.performance import excess_kurtosis, skewness
from tailstream.quant.var.cubic import Cubic, Moments, extremes, matched
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Window, declined, expect_minimum
from tailstream.quant.volatility import dispersion

CHANCE = 3.0
"""A kurtosis may fall short by so many of its standard errors."""


class Bend(NamedTuple):
    """The cubic that stands for a sample, and a remark when it is not the plain expansion."""

    cubic: Cubic
    remark: str | None


@dataclass(frozen=True, slots=True)
class CornishFisher:
    """`VaR = -(mean + sigma Z(z_(1-c)))`, `ES = -(mean + sigma E[Z | z <= z_(1-c)])`, sigma with ddof = 1.

    Where the expansion with the sample's skewness S and excess kurtosis K (bias-corrected, pandas' form) is monotone,
    Z is the expansion. Elsewhere its quantiles would cross: there Z is the monotone cubic of variance 1 whose own
    skewness and kurtosis are the sample's, Maillard (2012), and `reason` says `domain: matched`. A kurtosis that
    is too low for its skewness by no more than chance is raised to the least there is; with none it is `degraded`.
    P&L without spread is the degenerate normal: both are `-mean`, and there is no skewness.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS

    id: ClassVar[str] = "cornish_fisher"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.FIT
    averaged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=4)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), in its unit; their order matters for rounding alone.

        Parameters: mean, sigma, skewness and excess_kurtosis of the sample; matched (1, or 0 in the domain); and as
        skewness_parameter and kurtosis_parameter the S and K of the expansion, where matched before it is standardised.
        """
        refused = declined(pnl, levels, self.minimum_observations)
        if refused:
            return refused
        centre, sigma = dispersion(pnl)
        sample = sample_moments(pnl)
        if sample is None:
            return Estimate.of({"mean": centre, "sigma": sigma}, [-centre] * len(levels), [-centre] * len(levels))
        bend = bent(sample, kurtosis_error((pnl - centre) / sigma))
        if bend is None:
            return Estimate.missing("degraded", _out_of_reach(sample), levels)
        multiples = [bend.cubic.multiples(level) for level in levels]
        var = [sigma * multiple.var - centre for multiple in multiples]
        es = [sigma * multiple.es - centre for multiple in multiples]
        return Estimate.of({"mean": centre, "sigma": sigma} | _parameters(sample, bend), var, es, bend.remark)


def sample_moments(pnl: Floats) -> Moments | None:
    """Bias-corrected skewness and excess kurtosis of P&L (S,), S >= 4; None when it does not vary."""
    third, fourth = skewness(pnl).value, excess_kurtosis(pnl).value
    return None if third is None or fourth is None else Moments(third, fourth)


def kurtosis_error(standard: Floats) -> float:
    """The standard error of the kurtosis of a standardised sample (S,), at least the `sqrt(24 / S)` of a normal one.

    It is that of the influence `z^4 - 2k (z^2 - 1) - 4s z - k` of each z on the kurtosis k, s being the skewness.
    """
    square = standard * standard
    third, fourth = mean(square * standard), mean(square * square)
    influence = square * square - 2.0 * fourth * (square - 1.0) - 4.0 * third * standard - fourth
    return math.sqrt(max(mean(influence * influence), 24.0) / standard.size)


def bent(sample: Moments, error: float) -> Bend | None:
    """The cubic for the moments of a sample whose kurtosis has that `error`; None when no monotone one has them."""
    plain = Cubic.expansion(sample)
    if plain.monotone:
        return Bend(plain, None)
    between = extremes(sample.skewness)
    if between is None:
        return None
    least, most = between.least.moments.excess_kurtosis, between.most.moments.excess_kurtosis
    if least <= sample.excess_kurtosis <= most:
        return Bend(matched(sample, between).standardised(), "domain: matched")
    return _raised(sample, between.least) if 0.0 < least - sample.excess_kurtosis <= CHANCE * error else None


def _raised(sample: Moments, least: Cubic) -> Bend:
    kurtosis = least.moments.excess_kurtosis
    remark = f"domain: matched, excess kurtosis raised from {sample.excess_kurtosis:.4g} to {kurtosis:.4g}"
    return Bend(least.mirrored(sample.skewness).standardised(), remark)


def _out_of_reach(sample: Moments) -> str:
    third, fourth = sample
    return f"domain: no monotone cubic has skewness {third:.4g} and excess kurtosis {fourth:.4g}"


def _parameters(sample: Moments, bend: Bend) -> dict[str, float]:
    skewness_parameter, kurtosis_parameter = bend.cubic.parameters
    return {
        "skewness": sample.skewness,
        "excess_kurtosis": sample.excess_kurtosis,
        "matched": 0.0 if bend.remark is None else 1.0,
        "skewness_parameter": skewness_parameter,
        "kurtosis_parameter": kurtosis_parameter,
    }
