from datetime import datetime, timedelta

import numpy as np
import pytest

from tailstream.files.performance import Yardstick, drawdowns_of, performance_of, together
from tailstream.files.series import Series
from tailstream.quant.arrays import Floats

NAMES = [
    "total_return", "annual_return", "mean_return", "volatility", "downside_deviation", "sharpe", "sortino", "calmar",
    "omega", "max_drawdown", "average_drawdown", "max_drawdown_length", "ulcer_index", "skewness", "excess_kurtosis",
    "best", "worst", "hit_rate", "profit_factor", "tail_ratio",
]  # fmt: skip
AGAINST = ["beta", "alpha", "correlation", "tracking_error", "information_ratio", "up_capture", "down_capture"]


def day(number: int) -> datetime:
    return datetime(2020, 1, 1) + timedelta(days=number)


def series(returns: Floats | list[float], name: str = "A", start: datetime | None = None, first: int = 1) -> Series:
    returns = np.array(returns)
    return Series(name, start, tuple(day(first + at) for at in range(returns.size)), returns)


def noise(count: int, seed: int = 1) -> Floats:
    return 0.0003 + 0.01 * np.random.default_rng(seed).standard_t(4, count)


def test_metrics_have_these_names_in_this_order() -> None:
    benchmark = series(noise(300, seed=2), "B")
    assert list(performance_of(series(noise(300)), Yardstick()).metrics) == NAMES
    assert list(performance_of(series(noise(300)), Yardstick(benchmark=benchmark)).metrics) == [*NAMES, *AGAINST]
    assert list(performance_of(benchmark, Yardstick(benchmark=benchmark)).metrics) == NAMES


def test_all_but_ratios_to_losses_are_there_for_a_year_of_returns() -> None:
    measured = performance_of(series(noise(300)), Yardstick()).metrics
    assert {figure.status for figure in measured.values()} == {"ok"}


def test_a_week_is_not_annualised() -> None:
    measured = performance_of(series(noise(7)), Yardstick()).metrics
    assert {name for name, figure in measured.items() if figure.status == "insufficient"} == {
        "annual_return", "volatility", "downside_deviation", "sharpe", "sortino", "calmar",
    }  # fmt: skip


def test_ninety_calendar_days_are_counted_from_the_close_before_the_first_return() -> None:
    returns = noise(90)
    assert performance_of(series(returns), Yardstick()).metrics["volatility"].status == "insufficient"
    assert performance_of(series(returns, start=day(0)), Yardstick()).metrics["volatility"].status == "ok"


def test_the_threshold_of_omega_is_the_minimum_return_a_period() -> None:
    returns = np.array([0.02, 0.0] * 150)
    by = Yardstick(minimum_return=1.01**252 - 1)
    assert performance_of(series(returns), by).metrics["omega"].value == pytest.approx(1.0)
    assert performance_of(series(returns), Yardstick()).metrics["omega"].status == "no_downside"


def test_an_empty_series_has_no_metric_and_no_drawdown() -> None:
    measured = performance_of(series([]), Yardstick(benchmark=series(noise(3), "B")))
    assert {figure.status for figure in measured.metrics.values()} == {"insufficient"}
    assert measured.drawdowns == []


def test_drawdowns_are_dated_by_the_closes_between_which_they_lie() -> None:
    first, second = drawdowns_of(series([0.1, -0.1, -0.1, 0.3, -0.5]))
    assert (first.peak, first.valley, first.recovery, first.length) == (day(1), day(3), day(4), 3)
    assert first.depth == pytest.approx(0.19)
    assert (second.peak, second.valley, second.recovery, second.length) == (day(4), day(5), None, 1)


def test_a_first_period_loss_falls_from_the_start_where_that_is_known() -> None:
    assert drawdowns_of(series([-0.1, 0.01], start=day(0)))[0].peak == day(0)
    assert drawdowns_of(series([-0.1, 0.01]))[0].peak is None


def test_a_ruined_series_has_no_wealth_to_draw_down() -> None:
    assert drawdowns_of(series([0.1, -1.5, 0.1])) == []


def test_a_benchmark_is_compared_in_the_periods_that_both_have() -> None:
    ours, benchmark = series([0.1, 0.2, 0.3], first=1), series([0.5, 0.6, 0.7], "B", first=2)
    common, theirs = together(ours, benchmark)
    assert common.dates == (day(2), day(3))
    assert common.returns.tolist() == [0.2, 0.3]
    assert theirs.tolist() == [0.5, 0.6]


def test_a_benchmark_without_a_period_in_common_says_nothing() -> None:
    measured = performance_of(series(noise(50)), Yardstick(benchmark=series(noise(50), "B", first=100))).metrics
    assert {measured[name].status for name in AGAINST} == {"insufficient"}
