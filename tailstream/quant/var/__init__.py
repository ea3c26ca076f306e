"""Value at Risk and Expected Shortfall, one file per method, all from one vector of scenario P&L.

Both are positive when they are losses. A negative VaR is allowed: even the tail is a gain.
"""

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

__all__ = [
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
    "tail_probability",
]
