"""Value at Risk and Expected Shortfall, one file per method, all from one vector of scenario P&L.

Both are positive when they are losses. A negative VaR is allowed: even the tail is a gain.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tailstream.quant.var.age_weighted import AgeWeighted
from tailstream.quant.var.estimate import (
    MINIMUM_OBSERVATIONS,
    Estimate,
    Fit,
    FittedMethod,
    MarketMethod,
    Method,
    Simulation,
    Window,
    declined,
    expect_minimum,
)
from tailstream.quant.var.historical import Historical
from tailstream.quant.var.normal import Normal
from tailstream.quant.var.tail import tail_probability


def methods(minimum_observations: int) -> Mapping[str, Method]:
    """All methods by their id, in publishing order; with fewer observations than that they are ``insufficient``."""
    each = (Historical(minimum_observations), AgeWeighted(minimum_observations), Normal(minimum_observations))
    return MappingProxyType({method.id: method for method in each})


METHODS = methods(MINIMUM_OBSERVATIONS)

__all__ = [
    "METHODS",
    "MINIMUM_OBSERVATIONS",
    "AgeWeighted",
    "Estimate",
    "Fit",
    "FittedMethod",
    "Historical",
    "MarketMethod",
    "Method",
    "Normal",
    "Simulation",
    "Window",
    "declined",
    "expect_minimum",
    "methods",
    "tail_probability",
]
