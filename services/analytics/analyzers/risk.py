"""How far the portfolio's returns spread, and what they paid for it."""

from dataclasses import dataclass
from typing import ClassVar

from services.analytics.analyzers.window import Window
from tailstream.quant.arrays import Figure
from tailstream.quant.performance import excess_kurtosis, omega, sharpe, skewness, sortino, tail_ratio
from tailstream.quant.volatility import downside_deviation, volatility


@dataclass(frozen=True, slots=True)
class Risk:
    """Volatility and downside deviation a year (fractions), Sharpe and Sortino, and the shape of the returns.

    The risk-free rate and the minimum acceptable return are 0.
    """

    name: ClassVar[str] = "risk"
    version: ClassVar[str] = "1"

    def __call__(self, window: Window) -> dict[str, Figure]:
        returns, over = window.returns, window.annualisation
        return {
            "volatility": volatility(returns, over),
            "downside_deviation": downside_deviation(returns, over),
            "sharpe": sharpe(returns, over),
            "sortino": sortino(returns, over),
            "skewness": skewness(returns),
            "excess_kurtosis": excess_kurtosis(returns),
            "tail_ratio": tail_ratio(returns),
            "omega": omega(returns),
        }
