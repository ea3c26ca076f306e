"""The average of the methods of one book, as an event tells it."""

from collections.abc import Mapping, Sequence

import numpy as np

from contracts.event import Status
from contracts.risk import Averaging, MethodRisk
from services.risk.past import tails
from services.risk.tail import tail_risk
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import Average, average
from tailstream.quant.backtest import fz0_loss


def losses_of(pnl: Floats, var: Floats, es: Floats, levels: Sequence[float]) -> Floats:
    """FZ0 loss (T, M) of each member's VaR and ES (T, M, L) at P&L (T,), summed over the levels; NaN where one is."""
    losses: Floats = np.add.reduce(fz0_loss(pnl, var, es, levels), axis=-1)
    return losses


def losses_seen(losses: Floats) -> int:
    """At how many closes some member had a loss."""
    return int(np.count_nonzero(~np.isnan(losses).all(axis=1)))


def averaged(
    methods: Mapping[str, MethodRisk],
    weights: Mapping[str, float],
    levels: Sequence[float],
    nav: float | None,
    seen: int,
) -> tuple[MethodRisk, Averaging | None]:
    """The average by ``weights`` of its members, ``seen`` closes having told them apart; and how it came about."""
    members = [methods[name] for name in weights]
    figures = [tails(member, [str(level) for level in levels]) for member in members]
    var, es = np.array([v for v, _ in figures]), np.array([e for _, e in figures])
    given = np.array(list(weights.values()))
    made = average(given, var, es, seen, [str(member.status) for member in members])
    of_levels = {str(level): tail_risk(v, e, nav) for level, v, e in zip(levels, made.var, made.es, strict=True)}
    if made.status != "ok":
        return MethodRisk(status=Status(made.status), reason=made.reason, levels=of_levels), None
    doubt = _common_doubt([member for member, there in zip(members, made.members, strict=True) if there])
    risk = MethodRisk(status=Status.DEGRADED if doubt else Status.OK, reason=doubt, levels=of_levels)
    return risk, _averaging(made, tuple(weights), levels, nav, seen)


def _common_doubt(members: Sequence[MethodRisk]) -> str | None:
    """Why the average is in doubt: because every member that has figures is."""
    if all(member.status == Status.DEGRADED for member in members):
        return members[0].reason
    return None


def _averaging(made: Average, names: Sequence[str], levels: Sequence[float], nav: float | None, seen: int) -> Averaging:
    present = zip(names, made.weights.tolist(), made.members, strict=True)
    return Averaging(
        weights={name: weight for name, weight, there in present if there},
        losses=seen,
        dispersion={str(level): ratio for level, ratio in zip(levels, made.dispersion, strict=True)},
        equal_weight={
            str(level): tail_risk(v, e, nav) for level, v, e in zip(levels, made.equal_var, made.equal_es, strict=True)
        },
    )
