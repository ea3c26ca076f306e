"""The distribution of one instrument: its history, and beyond its 10 % and 90 % quantiles a fitted tail."""

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var.pareto import probability_weighted, quantile

EXCESSES_MIN = 10
"""Fewer than these make no tail: it stays as history has it."""


def margin_quantiles(returns: Floats, probabilities: Floats) -> Floats:
    """The quantiles (S,) at ascending probabilities (S,), in (0, 1), of the semi-parametric distribution of (T,).

    Between the interpolated (type 7) 10 % and 90 % quantiles they are the interpolated ones of history. Beyond, a
    generalised Pareto distribution is fitted to what exceeds them strictly, by probability-weighted moments, and weighs
    as much as those observations do. Without 10 of them (ties, no variance) that side is all history.
    McNeil, Frey & Embrechts (2015), ch. 5; Hosking & Wallis (1987).
    """
    ascending = np.sort(returns)
    body = np.interp(probabilities * (returns.size - 1), np.arange(returns.size), ascending)
    upper = _with_tail(body, ascending, 1.0 - probabilities)
    return -_with_tail(-upper[::-1], -ascending[::-1], probabilities[::-1])[::-1]


def _with_tail(quantiles: Floats, ascending: Floats, exceeded: Floats) -> Floats:
    """Ascending quantiles, each exceeded with the probability `exceeded`, with a Pareto tail at their upper end."""
    threshold = float(np.interp(0.9 * (ascending.size - 1), np.arange(ascending.size), ascending))
    excesses = ascending[ascending > threshold] - threshold
    if excesses.size < EXCESSES_MIN:
        return quantiles
    share = excesses.size / ascending.size
    inside = int(np.count_nonzero(exceeded >= share))
    tail = threshold + quantile(probability_weighted(excesses), exceeded[inside:] / share)
    return np.append(np.minimum(quantiles[:inside], threshold), tail)
