"""The figures of a book and of a window of returns, written from their definitions."""

import math

import numpy as np
import pandas as pd

PERIODS_PER_YEAR = 252
ANNUALISED_RETURNS_MIN, ANNUALISED_DAYS_MIN = 30, 90
ROUNDING = 1e-12

Figures = dict[str, float | None]


def book_figures(exposures: "pd.Series[float]", nav: float) -> Figures:
    """Exposure and concentration of the positions that are held, in base currency."""
    gross, shares = exposures.abs().sum(), exposures.abs() / exposures.abs().sum()
    concentration = (shares**2).sum()
    return defined(
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
    return defined(**_performance(r, calendar_days), **_dispersion(r, calendar_days), **_drawdown(r, calendar_days))


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


def defined(**figures: float) -> Figures:
    """Figures without those that are not finite: None stands for what is undefined."""
    return {name: float(value) if np.isfinite(value) else None for name, value in figures.items()}
