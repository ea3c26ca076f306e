import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstream.quant.arrays import INSUFFICIENT, RUINED, UNDEFINED, Figure
from tailstream.quant.returns import (
    Annualisation,
    annual_return,
    best_return,
    hit_rate,
    mean_return,
    time_weighted_return,
    total_return,
    wealth,
    worst_return,
)

pytestmark = pytest.mark.filterwarnings("error")

DAILY = Annualisation(252.0, 365)
money = st.floats(1.0, 1e9)


def test_a_figure_that_is_not_finite_is_undefined() -> None:
    assert [Figure.of(x) for x in (math.nan, math.inf, -math.inf)] == [UNDEFINED] * 3


def test_a_figure_is_a_plain_float_and_never_minus_zero() -> None:
    figure = Figure.of(np.float64(-0.0))
    assert type(figure.value) is float
    assert math.copysign(1.0, figure.value) == 1.0


def test_money_paid_in_is_no_performance() -> None:
    assert time_weighted_return(nav=1_600.0, previous_nav=1_000.0, flow=500.0).value == pytest.approx(0.1)
    assert time_weighted_return(nav=600.0, previous_nav=1_000.0, flow=-500.0).value == pytest.approx(0.1)


@pytest.mark.parametrize("previous_nav", [0.0, -0.0, -5.0])
def test_without_wealth_there_is_no_return(previous_nav: float) -> None:
    assert time_weighted_return(10.0, previous_nav, 0.0) == RUINED


@given(previous=money, nav=money, flow=st.floats(-1e9, 1e9), factor=st.floats(1e-3, 1e3))
def test_a_return_does_not_depend_on_the_unit_of_money(previous: float, nav: float, flow: float, factor: float) -> None:
    one = time_weighted_return(nav, previous, flow).value
    other = time_weighted_return(nav * factor, previous * factor, flow * factor).value
    assert one is not None
    assert other == pytest.approx(one, rel=1e-9, abs=1e-9 * max(nav, abs(flow)) / previous)


def test_wealth_starts_at_one_and_compounds() -> None:
    assert wealth(np.array([0.1, -0.5, 1.0])) == pytest.approx([1.0, 1.1, 0.55, 1.1])


def test_returns_compound_by_hand() -> None:
    returns = np.array([0.1, -0.5, 1.0])
    assert total_return(returns).value == pytest.approx(0.1)
    assert mean_return(returns).value == pytest.approx(0.2)
    assert best_return(returns).value == 1.0
    assert worst_return(returns).value == -0.5


def test_a_year_of_returns_needs_no_scaling() -> None:
    returns = np.full(252, 0.001)
    assert annual_return(returns, DAILY) == total_return(returns)
    assert annual_return(returns[:126], DAILY).value == pytest.approx(1.001**252 - 1)


@pytest.mark.parametrize(
    ("observations", "days", "status"), [(30, 90, "ok"), (29, 365, "insufficient"), (252, 89, "insufficient")]
)
def test_a_window_below_30_observations_or_90_days_is_not_annualised(observations: int, days: int, status: str) -> None:
    assert annual_return(np.full(observations, 0.001), Annualisation(252.0, days)).status == status


def test_an_annual_return_beyond_all_numbers_is_undefined() -> None:
    assert annual_return(np.full(30, 1e50), Annualisation(252.0, 90)) == UNDEFINED


@pytest.mark.parametrize("loss", [-1.0, -1.5])
def test_a_loss_of_everything_ruins_what_is_compounded_and_leaves_the_rest(loss: float) -> None:
    returns = np.array([0.01] * 40 + [loss, 5.0])
    assert total_return(returns) == annual_return(returns, DAILY) == RUINED
    assert worst_return(returns).value == loss


def test_no_returns_are_insufficient_for_every_figure() -> None:
    nothing = np.array([])
    figures = [
        total_return(nothing),
        mean_return(nothing),
        best_return(nothing),
        worst_return(nothing),
        hit_rate(nothing),
    ]
    assert figures == [INSUFFICIENT] * 5


def test_the_hit_rate_counts_the_periods_that_moved() -> None:
    assert hit_rate(np.array([0.01, 0.0, -0.02, 0.03, -0.0])).value == pytest.approx(2 / 3)
    assert hit_rate(np.zeros(5)) == UNDEFINED


def test_a_gap_is_never_counted_as_a_period_that_lost() -> None:
    assert hit_rate(np.array([0.01, np.nan, 0.02])) == UNDEFINED


def test_an_annual_rate_splits_into_periods_that_compound_to_it() -> None:
    assert (1 + DAILY.per_period(0.05)) ** 252 - 1 == pytest.approx(0.05)
    assert DAILY.per_period(0.0) == 0.0
