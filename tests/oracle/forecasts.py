"""How published VaR and ES did against the P&L that came: the tests of a backtest, written from their definitions."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, xlogy

WINDOW = 250
DECIMALS = 6
"""Of test statistics and probabilities, as they are published."""
MULTIPLIERS = {**dict.fromkeys(range(5), 1.50), 5: 1.70, 6: 1.76, 7: 1.83, 8: 1.88, 9: 1.92}
RED_MULTIPLIER = 2.00
GREEN, AMBER, RED = 0.0, 1.0, 2.0


class Forecasts(NamedTuple):
    """Of one portfolio, each close one row: what was said at the close before, and what came; fractions of NAV then."""

    tails: np.ndarray
    """(closes, methods, levels, 2): VaR and ES."""
    actual: np.ndarray
    hypothetical: np.ndarray

    def last(self, count: int) -> "Forecasts":
        """The newest of them."""
        return Forecasts(*(column[-count:] for column in self))

    def losses(self, beyond: np.ndarray) -> np.ndarray:
        """FZ0 losses (closes, methods) of the hypothetical P&L, summed over the levels; NaN where one has none."""
        var, es = self.tails[..., 0], self.tails[..., 1]
        return fz0(self.hypothetical[:, None, None], var, es, beyond).sum(axis=2)


def fz0(y: np.ndarray, var: np.ndarray, es: np.ndarray, beyond: np.ndarray | float) -> np.ndarray:
    """-(1/(a e)) 1{y<=v}(v-y) + v/e + ln(-e) - 1, v and e minus VaR and ES; NaN where ES is not positive."""
    v, e = -var, np.where(es > 0, -es, np.nan)
    loss = (y <= v) * (y - v) / (beyond * e) + v / e + np.log(-e) - 1
    return np.where(np.isfinite(loss), loss, np.nan)


def outcome(y: np.ndarray, var: np.ndarray, es: np.ndarray, beyond: float) -> dict[str, float]:
    """All tests of forecasts (T,) against P&L (T,), oldest first, at the tail ``beyond`` = 1 - c."""
    known = np.isfinite(y) & np.isfinite(var)
    hits, told = (y < -var)[known], fz0(y, var, es, beyond)
    scored = np.isfinite(told)
    excess = (y / np.where(es > 0, es, np.nan) * (y < -var))[scored]
    tick = ((beyond - (y < -var)) * (y + var))[known]
    kupiec, independence = kupiec_ratio(hits, beyond), independence_ratio(hits)
    ratios = {
        "kupiec": (kupiec, 1),
        "independence": (independence, 1),
        "conditional_coverage": (kupiec + independence, 2),
    }
    return {
        "exceptions": hits.sum(),
        **{name: round(ratio, DECIMALS) for name, (ratio, _) in ratios.items()},
        **{f"{name}_p_value": round(float(chdtrc(df, ratio)), DECIMALS) for name, (ratio, df) in ratios.items()},
        "z2": round(1 + excess.mean() / beyond, DECIMALS) if scored.any() else math.nan,
        "tick_loss": tick.mean() if known.any() else math.nan,
        "fz0_loss": told[scored].mean() if scored.any() else math.nan,
    }


def kupiec_ratio(hits: np.ndarray, p: float) -> float:
    """-2 ln[(1-p)^(T-x) p^x / ((1-x/T)^(T-x) (x/T)^x)]; NaN without an observation."""
    count, x = len(hits), int(hits.sum())
    return max(0.0, -2 * (bernoulli(x, count, p) - bernoulli(x, count, x / count))) if count else math.nan


def independence_ratio(hits: np.ndarray) -> float:
    """-2 ln of the likelihood of the pairs with one chance of a hit over that with one after a hit and one after none.

    NaN without a pair.
    """
    before, after = hits[:-1], hits[1:]
    if not len(after):
        return math.nan
    apart = sum(bernoulli(int(s.sum()), len(s), s.mean()) for s in (after[before], after[~before]) if len(s))
    return max(0.0, -2 * (bernoulli(int(after.sum()), len(after), after.mean()) - apart))


def bernoulli(x: int, count: int, p: float) -> float:
    """ln[(1-p)^(count-x) p^x], 0 ln 0 being 0."""
    return float(xlogy(count - x, 1 - p) + xlogy(x, p))


def light(forecasts: Forecasts, method: int, level: int) -> tuple[float, float]:
    """The Basel zone of the last 250 observations, and the multiplier; NaN where there are fewer."""
    var = forecasts.tails[:, method, level, 0]
    recent = [(y < -var)[np.isfinite(y) & np.isfinite(var)][-WINDOW:] for y in forecasts[1:]]
    if min(map(len, recent)) < WINDOW:
        return math.nan, math.nan
    exceptions = max(int(hits.sum()) for hits in recent)
    zone = GREEN if exceptions < 5 else AMBER if exceptions < 10 else RED
    return zone, MULTIPLIERS.get(exceptions, RED_MULTIPLIER)


def level_figures(
    forecasts: Forecasts, method: int, level: int, beyond: float, has_come: bool
) -> Iterator[tuple[str, float]]:
    """All figures of one method at one level; ``has_come`` says whether the newest forecast is of the close before."""
    recent = forecasts.last(WINDOW)
    var, es = (recent.tails[:, method, level, i] for i in (0, 1))
    observations = [int((np.isfinite(y) & np.isfinite(var)).sum()) for y in recent[1:]]
    yield "observations", min(observations)
    for kind, y in (("actual", recent.actual), ("hypothetical", recent.hypothetical)):
        known = has_come and bool(np.isfinite(y[-1]) and np.isfinite(var[-1]))
        yield f"{kind} hit", float(y[-1] < -var[-1]) if known else math.nan
        yield from ((f"{kind} {name}", value) for name, value in outcome(y, var, es, beyond).items())
