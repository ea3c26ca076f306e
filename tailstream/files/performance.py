"""Performance of a series: every metric that is defined, against a benchmark where one is named, and its drawdowns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from tailstream.files.series import Series
from tailstream.quant import benchmark as against
from tailstream.quant.arrays import Figure, Floats
from tailstream.quant.drawdown import drawdown_figures, drawdown_table
from tailstream.quant.performance import (
    calmar,
    excess_kurtosis,
    omega,
    profit_factor,
    sharpe,
    skewness,
    sortino,
    tail_ratio,
)
from tailstream.quant.returns import (
    Annualisation,
    annual_return,
    best_return,
    compounding_refused,
    hit_rate,
    mean_return,
    total_return,
    worst_return,
)
from tailstream.quant.volatility import downside_deviation, volatility

TRADING_DAYS = 252.0


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What returns are measured with: annual rates as fractions, how many periods a year has, and a benchmark."""

    risk_free: float = 0.0
    minimum_return: float = 0.0
    periods_per_year: float = TRADING_DAYS
    benchmark: Series | None = None

    def over(self, series: Series) -> Annualisation:
        """How the returns of a series are scaled to a year; where its start is not known it is its first date."""
        if not series.dates:
            return Annualisation(self.periods_per_year, 0)
        return Annualisation(self.periods_per_year, (series.dates[-1] - (series.start or series.dates[0])).days)


class DatedDrawdown(NamedTuple):
    """A fall from a peak, `depth` positive, `length` in periods from the peak to the recovery or to the end.

    `peak` is None for one that lasts from the start of a series that does not say when it began.
    """

    peak: datetime | None
    valley: datetime
    recovery: datetime | None
    depth: float
    length: int


@dataclass(frozen=True, slots=True)
class Performance:
    """The metrics of a series, in publishing order, and its drawdowns in the order of time."""

    series: Series
    metrics: Mapping[str, Figure]
    drawdowns: Sequence[DatedDrawdown]


def performance_of(series: Series, by: Yardstick) -> Performance:
    """Measure a series. Metrics against the benchmark are of the periods that both have, and not of itself."""
    metrics = _alone(series.returns, by.over(series), by)
    if by.benchmark is not None and by.benchmark.name != series.name:
        metrics |= _beside(*together(series, by.benchmark), by)
    return Performance(series, metrics, drawdowns_of(series))


def drawdowns_of(series: Series) -> list[DatedDrawdown]:
    """Every drawdown; none of returns that cannot be compounded, of which there is no wealth."""
    if compounding_refused(series.returns):
        return []
    ends = (series.start, *series.dates)
    return [
        DatedDrawdown(
            ends[each.peak],
            series.dates[each.valley - 1],
            None if each.recovery is None else series.dates[each.recovery - 1],
            each.depth,
            each.length,
        )
        for each in drawdown_table(series.returns)
    ]


def together(series: Series, benchmark: Series) -> tuple[Series, Floats]:
    """A series in the periods that the benchmark has too, and what the benchmark returned in them."""
    known = dict(zip(benchmark.dates, benchmark.returns.tolist(), strict=True))
    there = [at for at, date in enumerate(series.dates) if date in known]
    dates = tuple(series.dates[at] for at in there)
    start = series.start if there[:1] == [0] else None
    common = Series(series.name, start, dates, series.returns[there])
    return common, np.array([known[date] for date in dates])


def _alone(returns: Floats, over: Annualisation, by: Yardstick) -> dict[str, Figure]:
    below, annual = drawdown_figures(returns), annual_return(returns, over)
    return {
        "total_return": total_return(returns),
        "annual_return": annual,
        "mean_return": mean_return(returns),
        "volatility": volatility(returns, over),
        "downside_deviation": downside_deviation(returns, over, by.minimum_return),
        "sharpe": sharpe(returns, over, by.risk_free),
        "sortino": sortino(returns, over, by.minimum_return),
        "calmar": calmar(annual, below.deepest),
        "omega": omega(returns, over.per_period(by.minimum_return)),
        "max_drawdown": below.deepest,
        "average_drawdown": below.average,
        "max_drawdown_length": below.longest,
        "ulcer_index": below.ulcer,
        "skewness": skewness(returns),
        "excess_kurtosis": excess_kurtosis(returns),
        "best": best_return(returns),
        "worst": worst_return(returns),
        "hit_rate": hit_rate(returns),
        "profit_factor": profit_factor(returns),
        "tail_ratio": tail_ratio(returns),
    }


def _beside(common: Series, theirs: Floats, by: Yardstick) -> dict[str, Figure]:
    returns, over = common.returns, by.over(common)
    return {
        "beta": against.beta(returns, theirs),
        "alpha": against.alpha(returns, theirs, over, by.risk_free),
        "correlation": against.correlation(returns, theirs),
        "tracking_error": against.tracking_error(returns, theirs, over),
        "information_ratio": against.information_ratio(returns, theirs, over),
        "up_capture": against.up_capture(returns, theirs),
        "down_capture": against.down_capture(returns, theirs),
    }
