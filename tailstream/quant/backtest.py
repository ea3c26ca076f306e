"""Backtests: how often losses went beyond Value at Risk, whether in clusters, and how good VaR and ES were.

The forecast of a close is tested against the P&L of the next one: row t of `var` and `es` is what had been said of
row t of `pnl`. VaR and ES are positive when they are losses, P&L is positive when it is a gain, all in one unit.
NaN (or an infinity) in P&L or VaR is no observation; results that do not exist are NaN.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import erfc, rel_entr

from tailstream.quant.arrays import Floats
from tailstream.quant.var.tail import tail_probability

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.intp]
Levels = float | Sequence[float]
"""One confidence for all, or one for each entry of the last axis."""
Element = TypeVar("Element", bound=np.generic)

BASEL_OBSERVATIONS = 250
GREEN_MULTIPLIER, RED_MULTIPLIER = 1.50, 2.00
AMBER_MULTIPLIERS = {5: 1.70, 6: 1.76, 7: 1.83, 8: 1.88, 9: 1.92}


class LikelihoodRatio(NamedTuple):
    """Statistics, at least 0, and the probabilities of ones at least as large if the model is right."""

    statistic: Floats
    p_value: Floats


class Coverage(NamedTuple):
    """Tests of hits alone, arrays of one shape.

    `kupiec` asks whether there are as many as the level promises, `independence` whether one makes another likelier at
    the next observation, `conditional_coverage` both. The first needs one observation, the others two.
    """

    observations: Counts
    exceptions: Counts
    kupiec: LikelihoodRatio
    independence: LikelihoodRatio
    conditional_coverage: LikelihoodRatio


class Backtest(NamedTuple):
    """Coverage, Acerbi and Szekely's Z2 and the mean losses of forecasts, arrays of one shape.

    `z2` is about 0 for a right ES and negative for one too small. `tick_loss` judges VaR and has the unit of the P&L;
    `fz0_loss` judges VaR and ES together: of two forecasts of the same P&L the better one has the smaller mean.
    """

    observations: Counts
    exceptions: Counts
    kupiec: LikelihoodRatio
    independence: LikelihoodRatio
    conditional_coverage: LikelihoodRatio
    z2: Floats
    tick_loss: Floats
    fz0_loss: Floats


class Recent(NamedTuple):
    """Observations and exceptions among the last 250 observations."""

    observations: Counts
    exceptions: Counts


class TrafficLight(NamedTuple):
    """The Basel zone of a 99 % VaR, and what it multiplies the capital by."""

    zone: Literal["green", "amber", "red"]
    multiplier: float


def observed(pnl: Floats, var: Floats) -> Bools:
    """Where both P&L (T,) and VaR (T, ...) are known, shape (T, ...)."""
    return np.isfinite(_margin(pnl, var))


def hits(pnl: Floats, var: Floats) -> Bools:
    """Where the loss of P&L (T,) was strictly beyond VaR (T, ...), shape (T, ...); False without an observation."""
    beyond: Bools = _margin(pnl, var) < 0.0
    return beyond


def tick_loss(pnl: Floats, var: Floats, level: Levels) -> Floats:
    """`(a - 1{y < v})(y - v)` of P&L y (T,) and its quantile v, minus VaR (T, ...); NaN without an observation.

    `a` is 1 - level. Non-negative, in the unit of the P&L: Koenker & Bassett (1978), Giacomini & Komunjer (2005).
    """
    return _tick(_margin(pnl, var), _beyond(level))


def fz0_loss(pnl: Floats, var: Floats, es: Floats, level: Levels) -> Floats:
    """`-1{y <= v} (v - y) / (a e) + v / e + ln(-e) - 1` of P&L y (T,), v minus VaR and e minus ES (T, ...).

    `a` is 1 - level. NaN without an observation and where ES is not positive (or too small to divide by). Scaling all
    amounts by k adds ln k, the same for all forecasts. Fissler & Ziegel (2016), Patton, Ziegel & Chen (2019).
    """
    return _fz0(_margin(pnl, var), var, _positive(es), _beyond(level))


def backtest(pnl: Floats, var: Floats, es: Floats, levels: Sequence[float]) -> Backtest:
    """Test VaR and ES (T, ..., L) at confidence `levels` (L,) against P&L (T,), oldest first; results are (..., L).

    Z2 and the FZ0 loss are over the observations whose ES is positive. Z2 is `1 + sum(Y I / (a ES)) / T`, with Y the
    P&L and I the hits: Acerbi & Szekely (2014). The results of one forecast have the same bits whatever stands beside.
    Raises ValueError for shapes that do not go together and for a level outside (0, 1).
    """
    _expect_together(pnl, var, es, levels)
    beyond = np.array([float(tail_probability(level)) for level in levels])
    var, es = _time_last(var), _positive(_time_last(es))
    margin = _margin_along_last(pnl, var)
    known, hit = np.isfinite(margin), margin < 0.0
    fz0 = _fz0(margin, var, es, beyond[:, None])
    judged = np.isfinite(fz0)
    z2 = 1.0 - _mean(_over(-pnl, es), hit & judged, _count(judged)) / beyond
    tick = _mean(_tick(margin, beyond[:, None]), known, _count(known))
    return Backtest(*_coverage(hit, known, beyond), z2, tick, _mean(fz0, judged, _count(judged)))


def tests_of_hits(hits: Floats | Bools, level: Levels) -> Coverage:
    """Test hits (T, ...) alone, oldest first, of a VaR at confidence `level`; results are (...).

    A hit is 1, none is 0, NaN is no observation; anything else raises ValueError.

    `LR_pof = -2 ln[(1-p)^(T-x) p^x / ((1-x/T)^(T-x) (x/T)^x)]`, x exceptions: Kupiec (1995), chi2(1).
    `LR_ind = -2 ln[(1-q)^(n00+n10) q^(n01+n11) / ((1-q01)^n00 q01^n01 (1-q11)^n10 q11^n11)]` over the T - 1 pairs of
    observations that follow each other, gaps between them left out: Christoffersen (1998), chi2(1).
    `LR_cc = LR_pof + LR_ind`, chi2(2). `0 ln 0` is 0.
    """
    hit, known = hits == 1, ~np.isnan(hits)
    strange = hits[known & ~hit & (hits != 0)]
    if strange.size:
        raise ValueError(f"hits: expected 0, 1 or NaN, was {strange[0]}")
    return _coverage(_time_last(hit), _time_last(known), _beyond(level))


def recent(hits: Bools, observed: Bools) -> Recent:
    """Count among the last 250 observations (all, if there are fewer) of hits (T, ...); results are (...)."""
    known = _time_last(observed)
    newer = np.add.accumulate(known[..., ::-1], axis=-1, dtype=np.intp)[..., ::-1]
    counted = known & (newer <= BASEL_OBSERVATIONS)
    return Recent(_count(counted), _count(counted & _time_last(hits)))


def traffic_light(exceptions: int, observations: int = BASEL_OBSERVATIONS) -> TrafficLight | None:
    """The zone of a 99 % VaR by its exceptions in the last 250 observations; None when there are fewer of those.

    `exceptions` is the larger count of actual and hypothetical P&L. Basel Committee, MAR99 (2019).
    """
    if observations < BASEL_OBSERVATIONS:
        return None
    if exceptions < min(AMBER_MULTIPLIERS):
        return TrafficLight("green", GREEN_MULTIPLIER)
    if exceptions > max(AMBER_MULTIPLIERS):
        return TrafficLight("red", RED_MULTIPLIER)
    return TrafficLight("amber", AMBER_MULTIPLIERS[exceptions])


# from here on time is the last axis: sums along it have the same bits whatever the other axes hold


def _coverage(hit: Bools, known: Bools, beyond: Floats | float) -> Coverage:
    observations, exceptions = _count(known), _count(hit)
    uniform = _kupiec(observations, exceptions, beyond)
    independent = _independence(hit, known)
    return Coverage(observations, exceptions, _chi2_1(uniform), _chi2_1(independent), _chi2_2(uniform + independent))


def _kupiec(observations: Counts, exceptions: Counts, beyond: Floats | float) -> Floats:
    """`2 sum(counted ln(counted / expected))` over hits and the rest, which is LR_pof."""
    kept = observations - exceptions
    entropy = rel_entr(exceptions, observations * beyond) + rel_entr(kept, observations * (1.0 - beyond))
    return np.where(observations > 0, np.maximum(2.0 * entropy, 0.0), np.nan)


def _independence(hit: Bools, known: Bools) -> Floats:
    """`2 sum(n_ij ln(n_ij / expected))` over the table of a hit or none, then a hit or none, which is LR_ind."""
    latest, seen = _carried(hit, known)
    before, after = latest[..., :-1], hit[..., 1:]
    pairs = _count(seen[..., :-1] & known[..., 1:])
    both, first, second = _count(before & after), _count(before & known[..., 1:]), _count(seen[..., :-1] & after)
    counted = np.stack([both, first - both, second - both, pairs - first - second + both])
    rows, columns = np.stack([first, first, pairs - first, pairs - first]), np.stack([second, pairs - second] * 2)
    entropy = np.add.reduce(rel_entr(counted, rows * columns / np.maximum(pairs, 1)), axis=0)
    return np.where(pairs > 0, np.maximum(2.0 * entropy, 0.0), np.nan)


def _carried(hit: Bools, known: Bools) -> tuple[Bools, Bools]:
    """At each time whether the latest observation up to then was a hit, and whether there was one at all."""
    if known.all():
        return hit, known
    places = 2 * np.arange(1, known.shape[-1] + 1, dtype=np.int32)
    latest = np.maximum.accumulate(np.where(known, places + hit, 0), axis=-1)  # even without a hit, odd with one
    return latest % 2 == 1, latest > 0


def _chi2_1(statistic: Floats) -> LikelihoodRatio:
    return LikelihoodRatio(statistic, erfc(np.sqrt(statistic / 2.0)))


def _chi2_2(statistic: Floats) -> LikelihoodRatio:
    return LikelihoodRatio(statistic, np.exp(-statistic / 2.0))


def _mean(values: Floats, counted: Bools, count: Counts) -> Floats:
    """Sum of the counted values over `count`, NaN where that is 0."""
    means: Floats = np.add.reduce(np.where(counted, values, 0.0), axis=-1) / np.where(count > 0, count, np.nan)
    return means


def _count(marked: Bools) -> Counts:
    return np.asarray(np.add.reduce(marked, axis=-1, dtype=np.intp))


def _over(numerators: Floats, denominators: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        quotients: Floats = numerators / denominators
    return quotients


def _positive(es: Floats) -> Floats:
    """ES, NaN where it is not positive."""
    return np.where(es > 0.0, es, np.nan)


def _margin_along_last(pnl: Floats, var: Floats) -> Floats:
    """What was left of VaR (..., T) after P&L (T,), negative where the loss was beyond it; not finite if unknown."""
    with np.errstate(over="ignore", invalid="ignore"):
        margin: Floats = pnl + var
    return margin


def _time_last(values: npt.NDArray[Element]) -> npt.NDArray[Element]:
    return np.ascontiguousarray(np.moveaxis(values, 0, -1))


# and here on whichever axis it is


def _margin(pnl: Floats, var: Floats) -> Floats:
    """As `_margin_along_last`, of VaR (T, ...); NaN where unknown."""
    _expect_rows("var", var, pnl)
    margin = _margin_along_last(pnl.reshape(-1, *(1,) * (var.ndim - 1)), var)
    return np.where(np.isfinite(margin), margin, np.nan)


def _tick(margin: Floats, beyond: Floats | float) -> Floats:
    loss: Floats = beyond * margin + np.maximum(-margin, 0.0)
    return loss


def _fz0(margin: Floats, var: Floats, es: Floats, beyond: Floats | float) -> Floats:
    scored = _over(np.maximum(-margin, 0.0) / beyond + var, es) + np.log(es) - 1.0
    return np.where(np.isfinite(scored), scored, np.nan)


def _beyond(level: Levels) -> Floats | float:
    """`1 - level`, a number or (L,) of them."""
    if isinstance(level, Sequence):
        return np.array([float(tail_probability(each)) for each in level])
    return float(tail_probability(level))


def _expect_together(pnl: Floats, var: Floats, es: Floats, levels: Sequence[float]) -> None:
    _expect_rows("var", var, pnl)
    if es.shape != var.shape:
        raise ValueError(f"es: expected the shape of var, {var.shape}, was {es.shape}")
    if var.ndim < 2 or var.shape[-1] != len(levels):
        raise ValueError(f"var: expected {len(levels)} levels along the last axis, was {var.shape}")


def _expect_rows(name: str, forecasts: Floats, pnl: Floats) -> None:
    if pnl.ndim != 1 or forecasts.shape[:1] != pnl.shape:
        raise ValueError(f"{name}: expected a row for each of the (T,) P&L, {pnl.shape}, was {forecasts.shape}")
