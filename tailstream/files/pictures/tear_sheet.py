"""A tear sheet: how a series did, on one page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogFormatter
from matplotlib.typing import HashableList

from tailstream.files.notation import metric, percent
from tailstream.files.performance import Performance, Yardstick, together
from tailstream.files.pictures.canvas import BODY, GRID, IN_PERCENT, LOSS, WIDTH_INCHES, draw_histogram, save
from tailstream.files.series import Series
from tailstream.files.table import label
from tailstream.quant.drawdown import underwater
from tailstream.quant.returns import compounding_refused, wealth

SHEET_INCHES = 9.0
ROLLING_PERIODS = 60
_LAYOUT: list[HashableList[str]] = [[panel, "words"] for panel in ("wealth", "drawdown", "volatility", "shape")]
_LINES = 34
_LOGARITHMIC = LogFormatter(minor_thresholds=(2.0, 0.4))
"""As many labels as two decades have room for."""
_TITLES = {
    "wealth": "wealth, logarithmic, from 1",
    "drawdown": "drawdown",
    "volatility": f"volatility a year, over {ROLLING_PERIODS} periods",
    "shape": "returns, counted",
}


def draw_performance(path: Path, measured: Sequence[Performance], by: Yardstick) -> None:
    """For each series its wealth beside the benchmark's, drawdown, volatility, distribution and metrics."""
    figure = Figure(figsize=(WIDTH_INCHES, SHEET_INCHES * len(measured)), layout="constrained")
    for sheet, each in zip(figure.subfigures(len(measured), 1, squeeze=False)[:, 0], measured, strict=True):
        _draw_sheet(sheet, each, by)
    save(figure, path)


def _draw_sheet(sheet: SubFigure, measured: Performance, by: Yardstick) -> None:
    series = measured.series
    sheet.suptitle(_title(series), x=0.01, ha="left")
    panels = sheet.subplot_mosaic(_LAYOUT, width_ratios=(3, 1), height_ratios=(3, 2, 2, 2))
    if compounding_refused(series.returns) is None:
        _draw_wealth(panels["wealth"], series, by)
        _draw_drawdown(panels["drawdown"], series)
    _draw_volatility(panels["volatility"], series, by)
    draw_histogram(panels["shape"], series.returns, percent)
    panels["shape"].xaxis.set_major_formatter(IN_PERCENT)
    _write_metrics(panels["words"], measured)
    for name, title in _TITLES.items():
        panels[name].set_title(title, loc="left", fontsize="medium")
    for name in ("drawdown", "volatility"):
        panels[name].sharex(panels["wealth"])


def _title(series: Series) -> str:
    dates = f", {label(series.dates[0])} to {label(series.dates[-1])}" if series.dates else ""
    return f"{series.name}: {series.returns.size} periods{dates}"


def _draw_wealth(axes: Axes, series: Series, by: Yardstick) -> None:
    axes.grid(color=GRID)
    axes.plot(np.array(series.dates), wealth(series.returns)[1:], color="black", linewidth=1.0, label=series.name)
    if by.benchmark is not None and by.benchmark.name != series.name:
        common, theirs = together(series, by.benchmark)
        axes.plot(np.array(common.dates), wealth(theirs)[1:], color=BODY, linewidth=1.0, label=by.benchmark.name)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_LOGARITHMIC)
    axes.yaxis.set_minor_formatter(_LOGARITHMIC)
    axes.legend(loc="upper left", frameon=False)


def _draw_drawdown(axes: Axes, series: Series) -> None:
    axes.set_axisbelow(True)
    axes.grid(color=GRID)
    axes.fill_between(np.array(series.dates), -underwater(series.returns)[1:], color=LOSS, linewidth=0.0)
    axes.yaxis.set_major_formatter(IN_PERCENT)


def _draw_volatility(axes: Axes, series: Series, by: Yardstick) -> None:
    axes.grid(color=GRID)
    axes.yaxis.set_major_formatter(IN_PERCENT)
    if series.returns.size >= ROLLING_PERIODS:
        windows = np.lib.stride_tricks.sliding_window_view(series.returns, ROLLING_PERIODS)
        spread = np.std(windows, axis=-1, ddof=1) * by.periods_per_year**0.5
        axes.plot(np.array(series.dates[ROLLING_PERIODS - 1 :]), spread, color="black", linewidth=0.8)


def _write_metrics(axes: Axes, measured: Performance) -> None:
    axes.set_axis_off()
    for row, (name, figure) in enumerate(measured.metrics.items()):
        height = 1.0 - (row + 0.5) / _LINES
        axes.text(0.0, height, name, fontsize="small", va="center")
        axes.text(1.0, height, metric(name, figure), fontsize="small", va="center", ha="right")
