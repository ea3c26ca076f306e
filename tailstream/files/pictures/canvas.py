"""What pictures have in common: their size, their colours, the level they show, and how they are written."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from tailstream.files.errors import WrongFile
from tailstream.quant.arrays import Floats

WIDTH_INCHES, DOTS_PER_INCH = 10.0, 120
BINS_MAX = 80
SHOWN_LEVEL = 0.99
"""A picture of many methods shows one level: this, where it was asked for."""

BODY, GRID, LOSS = "#aebbc7", "#e6e6e6", "#cc2f2f"
IN_PERCENT, PLAIN = PercentFormatter(1.0, symbol=" %"), StrMethodFormatter("{x:g}")


def shown_level(levels: Sequence[float]) -> int:
    """The position of the level that a picture shows."""
    return levels.index(SHOWN_LEVEL) if SHOWN_LEVEL in levels else len(levels) - 1


def draw_histogram(axes: Axes, values: Floats) -> None:
    """A histogram, its counts on a logarithmic axis: the tail is what matters and has the fewest."""
    axes.set_axisbelow(True)
    axes.grid(color=GRID)
    if values.size:
        axes.hist(values, bins=min(BINS_MAX, max(10, int(2.0 * values.size**0.5))), color=BODY, log=True)
        axes.yaxis.set_major_formatter(PLAIN)


def save(figure: Figure, path: Path) -> None:
    """Write a picture. Raises WrongFile when that cannot be, or when it would be too large to look at."""
    try:
        figure.savefig(path, dpi=DOTS_PER_INCH)
    except (OSError, ValueError) as error:
        raise WrongFile(f"{path}: expected a picture that can be written: {error}") from error
