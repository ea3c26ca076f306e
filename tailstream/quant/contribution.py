"""What each position adds to the risk of its book, and what a trade would."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import LARGEST, Estimate, Method
from tailstream.quant.var.normal import normal_multiples
from tailstream.quant.var.tail import Tail, tail
from tailstream.quant.volatility import dispersion

Differences = tuple[float | None, ...]


class Incremental(NamedTuple):
    """What a trade changes: the estimates before and after it, and after minus before per level, in their unit.

    A difference is None where either estimate is; positive is more risk.
    """

    before: Estimate
    after: Estimate
    var: Differences
    es: Differences


def component_es(position_pnl: Floats, level: float) -> Floats:
    """Average loss (n,) of each position over the tail of the book, positive = loss, in the unit of the P&L.

    `position_pnl` (n, S), gains positive, is what the positions make in the same S scenarios; the components sum to the
    historical ES of their sum. The scenario at the VaR counts with the fraction that completes the tail; scenarios that
    tie there share it, so that their order does not matter. Euler allocation: Tasche (1999).
    Raises ValueError without scenarios and when one is not a finite amount.
    """
    book = _book(position_pnl)
    shares = _tail_shares(book, tail(level, book.size))
    counted = np.flatnonzero(shares)
    components: Floats = np.add.reduce(-np.take(position_pnl, counted, axis=1) * shares[counted], axis=1)
    return components


def component_var_normal(position_pnl: Floats, level: float) -> Floats | None:
    """`z cov(p_i, p) / sd(p)` (n,) of positions p_i and their book p, ddof = 1; None when the book does not vary.

    The same as `z w_i (Sigma w)_i / s_p`. The components sum to `z sd(p)`, the normal VaR without the mean: Garman
    (1996). `position_pnl` as for `component_es`, S >= 2.
    """
    book = _book(position_pnl)
    centre, deviation = dispersion(book) if book.size > 1 else (0.0, 0.0)
    if deviation == 0.0:
        return None
    away = (book - centre) / deviation  # sums to 0, so that the positions' own means need not be taken off
    components: Floats = np.add.reduce(position_pnl * away, axis=1) * (normal_multiples(level).var / (book.size - 1))
    return components + 0.0


def marginal(components: Floats, exposures: Floats) -> Floats:
    """What the book's figure grows by for one more unit of money in each position, (n,); NaN where none is exposed.

    The derivative of a figure that scales with the positions is its component over the signed exposure.
    """
    with np.errstate(over="ignore"):
        slopes = components / np.where(exposures != 0.0, exposures, np.nan)
    return np.where(np.isfinite(slopes), slopes + 0.0, np.nan)


def incremental(method: Method, before: Floats, after: Floats, levels: Sequence[float]) -> Incremental:
    """VaR and ES of the book's P&L (S,) `after` a trade less those `before` it, by one method and in one unit.

    Both are P&L in the same scenarios: `after` is `before` plus what the trade would have made.
    """
    return difference(method.estimate(before, levels), method.estimate(after, levels))


def difference(before: Estimate, after: Estimate) -> Incremental:
    """The same from two estimates at the same levels, however they were made."""
    return Incremental(before, after, _less(after.var, before.var), _less(after.es, before.es))


def _less(minuends: Differences, subtrahends: Differences) -> Differences:
    pairs = zip(minuends, subtrahends, strict=True)
    return tuple(None if after is None or before is None else after - before for after, before in pairs)


def _book(position_pnl: Floats) -> Floats:
    """P&L (S,) of the book, by the fixed reduction over positions that everything of a close uses."""
    if position_pnl.ndim != 2 or position_pnl.shape[1] == 0:
        raise ValueError(f"position_pnl: expected positions by scenarios, at least one, was {position_pnl.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        book: Floats = np.add.reduce(position_pnl, axis=0)
    if not (np.abs(book) < LARGEST).all():
        raise ValueError("position_pnl: expected finite amounts of money in every scenario")
    return book


def _tail_shares(book: Floats, beyond: Tail) -> Floats:
    """What each scenario (S,) counts in the ES of the book; they sum to 1."""
    at_var = np.partition(book, beyond.whole)[beyond.whole]
    worse, tied = book < at_var, book == at_var
    rest = (beyond.mass - np.count_nonzero(worse)) / np.count_nonzero(tied)
    return np.where(worse, 1.0, np.where(tied, rest, 0.0)) / beyond.mass
