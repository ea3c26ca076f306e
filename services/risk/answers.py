"""What methods answered, checked: whatever a plug-in says, an event must be able to tell it."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Real
from operator import le
from typing import Any

import numpy as np

from contracts.event import Status
from tailstream.quant.var import Estimate, Fit, Simulation

ROUNDING = 1e-9
"""So little, as a share of the largest figure, may ES lie below VaR, or a figure below that of a lower level."""

STATUSES = frozenset(Status)


def sound_estimate(answer: Estimate, levels: Sequence[float]) -> Estimate:
    """The estimate at ``levels``, which rise, if it is one.

    Raises
    ------
    ValueError
        Naming what is no figure, no status or no reason, how many figures were asked for, or what is out of order.
    """
    _expect_kind(answer, Estimate)
    _expect_told(answer.status, answer.reason, answer.parameters)
    for name, figures in (("var", answer.var), ("es", answer.es)):
        if len(figures) != len(levels):
            raise ValueError(f"{name}: expected one for each of {len(levels)} levels, was {list(figures)}")
        if not all(figure is None or _is_finite(figure) for figure in figures):
            raise ValueError(f"{name}: expected finite numbers, was {list(figures)}")
    if answer.reason is None and None in (*answer.var, *answer.es):
        raise ValueError("reason: expected one, because a figure is missing")
    _expect_order(answer.var, answer.es)
    return answer


def sound_fit(answer: Fit) -> Fit:
    """The fit, if it is one.

    Raises
    ------
    ValueError
        Naming what is no status, no reason or no parameter.
    """
    _expect_kind(answer, Fit)
    _expect_told(answer.status, answer.reason, answer.parameters)
    return answer


def sound_simulation(answer: Simulation, instruments: int) -> Simulation:
    """The simulation of so many ``instruments``, if it is one.

    Raises
    ------
    ValueError
        Naming what is no status, no reason or no parameter, or the shape that was expected.
    """
    _expect_kind(answer, Simulation)
    _expect_told(answer.status, answer.reason, answer.parameters)
    returns: object = answer.returns
    if answer.status == Status.OK and not _is_returns(returns, instruments):
        was = f"{returns.dtype} {returns.shape}" if isinstance(returns, np.ndarray) else type(returns).__name__
        raise ValueError(f"returns: expected float64 ({instruments}, S) of S > 0 scenarios, was {was}")
    return answer


def failed(error: Exception, levels: Sequence[float]) -> Estimate:
    """Of a method that raised, or whose answer was none: its own degraded status, with the reason, and no figures."""
    return Estimate.missing(Status.DEGRADED.value, reason_of(error), levels)


def reason_of(error: Exception) -> str:
    """The error as the reason of a status."""
    return f"{type(error).__name__}: {error}"


def _expect_kind(answer: object, kind: type) -> None:
    if not isinstance(answer, kind):
        raise ValueError(f"expected the type {kind.__name__}, was {type(answer).__name__}")


def _expect_told(status: str, reason: str | None, parameters: Mapping[str, float]) -> None:
    if status not in STATUSES:
        raise ValueError(f"status: expected one of {', '.join(Status)}, was {status}")
    if not (isinstance(reason, str) or (reason is None and status == Status.OK)):
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


def _expect_order(var: Sequence[Any], es: Sequence[Any]) -> None:
    """Of numbers or None; most are in order, which is soon seen."""
    if None not in (*var, *es) and all(map(le, var, es)) and all(map(le, var, var[1:])) and all(map(le, es, es[1:])):
        return
    slack = ROUNDING * max((abs(figure) for figure in (*var, *es) if figure is not None), default=0.0)
    for name, figures in (("var", var), ("es", es)):
        there = [figure for figure in figures if figure is not None]
        if any(higher < lower - slack for lower, higher in pairwise(there)):
            raise ValueError(f"{name}: expected figures that rise with the level, was {list(figures)}")
    for of_var, of_es in zip(var, es, strict=True):
        if of_es is not None and (of_var is None or of_es < of_var - slack):
            raise ValueError(f"es: expected at least VaR, {list(var)}, was {list(es)}")
