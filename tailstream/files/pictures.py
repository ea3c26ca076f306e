"""Pictures of numbers from files, as PNG."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter, StrMethodFormatter

from tailstream.files.errors import WrongFile
from tailstream.files.notation import amount, percent
from tailstream.files.risk import Risk
from tailstream.files.rolling import Forecasts
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.quant.backtest import hits, observed
from tailstream.quant.var.tail import tail_probability

WIDTH_INCHES, BACKTEST_INCHES, DOTS_PER_INCH = 10.0, 2.2, 120
BINS_MAX = 80
SHOWN_LEVEL = 0.99
"""A picture of many methods shows one level: this, where it was asked for."""

_BODY, _GRID, _EXCEPTION = "#aebbc7", "#e6e6e6", "#cc2f2f"


class _Line(NamedTuple):
    """One method's VaR and ES at the shown level, positive = loss, and its colour."""

    method: str
    var: float
    es: float | None
    colour: tuple[float, ...]


def shown_level(levels: Sequence[float]) -> int:
    """The position of the level that a picture shows."""
    return levels.index(SHOWN_LEVEL) if SHOWN_LEVEL in levels else len(levels) - 1


def draw_risks(path: Path, risks: Sequence[Risk], levels: Sequence[float]) -> None:
    """The distribution of P&L with the VaR and ES of every method, a pair of panels for each of `risks`."""
    heights = [height for risk in risks for height in (3.2, 0.6 + 0.26 * max(1, len(risk.estimates)))]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.8 * len(risks)), layout="constrained")
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for at, risk in enumerate(risks):
        _draw_risk(panels[2 * at], panels[2 * at + 1], risk, levels)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a picture. Raises WrongFile when that cannot be."""
    try:
        figure.savefig(path, dpi=DOTS_PER_INCH)
    except OSError as error:
        raise WrongFile(f"{path}: expected a file that can be written: {error}") from error


def _draw_risk(above: Axes, below: Axes, risk: Risk, levels: Sequence[float]) -> None:
    level = shown_level(levels)
    lines = list(_lines(risk, level))
    above.set_title(f"{risk.name}: {risk.pnl.size} scenarios, VaR and ES at {100 * levels[level]:g} %", loc="left")
    _draw_distribution(above, risk.pnl, lines)
    _draw_lines(below, lines, percent if _in_fractions(risk) else amount)
    below.sharex(above)
    above.tick_params(labelbottom=False)
    below.xaxis.set_major_formatter(PercentFormatter(1.0) if _in_fractions(risk) else StrMethodFormatter("{x:,.0f}"))
    below.set_xlabel("P&L, losses to the left; ● and solid: VaR, ◆ and dashed: ES")


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
    """A histogram, its counts on a logarithmic axis: the tail is what matters and has the fewest."""
    axes.set_ylabel("scenarios")
    axes.set_axisbelow(True)
    axes.grid(color=_GRID)
    if pnl.size:
        axes.hist(pnl, bins=min(BINS_MAX, max(10, int(2.0 * pnl.size**0.5))), color=_BODY, log=True)
        axes.yaxis.set_major_formatter(ScalarFormatter())
    for line in lines:
        axes.axvline(-line.var, color=line.colour, linewidth=1.2)
        if line.es is not None:
            axes.axvline(-line.es, color=line.colour, linewidth=1.2, linestyle="--")


def _draw_lines(axes: Axes, lines: Sequence[_Line], show: Callable[[float | None], str]) -> None:
    """A row for each method, the first at the top, with its figures in words."""
    axes.set_yticks(range(len(lines)), [f"{line.method}  {show(line.var)} / {show(line.es)}" for line in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(axis="x", color=_GRID)
    for row, line in enumerate(lines):
        axes.plot([-line.var], [row], marker="o", color=line.colour)
        if line.es is not None:
            axes.plot([-line.es, -line.var], [row, row], color=line.colour, linewidth=1.5)
            axes.plot([-line.es], [row], marker="D", color=line.colour)


def draw_backtests(path: Path, made: Sequence[Forecasts], levels: Sequence[float]) -> None:
    """The returns with the VaR that had been forecast and the exceptions marked, a panel for each series and method."""
    panels = [(each, at) for each in made for at in range(len(each.methods)) if each.dates]
    figure = Figure(figsize=(WIDTH_INCHES, BACKTEST_INCHES * len(panels) + 0.5), layout="constrained")
    for axes, (each, at) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _draw_backtest(axes, each, at, levels)
    save(figure, path)


def _draw_backtest(axes: Axes, made: Forecasts, method: int, levels: Sequence[float]) -> None:
    shown = shown_level(levels)
    dates, var = np.array(made.dates, dtype="datetime64[us]"), made.var[:, method, shown]
    beyond = hits(made.returns, var)
    expected = float(tail_probability(levels[shown])) * np.count_nonzero(observed(made.returns, var))
    axes.set_title(
        f"{made.name}: {made.methods[method]} at {100 * levels[shown]:g} %,"
        f" {np.count_nonzero(beyond)} exceptions, {expected:.1f} expected",
        loc="left",
        fontsize="medium",
    )
    axes.grid(color=_GRID)
    axes.plot(dates, made.returns, color=_BODY, linewidth=0.6)
    for level in range(len(levels)):
        axes.plot(dates, -made.var[:, method, level], color="black", linewidth=1.0 if level == shown else 0.3)
    axes.plot(dates[beyond], made.returns[beyond], linestyle="none", marker="o", markersize=3, color=_EXCEPTION)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlim(dates[0], dates[-1])
