"""The distribution of P&L, and where the methods see its tail."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter

from tailstream.files.notation import amount, percent
from tailstream.files.pictures.canvas import BODY, GRID, IN_PERCENT, WIDTH_INCHES, draw_histogram, save, shown_level
from tailstream.files.risk import Risk
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import ID as AVERAGE

IN_MONEY = StrMethodFormatter("{x:,.0f}")
KEY = (
    Line2D([], [], color="black", linestyle="-", marker="o", label="VaR, as below"),
    Line2D([], [], color="black", linestyle="--", marker="D", label="ES"),
    Patch(color=BODY, label="scenarios, counted"),
)


class _Line(NamedTuple):
    """One method's VaR and ES at the shown level, positive = loss, and its colour."""

    method: str
    var: float
    es: float | None
    colour: tuple[float, ...]


def draw_risks(path: Path, risks: Sequence[Risk], levels: Sequence[float]) -> None:
    """The distribution of P&L with the VaR and ES of every method, a pair of panels for each of `risks`."""
    heights = [height for risk in risks for height in (3.2, 0.6 + 0.26 * max(1, len(risk.estimates)))]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.8 * len(risks)), layout="constrained")
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for at, risk in enumerate(risks):
        _draw_risk(panels[2 * at], panels[2 * at + 1], risk, levels)
    save(figure, path)


def _draw_risk(above: Axes, below: Axes, risk: Risk, levels: Sequence[float]) -> None:
    level = shown_level(levels)
    lines = list(_lines(risk, level))
    above.set_title(_title(risk, levels[level]), loc="left")
    _draw_distribution(above, risk.pnl, lines)
    _draw_lines(below, lines, percent if _in_fractions(risk) else amount)
    below.sharex(above)
    above.tick_params(labelbottom=False)
    below.xaxis.set_major_formatter(IN_PERCENT if _in_fractions(risk) else IN_MONEY)
    below.set_xlabel(_axis(risk))
    if risk.money and _in_fractions(risk):
        _add_money(above, risk.money.value)


def _title(risk: Risk, level: float) -> str:
    worth = f"worth {amount(risk.money.value)}; " if risk.money else ""
    return f"{risk.name}: {worth}{risk.pnl.size} scenarios, VaR and ES at {100 * level:g} %"


def _axis(risk: Risk) -> str:
    money = "" if risk.money is None else "; in money at the top" if _in_fractions(risk) else ", in money"
    return "P&L of a scenario, losses to the left" + money


def _add_money(axes: Axes, worth: float) -> None:
    """A second scale at the top: what fractions of `worth` are in money."""
    money = axes.secondary_xaxis("top", functions=(partial(np.multiply, worth), partial(np.multiply, 1.0 / worth)))
    money.xaxis.set_major_formatter(IN_MONEY)


def _in_fractions(risk: Risk) -> bool:
    return risk.money is None or risk.money.value > 0.0


def _lines(risk: Risk, level: int) -> Iterator[_Line]:
    """What is known, in the order of the methods. Holdings without a value have their figures in money."""
    estimates = risk.money.estimates if risk.money and not _in_fractions(risk) else risk.estimates
    for at, (method, estimate) in enumerate(estimates.items()):
        var, es = estimate.var[level], estimate.es[level]
        if var is not None:
            yield _Line(method, var, es, _colour(at, method))


def _colour(at: int, method: str) -> tuple[float, ...]:
    """Ten strong colours, then their ten pale ones; black for the average."""
    return (0.0, 0.0, 0.0, 1.0) if method == AVERAGE else matplotlib.colormaps["tab20"]((2 * at + at // 10) % 20)


def _draw_distribution(axes: Axes, pnl: Floats, lines: Sequence[_Line]) -> None:
    axes.set_ylabel("scenarios")
    draw_histogram(axes, pnl)
    for line in lines:
        axes.axvline(-line.var, color=line.colour, linewidth=1.2)
        if line.es is not None:
            axes.axvline(-line.es, color=line.colour, linewidth=1.2, linestyle="--")
    axes.legend(handles=KEY, loc="upper right")


def _draw_lines(axes: Axes, lines: Sequence[_Line], show: Callable[[float | None], str]) -> None:
    """A row for each method, the first at the top, with its figures in words."""
    axes.set_yticks(range(len(lines)), [f"{line.method}  {show(line.var)} / {show(line.es)}" for line in lines])
    axes.set_title("method, VaR / ES", loc="left", x=-0.01, ha="right", fontsize="medium")
    axes.set_ylim(max(1, len(lines)) - 0.5, -0.5)
    axes.grid(axis="x", color=GRID)
    for row, line in enumerate(lines):
        axes.plot([-line.var], [row], marker="o", color=line.colour)
        if line.es is not None:
            axes.plot([-line.es, -line.var], [row, row], color=line.colour, linewidth=1.5)
            axes.plot([-line.es], [row], marker="D", color=line.colour)
