"""The degrees of freedom of a t distribution, fitted where all else is known."""

import math
from collections.abc import Callable, Mapping

from scipy.optimize import minimize_scalar

SMALLEST = 2.1
"""There is a variance, if hardly."""

LARGEST = 200.0
"""As good as normal."""


def fit_degrees(log_likelihood: Callable[[float], float]) -> float:
    """The df in [2.1, 200] of the largest likelihood, by Brent's bounded search over `1 / df`; needs no start."""
    found = minimize_scalar(
        lambda inverse: -log_likelihood(1.0 / inverse),
        bounds=(1.0 / LARGEST, 1.0 / SMALLEST),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return max(1.0 / float(found.x), SMALLEST, LARGEST, key=log_likelihood)


def known_degrees(fitted: Mapping[str, float]) -> float:
    """The `df` of a former fit. Raises ValueError when it is missing or outside [2.1, 200]."""
    df = fitted.get("df", math.nan)
    if not SMALLEST <= df <= LARGEST:
        raise ValueError(f"df: expected a number from {SMALLEST} to {LARGEST}, was {df}")
    return df
