"""The average of the methods of one book, as an event tells it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from contracts.event import Status
from services.risk.tail import Plain, tail_risks
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import Average, average
from tailstream.quant.var import Estimate


class Averaged(NamedTuple):
    """The average as an estimate, and how it came about; None where there is none."""

    estimate: Estimate
    made: Average | None
    members: tuple[str, ...]
    losses: int

    def averaging(self, levels: Sequence[float], nav: float | None) -> Plain | None:
        """How it came about, as an event tells it: an Averaging."""
        made = self.made
        if made is None:
            return None
        shares = zip(self.members, made.weights.tolist(), made.members.tolist(), strict=True)
        return {
            "weights": {name: weight for name, weight, there in shares if there},
            "losses": self.losses,
            "dispersion": dict(zip(map(str, levels), made.dispersion, strict=True)),
            "equal_weight": tail_risks(made.equal_var, made.equal_es, levels, nav),
        }


def averaged(
    methods: Mapping[str, Estimate], weights: Mapping[str, float], losses: int, levels: Sequence[float]
) -> Averaged:
    """The average by ``weights`` of its members, which so many closes of ``losses`` told apart."""
    if not weights:
        none = Estimate.missing(Status.UNDEFINED.value, "none of the methods is averaged", levels)
        return Averaged(none, None, (), losses)
    members = [methods[name] for name in weights]
    var = np.array([member.var for member in members], dtype=np.float64)
    es = np.array([member.es for member in members], dtype=np.float64)
    made = average(np.array(list(weights.values())), var, es, losses, [member.status for member in members])
    if made.status != Status.OK:
        estimate = Estimate(made.status, made.reason, {}, made.var, made.es)
        return Averaged(estimate, None, tuple(weights), losses)
    doubt = _common_doubt([member for member, there in zip(members, made.members, strict=True) if there])
    status = Status.DEGRADED if doubt else Status.OK
    return Averaged(Estimate(status.value, doubt, {}, made.var, made.es), made, tuple(weights), losses)


def losses_seen(losses: Floats) -> int:
    """At how many closes some member had a loss."""
    return int(np.count_nonzero(~np.isnan(losses).all(axis=1)))


def _common_doubt(members: Sequence[Estimate]) -> str | None:
    """Why the average is in doubt: because every member that has figures is."""
    if all(member.status == Status.DEGRADED for member in members):
        return members[0].reason
    return None
