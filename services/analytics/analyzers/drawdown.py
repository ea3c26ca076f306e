"""How far the portfolio is and was below its peak."""

from dataclasses import dataclass
from typing import ClassVar

from services.analytics.analyzers.window import Window
from tailstream.quant.arrays import Figure
from tailstream.quant.drawdown import drawdown_figures
from tailstream.quant.performance import calmar
from tailstream.quant.returns import annual_return


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Positive depths of the window's wealth below its peak, the longest one in periods, and what was earned for it.

    `drawdown` is the depth at this close; the peak is sought in the window, its starting wealth included.
    """

    name: ClassVar[str] = "drawdown"
    version: ClassVar[str] = "1"

    def __call__(self, window: Window) -> dict[str, Figure]:
        figures = drawdown_figures(window.returns)
        return {
            "drawdown": figures.current,
            "max_drawdown": figures.deepest,
            "average_drawdown": figures.average,
            "max_drawdown_length": figures.longest,
            "ulcer_index": figures.ulcer,
            "calmar": calmar(annual_return(window.returns, window.annualisation), figures.deepest),
        }
