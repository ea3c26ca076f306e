"""Extreme value theory: a generalised Pareto tail fitted to the losses beyond a high threshold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from tailstream.quant.arrays import ZERO_DISPERSION, Floats
from tailstream.quant.performance import interpolated_quantile
from tailstream.quant.var import pareto
from tailstream.quant.var.estimate import MINIMUM_OBSERVATIONS, Estimate, Fit, Window, declined, expect_minimum
from tailstream.quant.var.pareto import SMALLEST_SHAPE, Pareto
from tailstream.quant.var.tail import tail

BODY = 0.9
"""The share of the losses that the threshold leaves to the body of the distribution."""

EXCEEDANCES_MIN = 50


class Exceedances(NamedTuple):
    """The `excesses` (N_u,) of the losses strictly above the threshold, ascending.

    A loss that is above it by rounding alone, at most 1e-12 of the largest, is a tie and not above it: a few dozen of
    such excesses would make the likelihood of a tail of any weight.
    """

    threshold: float
    excesses: Floats


class Peaks(NamedTuple):
    """The tail beyond the threshold as it was fitted: how many losses it holds, and the law of their excesses."""

    threshold: float
    exceedances: float
    shape: float
    scale: float

    def value_at_risk(self, part: float) -> float | None:
        """The loss that this part of the exceedances is beyond; None where the tail does not reach so low."""
        if part >= 1.0:
            return None
        return self.threshold + float(pareto.quantile(Pareto(self.shape, self.scale), part))

    def shortfall(self, var: float | None) -> float | None:
        """The mean loss beyond a VaR; None where the tail has no mean."""
        if var is None or self.shape >= 1.0:
            return None
        return var + (self.scale + self.shape * (var - self.threshold)) / (1.0 - self.shape)


@dataclass(frozen=True, slots=True)
class ExtremeValue:
    """Peaks over threshold: `VaR = u + b/x (((n/N_u)(1-c))^-x - 1)`, `ES = VaR/(1-x) + (b - x u)/(1-x)`.

    `u` is the interpolated (type 7) 90 % quantile of the losses, N_u the number of losses strictly above it, x and b
    the shape and scale of their excesses by maximum likelihood with the location fixed at 0. At x = 0 the VaR is
    `u - b log((n/N_u)(1-c))`; from x = 1 on there is no ES. Without 50 exceedances it is `insufficient`. A level at or
    below the threshold, `1-c >= N_u/n`, is not in the tail: None beside levels that are, with a reason.
    McNeil & Frey (2000); McNeil, Frey & Embrechts (2015), ch. 5.
    """

    minimum_observations: int = MINIMUM_OBSERVATIONS

    id: ClassVar[str] = "extreme_value"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.FIT
    averaged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect_minimum(self.minimum_observations, smallest=1)

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """VaR and ES of P&L (S,), in its unit; their order does not matter. Parameters as of `estimate_with`."""
        return self.estimate_with(self.fit(pnl), pnl, levels)

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        """The shape of the tail of P&L (S,). All shapes are searched: the same bits from any `start` and from none."""
        beyond = self._exceedances(pnl)
        return beyond if isinstance(beyond, Fit) else Fit.of({"shape": pareto.fit(beyond.excesses).shape})

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """As `estimate`, by the shape of `fit`: the threshold, and given the shape the scale, are those of `pnl` (S,).

        Parameters: threshold, exceedances, shape, scale.
        """
        beyond = fit if fit.status != "ok" else self._exceedances(pnl)
        if isinstance(beyond, Fit):
            return Estimate.missing(beyond.status, beyond.reason or "", levels)
        shape = fit.parameters["shape"]
        scale = pareto.scale_given(shape, beyond.excesses)
        peaks = Peaks(beyond.threshold, float(beyond.excesses.size), shape, scale)
        return _estimate(peaks, levels, [tail(level, pnl.size).mass / peaks.exceedances for level in levels])

    def _exceedances(self, pnl: Floats) -> Exceedances | Fit:
        """What a tail can be fitted to, or why nothing can be."""
        refused = declined(pnl, (), self.minimum_observations)
        if refused:
            return Fit.missing(refused.status, refused.reason or "")
        losses = np.sort(0.0 - pnl)
        threshold = interpolated_quantile(losses, BODY)
        above = losses - threshold
        rounding = ZERO_DISPERSION * (abs(threshold) + float(above[-1]))
        excesses = above[np.searchsorted(above, rounding, side="right") :]
        return _unusable(excesses, rounding) or Exceedances(threshold, excesses)


def _unusable(excesses: Floats, rounding: float) -> Fit | None:
    if excesses.size < EXCEEDANCES_MIN:
        return Fit.missing("insufficient", f"needs {EXCEEDANCES_MIN} losses above the threshold, has {excesses.size}")
    if excesses[-1] - excesses[0] <= rounding:
        return Fit.missing("zero_variance", f"all {excesses.size} losses above the threshold are the same")
    return None


def _estimate(peaks: Peaks, levels: Sequence[float], parts: Sequence[float]) -> Estimate:
    """At levels beyond which these parts of the exceedances lie."""
    var = [peaks.value_at_risk(part) for part in parts]
    below = [str(level) for level, figure in zip(levels, var, strict=True) if figure is None]
    if below and len(below) == len(levels):
        return Estimate.missing("insufficient", _below_the_tail(below), levels)
    if not all(math.isfinite(figure) for figure in var if figure is not None):
        return Estimate.missing("undefined", f"the tail of shape {peaks.shape:.4g} is no finite amount", levels)
    remarks = [_below_the_tail(below)] if below else []
    es = [peaks.shortfall(figure) for figure in var]
    return Estimate.of(peaks._asdict(), var, es, "; ".join(remarks + _remarks(peaks.shape)) or None)


def _below_the_tail(levels: Sequence[str]) -> str:
    return f"the threshold is beyond {', '.join(levels)}, which a tail says nothing about"


def _remarks(shape: float) -> list[str]:
    if shape >= 1.0:
        return [f"shape {shape:.4g}: a tail without a mean has no ES"]
    return ["shape -1: the losses crowd below the largest one"] if shape <= SMALLEST_SHAPE else []
