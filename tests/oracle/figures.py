"""The figures of a window of returns and of a scenario P&L, written from their definitions."""

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pandas as pd

PERIODS_PER_YEAR = 252
ANNUALISED_RETURNS_MIN, ANNUALISED_DAYS_MIN = 30, 90
SCENARIOS_MIN = 250
LEVELS = ("0.95", "0.975", "0.99", "0.995")
DECAY = 0.98
ROUNDING = 1e-12

Figures = dict[str, float | None]


def book_figures(exposures: "pd.Series[float]", nav: float) -> Figures:
    """Exposure and concentration of the positions that are held, in base currency."""
    gross, shares = exposures.abs().sum(), exposures.abs() / exposures.abs().sum()
    concentration = (shares**2).sum()
    return _defined(
        gross=gross,
        net=exposures.sum(),
        long=exposures.clip(lower=0).sum(),
        short=-exposures.clip(upper=0).sum(),
        leverage=gross / nav if nav > 0 else math.nan,
        concentration_hhi=concentration,
        effective_positions=1 / concentration,
        largest_position=shares.max(),
        positions=(exposures != 0).sum(),
    )


def return_figures(r: "pd.Series[float]", calendar_days: int) -> Figures:
    """What was returned over the window, and how it was spread; none of them where there is no return."""
    return _defined(**_performance(r, calendar_days), **_dispersion(r, calendar_days), **_drawdown(r, calendar_days))


def _performance(r: "pd.Series[float]", calendar_days: int) -> dict[str, float]:
    if r.empty:
        return dict.fromkeys(
            ("total_return", "annual_return", "mean_return", "best", "worst", "hit_rate", "profit_factor"), math.nan
        )
    return {
        "total_return": _growth(r) - 1,
        "annual_return": _annual_return(r, calendar_days),
        "mean_return": r.mean(),
        "best": r.max(),
        "worst": r.min(),
        "hit_rate": _ratio((r > 0).sum(), (r != 0).sum()),
        "profit_factor": _gains_over_losses(r),
    }


def _dispersion(r: "pd.Series[float]", calendar_days: int) -> dict[str, float]:
    shortfall = math.sqrt((r.clip(upper=0) ** 2).mean()) if len(r) else math.nan
    annual = {
        "volatility": r.std(ddof=1) * math.sqrt(PERIODS_PER_YEAR),
        "downside_deviation": shortfall * math.sqrt(PERIODS_PER_YEAR),
        "sharpe": _ratio(r.mean(), r.std(ddof=1)) * math.sqrt(PERIODS_PER_YEAR),
        "sortino": _ratio(r.mean(), shortfall) * math.sqrt(PERIODS_PER_YEAR),
    }
    enough = _is_annualised(r, calendar_days)
    return {name: value if enough else math.nan for name, value in annual.items()} | {
        "skewness": r.skew(),
        "excess_kurtosis": r.kurt(),
        "tail_ratio": _ratio(abs(r.quantile(0.95)), abs(r.quantile(0.05))) if len(r) > 1 else math.nan,
        "omega": _gains_over_losses(r),
    }


def _drawdown(r: "pd.Series[float]", calendar_days: int) -> dict[str, float]:
    """Depths below the running peak, which the starting wealth seeds; a drawdown lasts from its peak to recovery."""
    if r.empty or r.min() <= -1:
        return dict.fromkeys(
            ("drawdown", "max_drawdown", "average_drawdown", "max_drawdown_length", "ulcer_index", "calmar"), math.nan
        )
    wealth = pd.Series([1.0, *(1 + r).cumprod()])
    depth = 1 - wealth / wealth.cummax()
    depth = depth.mask(depth <= ROUNDING, 0.0)
    falls = depth.groupby((depth == 0).cumsum())  # each group is a peak and the closes below it
    deepest = falls.max()[falls.max() > 0]
    lengths = falls.size().where(falls.max() > 0, 0)
    if depth.iloc[-1] > 0:
        lengths.iloc[-1] -= 1
    return {
        "drawdown": depth.iloc[-1],
        "max_drawdown": depth.max(),
        "average_drawdown": deepest.mean() if len(deepest) else 0.0,
        "max_drawdown_length": lengths.max(),
        "ulcer_index": math.sqrt((depth[1:] ** 2).mean()),
        "calmar": _ratio(_annual_return(r, calendar_days), depth.max()),
    }


def tail_figures(pnl: "pd.Series[float]", nav: float) -> Figures:
    """VaR and ES of a scenario P&L, oldest first, by each method and level; in money and as fractions of NAV."""
    figures: dict[str, float] = {}
    for level in LEVELS:
        tail = 1 - Fraction(level)
        for method, estimate in (("historical", historical), ("age_weighted", age_weighted), ("normal", normal)):
            var, es = estimate(-pnl.to_numpy(), tail) if len(pnl) >= SCENARIOS_MIN else (math.nan, math.nan)
            figures |= {f"{method} {level} var": var, f"{method} {level} es": es}
            figures |= {f"{name}_fraction": figures[name] / nav if nav > 0 else math.nan for name in list(figures)[-2:]}
    return _defined(**figures)


def historical(losses: np.ndarray, tail: Fraction) -> tuple[float, float]:
    """The order statistic L_(ceil(n c)), and the mean of the n (1 - c) worst with a part of the next."""
    worst, mass = np.sort(losses)[::-1], len(losses) * tail
    whole = math.floor(mass)
    var = np.sort(losses)[math.ceil(len(losses) * (1 - tail)) - 1]
    return var, (worst[:whole].sum() + float(mass - whole) * worst[whole]) / float(mass)


def age_weighted(losses: np.ndarray, tail: Fraction) -> tuple[float, float]:
    """The smallest loss whose cumulated weight from below reaches c, and the weighted mean of the worst 1 - c."""
    ages = np.arange(len(losses))[::-1]
    weights = DECAY**ages * (1 - DECAY) / (1 - DECAY ** len(losses))
    order = np.argsort(losses)
    ascending = weights[order].cumsum()
    var = losses[order][np.argmax(ascending >= float(1 - tail))]
    worst = order[::-1]
    taken = (float(tail) - (weights[worst].cumsum() - weights[worst])).clip(0, weights[worst])
    return var, (taken * losses[worst]).sum() / float(tail)


def normal(losses: np.ndarray, tail: Fraction) -> tuple[float, float]:
    """-(mu + z sigma) and -mu + sigma phi(z) / (1 - c), with sigma's ddof 1."""
    mu, sigma, standard = -losses.mean(), losses.std(ddof=1), NormalDist()
    z = standard.inv_cdf(float(tail))
    return -(mu + z * sigma), -mu + sigma * standard.pdf(z) / float(tail)


def _growth(r: "pd.Series[float]") -> float:
    return (1 + r).prod() if r.min() > -1 else math.nan


def _annual_return(r: "pd.Series[float]", calendar_days: int) -> float:
    return _growth(r) ** (PERIODS_PER_YEAR / len(r)) - 1 if _is_annualised(r, calendar_days) else math.nan


def _is_annualised(r: "pd.Series[float]", calendar_days: int) -> bool:
    return len(r) >= ANNUALISED_RETURNS_MIN and calendar_days >= ANNUALISED_DAYS_MIN


def _gains_over_losses(r: "pd.Series[float]") -> float:
    return _ratio(r.clip(lower=0).sum(), -r.clip(upper=0).sum())


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def _defined(**figures: float) -> Figures:
    """Figures without those that are not finite: None stands for what is undefined."""
    return {name: float(value) if np.isfinite(value) else None for name, value in figures.items()}
