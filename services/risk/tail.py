"""From an estimate of the maths to the figures of an event."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from contracts.event import Status
from tailstream.quant.var import Estimate

Plain: TypeAlias = dict[str, Any]
"""A part of an event as a plain dictionary: validated with the event, not one by one, in a fifth of the time."""


def method_risk(estimate: Estimate, levels: Sequence[float], nav: float | None, shortfall: str | None = None) -> Plain:
    """One method's figures, in money and as fractions of ``nav`` (none when it is not positive): a MethodRisk.

    ``shortfall`` says why the scenarios do not stand for the whole book; it makes an ``ok`` figure ``degraded``.
    """
    told = doubted(estimate, shortfall)
    return {
        "status": told.status,
        "reason": told.reason,
        "parameters": dict(told.parameters),
        "levels": tail_risks(told.var, told.es, levels, nav),
    }


def tail_risks(
    var: Sequence[float | None], es: Sequence[float | None], levels: Sequence[float], nav: float | None
) -> dict[str, Plain]:
    """VaR and ES by level, in money and as fractions of a positive NAV: a TailRisk each."""
    return {
        str(level): {"var": v, "es": e, "var_fraction": fraction_of(v, nav), "es_fraction": fraction_of(e, nav)}
        for level, v, e in zip(levels, var, es, strict=True)
    }


def doubted(estimate: Estimate, shortfall: str | None) -> Estimate:
    """The estimate, ``degraded`` where it is ``ok`` and there is a ``shortfall``."""
    if shortfall is None or estimate.status != Status.OK:
        return estimate
    return estimate._replace(status=Status.DEGRADED.value, reason=shortfall)


def shortfall_of(coverage: float | None, min_coverage: float) -> str | None:
    """Why the scenarios do not stand for the whole book; None when they do."""
    if coverage is None:
        return "coverage: unknown, because a position has no price"
    if coverage < min_coverage:
        return f"coverage: expected at least {min_coverage}, was {coverage:.4f}"
    return None


def fraction_of(money: float | None, nav: float | None) -> float | None:
    """``money`` as a fraction of a positive NAV; none where it overflows."""
    if money is None or nav is None or nav <= 0:
        return None
    fraction = money / nav
    return fraction if math.isfinite(fraction) else None
