"""What the maths takes and gives: arrays of floats, and figures that know why they are missing."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ZERO_DISPERSION = 1e-12
"""A spread of at most this, relative to `max(1, |mean|)`, is rounding and counts as none."""


class Figure(NamedTuple):
    """A number, or the reason there is none.

    `status` is one of `ok insufficient undefined zero_variance no_downside ruined stale unpriced degraded`;
    `value` is finite whenever it is there, and always there when the status is `ok`.
    """

    value: float | None
    status: str

    @classmethod
    def of(cls, value: float) -> "Figure":
        """The figure `value`, or `undefined` when it is not finite. Minus zero becomes zero."""
        number = float(value)
        return cls(number + 0.0, "ok") if math.isfinite(number) else UNDEFINED


INSUFFICIENT = Figure(None, "insufficient")
UNDEFINED = Figure(None, "undefined")
ZERO_VARIANCE = Figure(None, "zero_variance")
NO_DOWNSIDE = Figure(None, "no_downside")
RUINED = Figure(None, "ruined")
UNPRICED = Figure(None, "unpriced")


def ratio(numerator: float, denominator: float, *, over_zero: Figure) -> Figure:
    """`numerator / denominator`; `over_zero` when the denominator is 0, `undefined` when either is not finite."""
    if not math.isfinite(numerator) or not math.isfinite(denominator):
        return UNDEFINED
    return over_zero if denominator == 0.0 else Figure.of(float(numerator) / float(denominator))


def mean(values: Floats) -> float:
    """Arithmetic mean of a non-empty (n,) array by one fixed reduction."""
    return float(np.add.reduce(values)) / values.size


def finite(values: Floats) -> bool:
    """Whether no value is NaN or infinite."""
    return bool(np.isfinite(values).all())
