"""What a book holds: exposure in money, leverage, and how few positions carry it."""

from typing import NamedTuple

import numpy as np

from tailstream.quant.arrays import RUINED, UNDEFINED, UNPRICED, Figure, Floats, ratio


class Exposure(NamedTuple):
    """Sums of signed exposures, in their currency: `gross = long + short`, `net = long - short`.

    `short` is the size of the short side, so it is positive.
    """

    gross: Figure
    net: Figure
    long: Figure
    short: Figure


def exposure(exposures: Floats) -> Exposure:
    """Gross, net, long and short of (positions,) signed exposures in one currency; all 0 for an empty book."""
    long = float(np.add.reduce(np.maximum(exposures, 0.0)))
    short = float(np.add.reduce(np.maximum(-exposures, 0.0)))
    return Exposure(*map(Figure.of, (long + short, long - short, long, short)))


def leverage(gross: Figure, nav: float | None) -> Figure:
    """Gross exposure over NAV, both in one currency; `unpriced` without a NAV, `ruined` when it is 0 or less."""
    if gross.value is None or nav is None:
        return UNPRICED if nav is None else gross
    return RUINED if nav <= 0.0 else ratio(gross.value, nav, over_zero=RUINED)


def weights(exposures: Floats) -> Floats | None:
    """Share of each position in gross exposure, (positions,), all >= 0; None for a book without exposure."""
    sizes = np.abs(exposures)
    gross = np.add.reduce(sizes)
    return np.asarray(sizes / gross) if 0.0 < gross < np.inf else None


def herfindahl(shares: Floats | None) -> Figure:
    """Herfindahl-Hirschman index `sum(w^2)` of `weights`: 1 for one position, 1/n for n equal ones."""
    return UNDEFINED if shares is None else Figure.of(np.add.reduce(shares * shares))


def effective_positions(concentration: Figure) -> Figure:
    """The number of equal positions that would be as concentrated: the inverse of `herfindahl`."""
    return concentration if concentration.value is None else Figure.of(1.0 / concentration.value)


def largest_position(shares: Floats | None) -> Figure:
    """Share of the largest position in gross exposure, from `weights`."""
    return UNDEFINED if shares is None else Figure.of(np.maximum.reduce(shares))
