"""The distribution of P&L, and where the methods see its tail."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tailstream.files.notation import amount, percent
from tailstream.files.pictures.canvas import (
    BODY,
    GRID,
    IN_MONEY,
    IN_PERCENT,
    WIDTH_INCHES,
    draw_histogram,
    save,
    shown_level,
    sight,
)
from tailstream.files.risk import Risk
from tailstream.quant.averaging import ID as AVERAGE

KEY = (
    Line2D([], [], color="black", linestyle="-", marker="o", label="VaR"),
    Line2D([], [], color="black", linestyle="--", marker="D", label="ES"),
    Patch(color=BODY, label="scenarios, counted"),
)


class _Line(NamedTuple):
    """One method's VaR and ES at the shown level, positive = loss, in words too, and its colour."""

    method: str
    words: str
    var: float | None
    es: float | None
    colour: tuple[float, ...]


def draw_risks(path: Path, risks: Mapping[str, Risk], levels: Sequence[float]) -> None:
    """The distribution of P&L with the VaR and ES of every method, a pair of panels for each of `risks` by heading."""
    heights = [height for risk in risks.values() for height in (3.2, 0.6 + 0.26 * max(1, len(risk.estimates)))]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.8 * len(risks)), layout="constrained")
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for at, (heading, risk) in enumerate(risks.items()):
        level = f"VaR and ES at {100 * levels[shown_level(levels)]:g} %"
        panels[2 * at].set_title(f"{heading}\n{level}", loc="left", fontsize="medium")
        _draw_risk(panels[2 * at], panels[2 * at + 1], risk, shown_level(levels))
    figure.legend(handles=KEY, loc="outside upper left", ncols=len(KEY), frameon=False)
    save(figure, path)


def _draw_risk(above: Axes, below: Axes, risk: Risk, level: int) -> None:
    lines = list(_lines(risk, level))
    _draw_distribution(above, risk, lines)
    _draw_lines(below, lines, sight(risk.pnl))
    below.sharex(above)
    above.tick_params(labelbottom=False)
    below.xaxis.set_major_formatter(IN_PERCENT if risk.in_fractions else IN_MONEY)
    below.set_xlabel(_axis(risk))
    if risk.money and risk.in_fractions:
        _add_money(above, risk.money.value)


def _axis(risk: Risk) -> str:
    money = "" if risk.money is None else "; in money at the top" if risk.in_fractions else ", in money"
    return "P&L of a scenario, losses to the left" + money


def _add_money(axes: Axes, worth: float) -> None:
    """A second scale at the top: what fractions of `worth` are in money."""
    money = axes.secondary_xaxis("top", functions=(partial(np.multiply, worth), partial(np.multiply, 1.0 / worth)))
    money.xaxis.set_major_formatter(IN_MONEY)


def _lines(risk: Risk, level: int) -> Iterator[_Line]:
    """In the order of the methods. Holdings without a value have their figures in money."""
    estimates = risk.money.estimates if risk.money and not risk.in_fractions else risk.estimates
    show = percent if risk.in_fractions else amount
    for at, (method, estimate) in enumerate(estimates.items()):
        var, es = estimate.var[level], estimate.es[level]
        figures = f"{show(var)} / {show(es)}" + (", a gain" if var is not None and var < 0.0 else "")
        yield _Line(method, estimate.status if var is None else figures, var, es, _colour(at, method))


def _colour(at: int, method: str) -> tuple[float, ...]:
    """Ten strong colours, then their ten pale ones; black for the average."""
    return (0.0, 0.0, 0.0, 1.0) if method == AVERAGE else matplotlib.colormaps["tab20"]((2 * at + at // 10) % 20)


def _draw_distribution(axes: Axes, risk: Risk, lines: Sequence[_Line]) -> None:
    axes.set_ylabel("scenarios")
    draw_histogram(axes, risk.pnl, percent if risk.in_fractions else amount)
    low, high = sight(risk.pnl)
    for line in lines:
        for loss, style in ((line.var, "-"), (line.es, "--")):
            if loss is not None and low <= -loss <= high:
                axes.axvline(-loss, color=line.colour, linewidth=1.2, linestyle=style)


def _draw_lines(axes: Axes, lines: Sequence[_Line], within: tuple[float, float]) -> None:
    """A row for each method, the first at the top, with its figures in words; an arrow where one is out of sight."""
    axes.set_yticks(range(len(lines)), [f"{line.method}  {line.words}" for line in lines])
    axes.set_title("method, VaR / ES", loc="left", x=-0.01, ha="right", fontsize="medium")
    axes.set_ylim(max(1, len(lines)) - 0.5, -0.5)
    axes.grid(axis="x", color=GRID)
    for row, line in enumerate(lines):
        ends = [
            (min(max(-loss, within[0]), within[1]), mark if within[0] <= -loss else "<")
            for loss, mark in ((line.var, "o"), (line.es, "D"))
            if loss is not None
        ]
        axes.plot([at for at, _ in ends], [row] * len(ends), color=line.colour, linewidth=1.5)
        for at, mark in ends:
            axes.plot([at], [row], marker=mark, color=line.colour)
