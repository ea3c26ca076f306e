"""A method of VaR that fails does so for itself: a status and a reason, and the others are told all the same."""

import math
from collections.abc import Callable, Sequence

from contracts.event import Status
from tailstream.quant.var import Estimate, Fit


def estimated(say: Callable[[], Estimate], levels: Sequence[float]) -> Estimate:
    """What a method says at `levels`; ``degraded`` where it raises, or says what is no figure."""
    try:
        return _sound(say(), levels)
    except Exception as error:  # whatever a plug-in does, the figures of the others are wanted
        return Estimate.missing(Status.DEGRADED.value, _why(error), levels)


def fitted(fit: Callable[[], Fit]) -> Fit:
    """The fit that a method makes; ``degraded`` where it raises."""
    try:
        return fit()
    except Exception as error:  # as above
        return Fit.missing(Status.DEGRADED.value, _why(error))


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _sound(estimate: Estimate, levels: Sequence[float]) -> Estimate:
    """The estimate. Raises ValueError when it has no known status, or not a finite number or None for each level."""
    Status(estimate.status)
    for name, figures in (("var", estimate.var), ("es", estimate.es)):
        if len(figures) != len(levels) or not all(figure is None or math.isfinite(figure) for figure in figures):
            raise ValueError(f"{name}: expected a finite number for each of {len(levels)} levels, was {list(figures)}")
    if not all(map(math.isfinite, estimate.parameters.values())):
        raise ValueError(f"parameters: expected finite numbers, was {dict(estimate.parameters)}")
    return estimate
