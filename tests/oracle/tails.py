"""VaR and ES of a scenario P&L, oldest first, by each method that has a plain definition; positive = loss.

Each method takes losses (S,) and the tail 1 - c, and answers VaR and ES.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd
from bends import Bend, bend_of
from scipy.stats import norm

SCENARIOS_MIN = 250
LEVELS = ("0.95", "0.975", "0.99", "0.995")
TAILS = {level: 1 - Fraction(level) for level in LEVELS}
AGE_DECAY = 0.98
VOLATILITY_DECAY, SEEDING_PERIODS = 0.94, 20
BODY = 0.9
ROUNDING = 1e-12

Losses = np.ndarray
Tail = tuple[float, float]


class Judged(NamedTuple):
    """What a method says: VaR and ES by level, and its parameters."""

    levels: Mapping[str, Tail]
    parameters: Mapping[str, float]


def judged(losses: Losses, method: Callable[[Losses, Fraction], Tail], **parameters: float) -> Judged:
    """A method at all levels; nothing of it where there are too few scenarios."""
    if len(losses) < SCENARIOS_MIN:
        return Judged(dict.fromkeys(LEVELS, (math.nan, math.nan)), {})
    return Judged({level: method(losses, tail) for level, tail in TAILS.items()}, parameters)


def of_history(losses: Losses) -> dict[str, Judged]:
    """The methods of the window of scenarios that take the returns as they were."""
    enough = len(losses) >= SCENARIOS_MIN
    effective = 1 / (age_weights(len(losses)) ** 2).sum() if enough else math.nan
    sigma = losses.std(ddof=1) if enough else math.nan
    return {
        "historical": judged(losses, historical),
        "age_weighted": judged(losses, age_weighted, decay=AGE_DECAY, effective_observations=effective),
        "normal": judged(losses, normal, mean=-losses.mean() if enough else math.nan, sigma=sigma),
    }


def historical(losses: Losses, tail: Fraction) -> Tail:
    """The order statistic L_(ceil(n c)), and the mean of the n (1 - c) worst with a part of the next."""
    worst, mass = np.sort(losses)[::-1], len(losses) * tail
    whole = math.floor(mass)
    var = np.sort(losses)[math.ceil(len(losses) * (1 - tail)) - 1]
    return var, (worst[:whole].sum() + float(mass - whole) * worst[whole]) / float(mass)


def age_weights(count: int) -> np.ndarray:
    """l^(i-1) (1-l) / (1-l^n), i = 1 the newest, which stands last."""
    return AGE_DECAY ** np.arange(count)[::-1] * (1 - AGE_DECAY) / (1 - AGE_DECAY**count)


def age_weighted(losses: Losses, tail: Fraction) -> Tail:
    """The smallest loss whose cumulated weight from below reaches c, and the weighted mean of the worst 1 - c."""
    weights, order = age_weights(len(losses)), np.argsort(losses)
    ascending = weights[order].cumsum()
    var = losses[order][np.argmax(ascending >= float(1 - tail))]
    worst = order[::-1]
    taken = (float(tail) - (weights[worst].cumsum() - weights[worst])).clip(0, weights[worst])
    return var, (taken * losses[worst]).sum() / float(tail)


def normal(losses: Losses, tail: Fraction) -> Tail:
    """-(mu + z sigma) and -mu + sigma phi(z) / (1 - c), with sigma's ddof 1."""
    z, sigma = norm.ppf(float(tail)), losses.std(ddof=1)
    return losses.mean() - z * sigma, losses.mean() + sigma * norm.pdf(z) / float(tail)


def rescaled(returns: pd.DataFrame) -> pd.DataFrame:
    """Returns (periods, things) without gaps, each times sigma_next / sigma_t, both EWMA of the returns before."""
    squares = returns**2
    seed = squares.iloc[:SEEDING_PERIODS].mean().to_frame().T
    variances = pd.concat([seed, squares]).ewm(alpha=1 - VOLATILITY_DECAY, adjust=False).mean()
    return returns * np.sqrt(variances.iloc[-1].to_numpy() / variances.iloc[:-1].to_numpy())


def cornish_fisher(pnl: "pd.Series[float]") -> Judged:
    """-(mean + sigma Z(z)) and the mean of that below z, Z the cubic with the skewness and kurtosis of the sample."""
    if len(pnl) < SCENARIOS_MIN or pnl.std() <= ROUNDING * max(1, abs(pnl.mean())):
        return judged(-pnl.to_numpy(), degenerate, mean=pnl.mean(), sigma=0.0)
    mean, sigma, bend = pnl.mean(), pnl.std(), bend_of(pnl.skew(), pnl.kurt())
    if bend is None:
        return Judged(dict.fromkeys(LEVELS, (math.nan, math.nan)), {})
    found = {"mean": mean, "sigma": sigma, "skewness": pnl.skew(), "excess_kurtosis": pnl.kurt()}
    shape = {"matched": bend.matched, "skewness_parameter": bend.s, "kurtosis_parameter": bend.k}
    return judged(-pnl.to_numpy(), lambda _, tail: _bent(mean, sigma, bend, float(tail)), **found, **shape)


def degenerate(losses: Losses, _tail: Fraction) -> Tail:
    """What does not vary loses its mean."""
    return losses.mean(), losses.mean()


def _bent(mean: float, sigma: float, bend: Bend, tail: float) -> Tail:
    return -(mean + sigma * bend.quantile(tail)), -(mean + sigma * bend.mean_below(tail))


def threshold(losses: Losses) -> tuple[float, int]:
    """The interpolated 90 % quantile of the losses, and how many are strictly above it."""
    at = float(np.quantile(losses, BODY))
    return at, int((losses - at > ROUNDING * (abs(at) + losses.max() - at)).sum())


def components(positions: pd.DataFrame, tail: Fraction) -> pd.DataFrame:
    """Of P&L (scenarios, positions): each one's mean loss over the book's tail, and its share of the normal VaR."""
    book = positions.sum(axis="columns")
    worst, mass = positions.iloc[np.argsort(book.to_numpy())], len(book) * tail
    whole = math.floor(mass)
    es = -(worst.iloc[:whole].sum() + float(mass - whole) * worst.iloc[whole]) / float(mass)
    var = -norm.ppf(float(tail)) * positions.apply(lambda one: one.cov(book)) / book.std()
    return pd.DataFrame({"component_es": es, "component_var": var})
