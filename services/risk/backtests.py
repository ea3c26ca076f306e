"""How the methods did: the tests of one book's forecasts against what came, as an event tells it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from services.risk.past import Past
from services.risk.tail import Plain
from services.risk.terms import Terms
from tailstream.quant import backtest as quant
from tailstream.quant.arrays import Floats

TRAFFIC_LIGHT_LEVEL = 0.99
DECIMALS = 6
"""Of test statistics and probabilities: more would say nothing."""


class _Tested(NamedTuple):
    """The tests against one kind of P&L, and this close's hits: arrays (methods, levels)."""

    tests: quant.Backtest
    observed: quant.Bools
    hit: quant.Bools


def backtests(past: Past, ids: Sequence[str], terms: Terms, *, realised: bool) -> dict[str, Plain]:
    """Every method at every level over the last closes; ``realised``: the newest of them is this one."""
    actual, hypothetical = (_tested(pnl, past, terms, realised) for pnl in (past.actual, past.hypothetical))
    observations = np.minimum(actual.tests.observations, hypothetical.tests.observations).tolist()
    columns = (observations, _outcomes(actual), _outcomes(hypothetical), _lights(past, terms))
    levels = [str(level) for level in terms.var_levels]
    return {name: _method(levels, *of_method) for name, *of_method in zip(ids, *columns, strict=True)}


def _method(
    levels: Sequence[str],
    observations: Sequence[int],
    actual: Sequence[Plain],
    hypothetical: Sequence[Plain],
    light: quant.TrafficLight | None,
) -> Plain:
    """A MethodBacktest."""
    of_levels = zip(levels, observations, actual, hypothetical, strict=True)
    return {
        "levels": {level: Plain(observations=n, actual=a, hypothetical=h) for level, n, a, h in of_levels},
        "traffic_light": light.zone if light else None,
        "multiplier": light.multiplier if light else None,
    }


def _lights(past: Past, terms: Terms) -> list[quant.TrafficLight | None]:
    """Of every method, by the larger count of its last 250 observations; None where it has fewer."""
    if TRAFFIC_LIGHT_LEVEL not in terms.var_levels:
        return [None] * past.var.shape[1]
    var = past.var[:, :, terms.var_levels.index(TRAFFIC_LIGHT_LEVEL)]
    actual, hypothetical = (
        quant.recent(quant.hits(pnl, var), quant.observed(pnl, var)) for pnl in (past.actual, past.hypothetical)
    )
    exceptions = np.maximum(actual.exceptions, hypothetical.exceptions).tolist()
    observations = np.minimum(actual.observations, hypothetical.observations).tolist()
    return list(map(quant.traffic_light, exceptions, observations))


def _tested(pnl: Floats, past: Past, terms: Terms, realised: bool) -> _Tested:
    window, newest = slice(-terms.backtest_window, None), slice(-1, None) if realised else slice(0, 0)
    tests = quant.backtest(pnl[window], past.var[window], past.es[window], terms.var_levels)
    observed: quant.Bools = np.logical_or.reduce(quant.observed(pnl[newest], past.var[newest]), axis=0)
    hit: quant.Bools = np.logical_or.reduce(quant.hits(pnl[newest], past.var[newest]), axis=0)
    return _Tested(tests, observed, hit)


def _outcomes(tested: _Tested) -> list[list[Plain]]:
    """An Outcome by method and level."""
    tests = tested.tests
    ratios = (tests.kupiec, tests.independence, tests.conditional_coverage)
    rounded = np.round([*(column for ratio in ratios for column in ratio), tests.z2], DECIMALS)
    figures = np.concatenate([rounded, [tests.tick_loss, tests.fz0_loss]])
    columns = (
        _where(tested.observed, tested.hit),
        tests.exceptions.tolist(),
        *_where(np.isfinite(figures), figures + 0.0),
    )
    return [
        [dict(zip(_FIELDS, of_level, strict=True)) for of_level in zip(*of_method, strict=True)]
        for of_method in zip(*columns, strict=True)
    ]


_FIELDS = (
    "hit", "exceptions",
    "kupiec", "kupiec_p_value", "independence", "independence_p_value",
    "conditional_coverage", "conditional_coverage_p_value",
    "z2", "tick_loss", "fz0_loss",
)  # fmt: skip


def _where(known: quant.Bools, values: npt.NDArray[Any]) -> list[Any]:
    """The values, in lists like the axes; None for those that are not known."""
    found = values.astype(object)
    found[~known] = None
    return list(found.tolist())
