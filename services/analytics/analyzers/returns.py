"""What the portfolio returned over the window."""

from dataclasses import dataclass
from typing import ClassVar

from services.analytics.analyzers.window import Window
from tailstream.quant.arrays import Figure
from tailstream.quant.performance import profit_factor
from tailstream.quant.returns import annual_return, best_return, hit_rate, mean_return, total_return, worst_return


@dataclass(frozen=True, slots=True)
class Returns:
    """Fractions: the whole window's compounded return, the same a year, and of single periods the mean, best, worst."""

    name: ClassVar[str] = "returns"
    version: ClassVar[str] = "1"

    def __call__(self, window: Window) -> dict[str, Figure]:
        return {
            "total_return": total_return(window.returns),
            "annual_return": annual_return(window.returns, window.annualisation),
            "mean_return": mean_return(window.returns),
            "best": best_return(window.returns),
            "worst": worst_return(window.returns),
            "hit_rate": hit_rate(window.returns),
            "profit_factor": profit_factor(window.returns),
        }
