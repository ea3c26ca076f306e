"""What methods answer, asked for so that whatever a plug-in does costs its own figures alone: ``degraded``, and why."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from numbers import Real
from operator import le
from typing import Any

import numpy as np

from tailstream.quant.var.estimate import Estimate, Fit, Simulation

STATUSES = (
    "ok", "insufficient", "undefined", "zero_variance", "no_downside", "ruined", "stale", "unpriced", "degraded",
)  # fmt: skip

ROUNDING = 1e-9
"""So little, as a share of the largest figure, may ES lie below VaR, or a figure below that of a lower level."""


def estimated(say: Callable[[], Estimate], levels: Sequence[float]) -> Estimate:
    """The estimate at `levels`; ``degraded`` where the method raises, or says what is none.

    The reason names what is no figure, status or reason, how many figures were asked for, or what is out of order.
    """
    try:
        return _sound_estimate(say(), levels)
    except Exception as error:  # whatever a plug-in does, the figures of the others are wanted
        return Estimate.missing("degraded", _reason(error), levels)


def fitted(fit: Callable[[], Fit]) -> Fit:
    """The fit; ``degraded`` where the method raises, or says what is none."""
    try:
        return _sound_fit(fit())
    except Exception as error:  # as above
        return Fit.missing("degraded", _reason(error))


def simulated(simulate: Callable[[], Simulation], instruments: int) -> Simulation:
    """The simulation of so many `instruments`; ``degraded`` where the method raises, or says what is none."""
    try:
        return _sound_simulation(simulate(), instruments)
    except Exception as error:  # as above
        return Simulation.missing("degraded", _reason(error), instruments)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# -- what is one -----------------------------------------------------------------------------------------------------


def _sound_estimate(answer: Estimate, levels: Sequence[float]) -> Estimate:
    _expect_kind(answer, Estimate)
    _expect_told(answer.status, answer.reason, answer.parameters)
    for name, figures in (("var", answer.var), ("es", answer.es)):
        if len(figures) != len(levels):
            raise ValueError(f"{name}: expected one for each of {len(levels)} levels, was {list(figures)}")
        if not all(figure is None or _is_finite(figure) for figure in figures):
            raise ValueError(f"{name}: expected finite numbers, was {list(figures)}")
    if answer.reason is None and None in (*answer.var, *answer.es):
        raise ValueError("reason: expected one, because a figure is missing")
    if not _in_order(levels, answer.var, answer.es):
        _expect_order(levels, answer.var, answer.es)
    return answer


def _sound_fit(answer: Fit) -> Fit:
    _expect_kind(answer, Fit)
    _expect_told(answer.status, answer.reason, answer.parameters)
    return answer


def _sound_simulation(answer: Simulation, instruments: int) -> Simulation:
    _expect_kind(answer, Simulation)
    _expect_told(answer.status, answer.reason, answer.parameters)
    returns: object = answer.returns
    if answer.status == "ok" and not _is_returns(returns, instruments):
        was = f"{returns.dtype} {returns.shape}" if isinstance(returns, np.ndarray) else type(returns).__name__
        raise ValueError(f"returns: expected float64 ({instruments}, S) of S > 0 scenarios, was {was}")
    return answer


def _expect_kind(answer: object, kind: type) -> None:
    if not isinstance(answer, kind):
        raise ValueError(f"expected the type {kind.__name__}, was {type(answer).__name__}")


def _expect_told(status: str, reason: str | None, parameters: Mapping[str, float]) -> None:
    if status not in STATUSES:
        raise ValueError(f"status: expected one of {', '.join(STATUSES)}, was {status}")
    if not (isinstance(reason, str) or (reason is None and status == "ok")):
        raise ValueError(f"reason: expected a sentence with the status {status}, was {reason}")
    for name, value in parameters.items():
        if not (isinstance(name, str) and _is_finite(value)):
            raise ValueError(f"parameters: expected finite numbers by name, was {name}: {value}")


def _is_returns(value: object, instruments: int) -> bool:
    if not isinstance(value, np.ndarray) or value.dtype != np.float64 or value.ndim != 2:
        return False
    rows, scenarios = value.shape
    return bool(rows == instruments and scenarios)


def _is_finite(value: object) -> bool:
    return isinstance(value, (float, Real)) and math.isfinite(value)  # of almost all the first says it, and fast


def _in_order(levels: Sequence[float], var: Sequence[Any], es: Sequence[Any]) -> bool:
    """Whether there are all figures at levels that rise, in order to the last bit: of most it is so, and soon seen."""
    return None not in (*var, *es) and all(map(le, var, es)) and all(map(_rises, (levels, var, es)))


def _rises(numbers: Sequence[Any]) -> bool:
    return all(map(le, numbers, numbers[1:]))


def _expect_order(levels: Sequence[float], *figures: Sequence[Any]) -> None:
    """Of VaR and ES, numbers or None."""
    rising = sorted(range(len(levels)), key=levels.__getitem__)
    var, es = ([each[at] for at in rising] for each in figures)
    slack = ROUNDING * max((abs(figure) for figure in (*var, *es) if figure is not None), default=0.0)
    for name, of_levels in (("var", var), ("es", es)):
        there = [figure for figure in of_levels if figure is not None]
        if any(higher < lower - slack for lower, higher in pairwise(there)):
            raise ValueError(f"{name}: expected figures that rise with the level, was {of_levels}")
    for of_var, of_es in zip(var, es, strict=True):
        if of_es is not None and (of_var is None or of_es < of_var - slack):
            raise ValueError(f"es: expected at least VaR, {var}, was {es}")
