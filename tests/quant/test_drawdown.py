import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstream.quant.arrays import INSUFFICIENT, RUINED, UNDEFINED
from tailstream.quant.drawdown import Drawdown, drawdown_figures, drawdown_table, underwater
from tailstream.quant.returns import wealth

from .cases import noise

pytestmark = pytest.mark.filterwarnings("error")

TWO_FALLS = np.array([0.1, -0.5, 0.2, 1.0, -0.1, 0.05])  # wealth 1 1.1 .55 .66 1.32 1.188 1.2474

windows = st.lists(st.floats(-0.9, 2.0), min_size=1, max_size=60).map(np.array)


def test_depths_start_before_the_first_return_and_are_positive() -> None:
    assert underwater(TWO_FALLS) == pytest.approx([0.0, 0.0, 0.5, 0.4, 0.0, 0.1, 0.055])


def test_the_table_names_peak_valley_recovery_depth_and_length() -> None:
    first, second = drawdown_table(TWO_FALLS)
    assert first == Drawdown(peak=1, valley=2, recovery=4, depth=pytest.approx(0.5), length=3)
    assert second == Drawdown(peak=4, valley=5, recovery=None, depth=pytest.approx(0.1), length=2)


def test_the_figures_by_hand() -> None:
    figures = drawdown_figures(TWO_FALLS)
    assert [figure.value for figure in figures] == pytest.approx(
        [0.055, 0.5, 0.3, 3.0, math.sqrt((0.25 + 0.16 + 0.01 + 0.055**2) / 6)]
    )


def test_a_first_period_loss_is_a_drawdown_from_the_starting_wealth() -> None:
    returns = np.array([-0.1, 0.05])
    assert drawdown_figures(returns).deepest.value == pytest.approx(0.1)
    assert drawdown_table(returns)[0].peak == 0


def test_wealth_that_never_fell_has_an_empty_table_and_zeros() -> None:
    gains = np.abs(noise())
    assert drawdown_table(gains) == []
    assert drawdown_figures(gains) == ((0.0, "ok"),) * 5
    assert drawdown_figures(np.zeros(252)) == ((0.0, "ok"),) * 5


def test_a_recovery_that_misses_its_peak_by_rounding_is_a_recovery() -> None:
    returns = np.array([0.1, -0.05, 1 / 0.95 - 1, 0.0])
    assert wealth(returns)[-1] < wealth(returns)[1]
    assert [drawdown.recovery for drawdown in drawdown_table(returns)] == [3]
    assert drawdown_figures(returns).current == (0.0, "ok")


def test_a_peak_is_the_last_close_before_the_fall() -> None:
    assert drawdown_table(np.array([0.1, 0.0, -0.1, 0.5]))[0] == Drawdown(2, 3, 4, pytest.approx(0.1), 2)


def test_no_returns_have_no_drawdown_to_speak_of() -> None:
    assert drawdown_figures(np.array([])) == (INSUFFICIENT,) * 5


@pytest.mark.parametrize("loss", [-1.0, -1.5])
def test_a_loss_of_everything_is_ruin_and_not_a_depth_above_one(loss: float) -> None:
    assert drawdown_figures(np.array([0.1, loss, 0.1])) == (RUINED,) * 5


@pytest.mark.parametrize("returns", [np.array([0.1, np.nan, -0.2]), np.full(100, 1e200)])
def test_returns_that_make_no_finite_wealth_have_no_drawdown(returns: np.ndarray) -> None:
    assert drawdown_figures(returns) == (UNDEFINED,) * 5


def test_the_table_says_why_it_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"returns: expected finite ones above -1.*ruined"):
        drawdown_table(np.array([0.1, -1.5]))


@given(windows)
def test_the_figures_agree_with_the_table(returns: np.ndarray) -> None:
    figures, table = drawdown_figures(returns), drawdown_table(returns)
    assert figures.deepest.value == max((fall.depth for fall in table), default=0.0)
    assert figures.longest.value == max((fall.length for fall in table), default=0)
    depths = [fall.depth for fall in table]
    assert figures.average.value == pytest.approx(sum(depths) / len(depths) if depths else 0.0)


@given(windows)
def test_depths_lie_between_nothing_and_everything(returns: np.ndarray) -> None:
    depths = underwater(returns)
    assert (depths >= 0.0).all()
    assert (depths < 1.0).all() or returns.min() < -0.89


@given(windows)
def test_the_table_covers_exactly_the_closes_under_water(returns: np.ndarray) -> None:
    covered = np.zeros(returns.size + 1, dtype=bool)
    for fall in drawdown_table(returns):
        assert fall.peak < fall.valley
        covered[fall.peak + 1 : fall.recovery if fall.recovery is not None else returns.size + 1] = True
    assert (covered == (underwater(returns) > 0.0)).all()
