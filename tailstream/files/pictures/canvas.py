"""What pictures have in common: their size, their colours, the level they show, and how they are written."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from tailstream.files.errors import WrongFile
from tailstream.quant.arrays import Floats

WIDTH_INCHES, DOTS_PER_INCH = 10.0, 120
BINS_MAX = 80
SHOWN_LEVEL = 0.99
"""A picture of many methods shows one level: this, where it was asked for."""

FAR = 25.0
"""So many interquartile ranges from the median values are shown: three times the worst day of a usual year's."""

BODY, GRID, LOSS = "#aebbc7", "#e6e6e6", "#cc2f2f"
IN_PERCENT, IN_MONEY = PercentFormatter(1.0, symbol=" %"), StrMethodFormatter("{x:,.0f}")
PLAIN = StrMethodFormatter("{x:g}")


def shown_level(levels: Sequence[float]) -> int:
    """The position of the level that a picture shows, the highest where the usual one was not asked for."""
    return levels.index(SHOWN_LEVEL if SHOWN_LEVEL in levels else max(levels))


def sight(values: Floats) -> tuple[float, float]:
    """From where to where a picture shows values, so that one bad tick does not hide all others."""
    if not values.size:
        return -np.inf, np.inf
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    reach = FAR * (high - low) or np.inf
    return middle - reach, middle + reach


def draw_histogram(axes: Axes, values: Floats, show: Callable[[float], str]) -> None:
    """A histogram, its counts on a logarithmic axis: the tail is what matters and has the fewest."""
    axes.set_axisbelow(True)
    axes.grid(color=GRID)
    if values.size:
        low, high = sight(values)
        seen = (low <= values) & (values <= high)
        axes.hist(values[seen], bins=min(BINS_MAX, max(10, int(2.0 * values.size**0.5))), color=BODY, log=True)
        axes.yaxis.set_major_formatter(PLAIN)
        if not seen.all():
            beyond = values[~seen]
            ends = dict.fromkeys((show(beyond.min()), show(beyond.max())))
            told = f"{beyond.size} not shown: {' to '.join(ends)}"
            axes.set_title(told, loc="right", fontsize="medium", color=LOSS)


def save(figure: Figure, path: Path) -> None:
    """Write a picture. Raises WrongFile when that cannot be, or when it would be too large to look at."""
    try:
        figure.savefig(path, dpi=DOTS_PER_INCH)
    except (OSError, ValueError) as error:
        raise WrongFile(f"{path}: expected a picture that can be written: {error}") from error
