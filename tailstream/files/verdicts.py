"""The verdicts of a backtest, one for each method and level, with None where there is none."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tailstream.files.rolling import Forecasts
from tailstream.files.series import Series
from tailstream.quant.backtest import (
    Backtest,
    Bools,
    Coverage,
    LikelihoodRatio,
    backtest,
    hits,
    observed,
    recent,
    tests_of_hits,
    traffic_light,
)
from tailstream.quant.var.tail import tail_probability

BASEL_LEVEL = 0.99


class Test(NamedTuple):
    """A likelihood ratio test: its statistic, and the probability of one at least as large if the model is right."""

    statistic: float
    p_value: float


class Verdict(NamedTuple):
    """How one method did at one level. Losses are means over the observations, in the unit of the returns.

    `traffic_light` and `multiplier` are of the last 250 observations at 99 %; None at other levels.
    """

    observations: int
    exceptions: int
    expected: float
    kupiec: Test | None
    independence: Test | None
    conditional_coverage: Test | None
    traffic_light: str | None
    multiplier: float | None
    z2: float | None = None
    tick_loss: float | None = None
    fz0_loss: float | None = None


def verdicts(forecasts: Forecasts, levels: Sequence[float]) -> dict[str, list[Verdict]]:
    """By method, one for each of `levels`: the forecasts against the returns that came."""
    tested = backtest(forecasts.returns, forecasts.var, forecasts.es, levels)
    beyond, known = hits(forecasts.returns, forecasts.var), observed(forecasts.returns, forecasts.var)
    return {
        method: [_of_forecast(tested, beyond, known, (row, column), level) for column, level in enumerate(levels)]
        for row, method in enumerate(forecasts.methods)
    }


def verdict_on_hits(series: Series, level: float) -> Verdict:
    """Of a column of 1 (the loss was beyond VaR) and 0, of a VaR at confidence `level`."""
    beyond = series.returns == 1.0
    tested = tests_of_hits(beyond, level)
    return _verdict(tested, (), level, beyond, np.ones_like(beyond))


def _of_forecast(tested: Backtest, beyond: Bools, known: Bools, at: tuple[int, int], level: float) -> Verdict:
    of_hits = _verdict(tested, at, level, beyond[:, *at], known[:, *at])
    return of_hits._replace(
        z2=_known(tested.z2[at]), tick_loss=_known(tested.tick_loss[at]), fz0_loss=_known(tested.fz0_loss[at])
    )


def _verdict(tested: Coverage | Backtest, at: tuple[int, ...], level: float, beyond: Bools, known: Bools) -> Verdict:
    observations = int(tested.observations[at])
    lately = recent(beyond, known)
    light = traffic_light(int(lately.exceptions), int(lately.observations)) if level == BASEL_LEVEL else None
    return Verdict(
        observations=observations,
        exceptions=int(tested.exceptions[at]),
        expected=float(observations * tail_probability(level)),
        kupiec=_test(tested.kupiec, at),
        independence=_test(tested.independence, at),
        conditional_coverage=_test(tested.conditional_coverage, at),
        traffic_light=light.zone if light else None,
        multiplier=light.multiplier if light else None,
    )


def _test(ratio: LikelihoodRatio, at: tuple[int, ...]) -> Test | None:
    statistic, p_value = _known(ratio.statistic[at]), _known(ratio.p_value[at])
    return None if statistic is None or p_value is None else Test(statistic, p_value)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
