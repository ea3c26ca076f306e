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

TRAFFIC_LIGHT_LEVEL = "0.99"
DECIMALS = 6
"""Of test statistics and probabilities: more would say nothing."""


class _Tested(NamedTuple):
    """The tests against one kind of P&L, and this close's hits: arrays (methods, levels)."""

    tests: quant.Backtest
    observed: quant.Bools
    hit: quant.Bools


def backtests(past: Past, ids: Sequence[str], terms: Terms, *, realised: bool) -> dict[str, Plain]:
    """Every method at every level over the last closes; ``realised``: the newest of them is this one."""
    levels, window = terms.var_levels, terms.backtest_window
    var, es = past.var[-window:], past.es[-window:]
    actual = _tested(past.actual[-window:], var, es, levels, realised)
    hypothetical = _tested(past.hypothetical[-window:], var, es, levels, realised)
    observations = np.minimum(actual.tests.observations, hypothetical.tests.observations).tolist()
    outcomes = zip(ids, observations, _outcomes(actual), _outcomes(hypothetical), strict=True)
    return {name: _method([str(level) for level in levels], *of_method) for name, *of_method in outcomes}


def _method(
    levels: Sequence[str], observations: Sequence[int], actual: Sequence[Plain], hypothetical: Sequence[Plain]
) -> Plain:
    """A MethodBacktest."""
    of_levels = zip(levels, observations, actual, hypothetical, strict=True)
    by_level = {level: Plain(observations=n, actual=a, hypothetical=h) for level, n, a, h in of_levels}
    at = by_level.get(TRAFFIC_LIGHT_LEVEL)
    if at is None:
        return {"levels": by_level}
    light = quant.traffic_light(max(at["actual"]["exceptions"], at["hypothetical"]["exceptions"]), at["observations"])
    return {"levels": by_level} | (
        {"traffic_light": light.zone, "multiplier": light.multiplier} if light is not None else {}
    )


def _tested(pnl: Floats, var: Floats, es: Floats, levels: Sequence[float], realised: bool) -> _Tested:
    tests = quant.backtest(pnl, var, es, levels)
    newest = slice(-1, None) if realised else slice(0, 0)
    observed: quant.Bools = np.logical_or.reduce(quant.observed(pnl[newest], var[newest]), axis=0)
    hit: quant.Bools = np.logical_or.reduce(quant.hits(pnl[newest], var[newest]), axis=0)
    return _Tested(tests, observed, hit)


def _outcomes(tested: _Tested) -> list[list[Plain]]:
    """An Outcome by method and level."""
    tests = tested.tests
    ratios = (tests.kupiec, tests.independence, tests.conditional_coverage)
    columns = (
        _known(tested.hit.astype(object), tested.observed),
        tests.exceptions.tolist(),
        *(_known(np.round(column, DECIMALS)) for ratio in ratios for column in ratio),
        _known(np.round(tests.z2, DECIMALS)),
        _known(tests.tick_loss),
        _known(tests.fz0_loss),
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


def _known(values: npt.NDArray[Any], known: quant.Bools | None = None) -> list[list[Any]]:
    """The values that are known, the finite ones unless told; None for the others."""
    kept = (values + 0.0).astype(object) if known is None else values
    kept[~(np.isfinite(values) if known is None else known)] = None
    found: list[list[Any]] = kept.tolist()
    return found
