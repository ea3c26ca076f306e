"""What a method of VaR takes and answers, and when it declines."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tailstream.quant.arrays import Floats

MINIMUM_OBSERVATIONS = 250

LARGEST = 1e150
"""P&L beyond this is no money: its square overflows."""


class Estimate(NamedTuple):
    """VaR and ES per level, in the order asked and in the unit of the P&L, positive = loss.

    When `status` is not `ok`, `reason` says why in a sentence and every entry of `var` and `es` is None.
    `parameters` are the fit, under the names the field uses.
    """

    status: str
    reason: str | None
    parameters: Mapping[str, float]
    var: tuple[float | None, ...]
    es: tuple[float | None, ...]

    @classmethod
    def of(cls, parameters: Mapping[str, float], var: Sequence[float], es: Sequence[float]) -> "Estimate":
        """An estimate that came off; minus zero becomes zero."""
        return cls("ok", None, parameters, tuple(x + 0.0 for x in var), tuple(x + 0.0 for x in es))

    @classmethod
    def missing(cls, status: str, reason: str, levels: Sequence[float]) -> "Estimate":
        """No estimate at any level, and why."""
        return cls(status, reason, {}, (None,) * len(levels), (None,) * len(levels))


class Method(Protocol):
    """A way to estimate VaR and ES. `version` changes whenever the same P&L would give other numbers."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> str: ...

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """Estimate at confidence `levels`, each in (0, 1), from P&L (S,), oldest first, gains positive.

        Too few or unusable observations are answered with a status; a level outside (0, 1) raises ValueError.
        """
        ...


def declined(pnl: Floats, levels: Sequence[float], minimum: int) -> Estimate | None:
    """Why there is no estimate: fewer than `minimum` observations, or one that is no finite amount of money."""
    if pnl.size < minimum:
        return Estimate.missing("insufficient", f"needs {minimum} observations, has {pnl.size}", levels)
    usable = np.abs(pnl) < LARGEST
    if not usable.all():
        bad = pnl.size - np.count_nonzero(usable)
        return Estimate.missing("undefined", f"{bad} of {pnl.size} observations are not finite amounts", levels)
    return None


def expect_minimum(minimum_observations: int, smallest: int) -> None:
    """Refuse a configured minimum that the method's arithmetic cannot work with."""
    if minimum_observations < smallest:
        raise ValueError(f"minimum_observations: expected at least {smallest}, was {minimum_observations}")
