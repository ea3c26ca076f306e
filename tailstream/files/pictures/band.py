"""Returns, the band of VaR that had been forecast for them, and the exceptions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tailstream.files.pictures.canvas import (
    BODY,
    GRID,
    IN_MONEY,
    IN_PERCENT,
    LOSS,
    WIDTH_INCHES,
    save,
    shown_level,
    sight,
)
from tailstream.files.rolling import Forecasts
from tailstream.quant.arrays import Floats
from tailstream.quant.backtest import hits, observed
from tailstream.quant.var.tail import tail_probability

PANEL_INCHES = 2.2
HEADER_INCHES = 0.8


def draw_backtests(path: Path, made: Sequence[Forecasts], levels: Sequence[float], in_money: bool) -> None:
    """A panel for each series and method, in money or in fractions; nothing of a series without a forecast."""
    panels = [(each, at) for each in made for at in range(len(each.methods)) if each.dates]
    figure = Figure(figsize=(WIDTH_INCHES, PANEL_INCHES * len(panels) + HEADER_INCHES), layout="constrained")
    for axes, (each, at) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _draw_panel(axes, each, at, levels, "P&L" if in_money else "return")
        axes.yaxis.set_major_formatter(IN_MONEY if in_money else IN_PERCENT)
    if panels:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
    save(figure, path)


def _draw_panel(axes: Axes, made: Forecasts, method: int, levels: Sequence[float], what: str) -> None:
    shown = shown_level(levels)
    dates, var = np.array(made.dates, dtype=object), made.var[:, method]
    beyond, (low, high) = hits(made.returns, var[:, shown]), sight(made.returns)
    exceptions = np.clip(made.returns[beyond], low, high)
    axes.set_title(_title(made, method, levels[shown], var[:, shown]), loc="left", fontsize="medium")
    axes.grid(color=GRID)
    axes.plot(dates, made.returns, color=BODY, linewidth=0.6, label=what)
    axes.plot(dates, -var[:, shown], color="black", linewidth=1.0, label=f"minus VaR at {100 * levels[shown]:g} %")
    for level in range(len(levels)):
        if level != shown:
            axes.plot(dates, -var[:, level], color="black", linewidth=0.3, label=_others(levels, shown, level))
    axes.plot(dates[beyond], exceptions, linestyle="none", marker="o", markersize=3, color=LOSS, label="exception")
    if len(dates) > 1:
        axes.set_xlim(dates[0], dates[-1])
    if unseen := np.count_nonzero((made.returns < low) | (made.returns > high)):
        axes.set_ylim(low, high)
        axes.set_title(f"{unseen} beyond the picture", loc="right", fontsize="medium", color=LOSS)


def _others(levels: Sequence[float], shown: int, level: int) -> str:
    """One label for all the thin lines together: it stands with the first of them."""
    others = [at for at in range(len(levels)) if at != shown]
    return f"at {', '.join(f'{100 * levels[at]:g}' for at in others)} %" if level == others[0] else "_"


def _title(made: Forecasts, method: int, level: float, var: Floats) -> str:
    exceptions = np.count_nonzero(hits(made.returns, var))
    expected = float(tail_probability(level)) * np.count_nonzero(observed(made.returns, var))
    counted = f"{exceptions} exception{'s' if exceptions != 1 else ''}, {expected:.1f} expected"
    return f"{made.name}: {made.methods[method]} at {100 * level:g} %, {counted}"
