"""How the methods did: the tests of one book's forecasts against what came, as an event tells it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from contracts.risk import LevelBacktest, LikelihoodRatio, MethodBacktest, Outcome
from services.risk.past import Past
from services.risk.terms import Terms
from tailstream.quant import backtest as quant
from tailstream.quant.arrays import Floats

TRAFFIC_LIGHT_LEVEL = "0.99"
DECIMALS = 6
"""Of test statistics and probabilities: more would say nothing."""


class _Tested(NamedTuple):
    """The tests against one kind of P&L, and this close's hits: arrays (methods, levels)."""

    tests: quant.Backtest
    observed: quant.Bools
    hit: quant.Bools


def backtests(past: Past, ids: Sequence[str], terms: Terms, *, realised: bool) -> dict[str, MethodBacktest]:
    """Every method at every level over the last closes; ``realised``: the newest of them is this one."""
    levels, window = terms.var_levels, terms.backtest_window
    var, es = past.var[-window:], past.es[-window:]
    actual = _tested(past.actual[-window:], var, es, levels, realised)
    hypothetical = _tested(past.hypothetical[-window:], var, es, levels, realised)
    outcomes = [_outcomes(tested) for tested in (actual, hypothetical)]
    observations = np.maximum(actual.tests.observations, hypothetical.tests.observations).tolist()
    return {
        name: _method([str(level) for level in levels], observations[i], outcomes[0][i], outcomes[1][i])
        for i, name in enumerate(ids)
    }


def _method(
    levels: Sequence[str], observations: Sequence[int], actual: Sequence[Outcome], hypothetical: Sequence[Outcome]
) -> MethodBacktest:
    by_level = {
        level: LevelBacktest(observations=count, actual=a, hypothetical=h)
        for level, count, a, h in zip(levels, observations, actual, hypothetical, strict=True)
    }
    at = by_level.get(TRAFFIC_LIGHT_LEVEL)
    light = quant.traffic_light(max(at.actual.exceptions, at.hypothetical.exceptions), at.observations) if at else None
    return MethodBacktest(
        levels=by_level,
        traffic_light=light.zone if light else None,
        multiplier=light.multiplier if light else None,
    )


def _tested(pnl: Floats, var: Floats, es: Floats, levels: Sequence[float], realised: bool) -> _Tested:
    tests = quant.backtest(pnl, var, es, levels)
    newest = slice(-1, None) if realised else slice(0, 0)
    observed: quant.Bools = np.logical_or.reduce(quant.observed(pnl[newest], var[newest]), axis=0)
    hit: quant.Bools = np.logical_or.reduce(quant.hits(pnl[newest], var[newest]), axis=0)
    return _Tested(tests, observed, hit)


def _outcomes(tested: _Tested) -> list[list[Outcome]]:
    """By method and level."""
    tests = tested.tests
    columns: Mapping[str, list[list[object]]] = {
        "hit": [
            [h if o else None for h, o in zip(*pair, strict=True)]
            for pair in zip(tested.hit.tolist(), tested.observed.tolist(), strict=True)
        ],
        "exceptions": tests.exceptions.tolist(),
        "kupiec": _ratios(tests.kupiec),
        "independence": _ratios(tests.independence),
        "conditional_coverage": _ratios(tests.conditional_coverage),
        "z2": _known(np.round(tests.z2, DECIMALS)),
        "tick_loss": _known(tests.tick_loss),
        "fz0_loss": _known(tests.fz0_loss),
    }
    methods, levels = tests.z2.shape
    return [
        [Outcome(**{name: of[i][j] for name, of in columns.items()}) for j in range(levels)] for i in range(methods)
    ]


def _ratios(ratio: quant.LikelihoodRatio) -> list[list[object]]:
    pairs = zip(_known(np.round(ratio.statistic, DECIMALS)), _known(np.round(ratio.p_value, DECIMALS)), strict=True)
    return [
        [
            None if statistic is None else LikelihoodRatio(statistic=statistic, p_value=p_value)
            for statistic, p_value in zip(*of_method, strict=True)
        ]
        for of_method in pairs
    ]


def _known(values: Floats) -> list[list[object]]:
    """Numbers, None where there is none."""
    return [
        [value if known else None for value, known in zip(v, k, strict=True)]
        for v, k in zip((values + 0.0).tolist(), np.isfinite(values).tolist(), strict=True)
    ]
