"""Stress: losses of a stretch of the past and of a shock by hand, and the worst stretch against looking at each."""

import time

import numpy as np
import pytest

from tailstream.quant.arrays import Floats
from tailstream.quant.stress import compounded, shock_loss, whole_rows, window_loss, worst_window
from tailstream.quant.var import Historical
from tests.quant.cases import WINDOWS, noise

pytestmark = pytest.mark.filterwarnings("error")

HISTORICAL = Historical(1)


def test_a_window_costs_what_its_returns_compound_to_and_names_its_worst_period() -> None:
    returns = np.array([[-0.5, 0.5, -0.1], [0.1, 0.1, 0.1]])
    loss = window_loss(np.array([100.0, -100.0]), returns)
    assert loss.cumulative == pytest.approx(100.0 * (1 - 0.5 * 1.5 * 0.9) + 100.0 * (1.1**3 - 1))
    assert (loss.worst_period, loss.worst_period_loss) == (0, pytest.approx(60.0))


def test_gains_are_negative_losses_and_of_equal_periods_the_first_is_the_worst() -> None:
    loss = window_loss(np.array([100.0]), np.array([[0.1, 0.1]]))
    assert loss == (pytest.approx(-21.0), 0, pytest.approx(-10.0))


def test_an_instrument_that_was_not_there_throughout_is_left_out() -> None:
    returns = np.array([[-0.5, -0.5], [np.nan, -0.9]])
    assert whole_rows(returns).tolist() == [True, False]
    assert window_loss(np.array([100.0, 1e6]), returns) == (pytest.approx(75.0), 0, pytest.approx(50.0))


def test_a_book_of_which_nothing_was_there_loses_nothing() -> None:
    assert window_loss(np.array([5.0]), np.array([[np.nan, 0.1]])) == (0.0, 0, 0.0)
    assert window_loss(np.array([]), np.empty((0, 3))) == (0.0, 0, 0.0)


def test_a_window_without_a_period_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one period, got none"):
        window_loss(np.array([1.0]), np.empty((1, 0)))


def test_an_option_brings_its_own_return_over_the_whole_window() -> None:
    loss = window_loss(np.array([100.0]), np.array([[-0.9, -0.9]]), cumulative=np.array([-1.0]))
    assert (loss.cumulative, loss.worst_period_loss) == (100.0, 90.0)


@pytest.mark.parametrize("case", WINDOWS)
def test_returns_of_every_kind_compound_to_a_figure_or_to_none(case: str) -> None:
    returns = WINDOWS[case][None]
    assert not np.isinf(compounded(returns)).any()
    assert whole_rows(returns).tolist() == np.isfinite(compounded(returns)).tolist()


def test_a_shock_costs_exposure_times_shock() -> None:
    assert shock_loss(np.array([100.0, -50.0]), np.array([-0.2, -0.1])) == pytest.approx(15.0)
    assert shock_loss(np.array([]), np.array([])) == 0.0


def by_looking_at_each(pnl: Floats, length: int, level: float) -> tuple[int, int]:
    """The worst window as the historical method sees it."""
    starts = range(pnl.size - length + 1)
    var = [HISTORICAL.estimate(pnl[start : start + length], (level,)).var[0] or 0.0 for start in starts]
    worst = int(np.argmax(var))
    return worst, worst + length


@pytest.mark.parametrize("digits", [1, 9], ids=["ties", "no ties"])
@pytest.mark.parametrize(
    ("length", "periods", "level"),
    [(250, 400, 0.99), (250, 251, 0.975), (250, 250, 0.95), (20, 60, 0.95), (11, 50, 0.9), (7, 7, 0.5), (1, 20, 0.99)],
)
def test_the_worst_window_is_the_one_found_by_looking_at_each(
    length: int, periods: int, level: float, digits: int
) -> None:
    for seed in range(5):
        pnl = np.round(100.0 * noise(periods, seed), digits)
        assert worst_window(pnl, length, level) == by_looking_at_each(pnl, length, level)


def test_of_equal_windows_the_earliest_is_the_worst() -> None:
    assert worst_window(np.zeros(300)) == (0, 250)


def test_there_is_no_worst_window_of_a_shorter_history() -> None:
    assert worst_window(noise(249)) is None


def test_a_gap_in_the_history_is_refused() -> None:
    with pytest.raises(ValueError, match="expected no missing P&L"):
        worst_window(np.array([1.0, np.nan, 2.0]), length=2)


def test_a_crash_is_found_where_it_was() -> None:
    pnl = noise(2_000)
    pnl[1_000:1_010] -= 0.5
    found = worst_window(pnl)
    assert found is not None
    assert found.start <= 1_002
    assert found.end >= 1_003  # the third worst of 250 is in the crash as soon as three of its days are


def test_eight_thousand_periods_are_searched_in_no_time() -> None:
    pnl = noise(8_000)
    started = time.perf_counter()
    worst_window(pnl)
    assert time.perf_counter() - started < 0.25  # it takes 0.5 ms; looking at each takes 200
