"""From an estimate of the maths to the figures of an event."""

import math
from collections.abc import Sequence

from contracts.event import Status
from contracts.risk import MethodRisk, TailRisk
from tailstream.quant.var import Estimate


def method_risk(estimate: Estimate, levels: Sequence[float], nav: float | None, shortfall: str | None) -> MethodRisk:
    """One method's figures, in money and as fractions of ``nav`` (none when it is not positive).

    ``shortfall`` says why the scenarios do not stand for the whole book; it makes an ``ok`` figure ``degraded``.
    """
    degraded = shortfall is not None and estimate.status == Status.OK
    return MethodRisk(
        status=Status.DEGRADED if degraded else Status(estimate.status),
        reason=shortfall if degraded else estimate.reason,
        parameters=dict(estimate.parameters),
        levels={
            str(level): tail_risk(var, es, nav)
            for level, var, es in zip(levels, estimate.var, estimate.es, strict=True)
        },
    )


def tail_risk(var: float | None, es: float | None, nav: float | None) -> TailRisk:
    """VaR and ES in money, and as fractions of a positive NAV; none where the fraction overflows."""
    return TailRisk(var=var, es=es, var_fraction=fraction_of(var, nav), es_fraction=fraction_of(es, nav))


def shortfall_of(coverage: float | None, min_coverage: float) -> str | None:
    """Why the scenarios do not stand for the whole book; None when they do."""
    if coverage is None:
        return "coverage: unknown, because a position has no price"
    if coverage < min_coverage:
        return f"coverage: expected at least {min_coverage}, was {coverage:.4f}"
    return None


def failed(error: Exception, levels: Sequence[float]) -> MethodRisk:
    """A method that raised: its own degraded status, with the reason, and no figures."""
    nothing = TailRisk(var=None, es=None, var_fraction=None, es_fraction=None)
    reason = f"{type(error).__name__}: {error}"
    return MethodRisk(status=Status.DEGRADED, reason=reason, levels={str(level): nothing for level in levels})


def fraction_of(money: float | None, nav: float | None) -> float | None:
    if money is None or nav is None or nav <= 0:
        return None
    fraction = money / nav
    return fraction if math.isfinite(fraction) else None
