import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailstream.quant.var import AgeWeighted, Estimate, Fit, Historical, Method, Normal, Simulation
from tailstream.quant.var.age_weighted import age_weights
from tailstream.quant.var.historical import historical_live
from tailstream.quant.var.normal import normal_multiples
from tailstream.quant.var.tail import Tail, tail

from .cases import LEVELS, noise

pytestmark = pytest.mark.filterwarnings("error")

HUNDRED = Historical(minimum_observations=1)
FREE: list[Method] = [HUNDRED, AgeWeighted(minimum_observations=1), Normal(minimum_observations=2)]
FULL: list[Method] = [Historical(), AgeWeighted(), Normal()]
IDS = [method.id for method in FULL]

amounts = st.floats(-1e6, 1e6).filter(lambda x: x == 0.0 or abs(x) > 1e-6)
series = st.lists(amounts, min_size=2, max_size=80).map(np.array)
levels = st.integers(1, 999).map(lambda thousandths: thousandths / 1000)


def losses_1_to_100() -> np.ndarray:
    """P&L whose losses are 1, 2 ... 100, in a mixed order."""
    return -np.random.default_rng(5).permutation(np.arange(1.0, 101.0))


def exact_shortfall(pnl: np.ndarray, level: float) -> Fraction:
    """ES in fractions: each loss split into as many equal parts as make the tail a whole number of them."""
    beyond = 1 - Fraction(str(level))
    parts = sorted((Fraction(-x) for x in pnl.tolist() for _ in range(beyond.denominator)), reverse=True)
    count = len(parts) * beyond
    assert count.denominator == 1
    return sum(parts[: int(count)], Fraction(0)) / count


# the tail


@pytest.mark.parametrize(
    ("level", "observations", "expected"),
    [
        (0.95, 1000, Tail(50, 50.0)),  # ceil((1 - 0.95) * 1000) is 51 in floating point
        (0.99, 100, Tail(1, 1.0)),
        (0.9, 10, Tail(1, 1.0)),
        (0.995, 250, Tail(1, 1.25)),
        (0.975, 250, Tail(6, 6.25)),
        (0.99, 50, Tail(0, 0.5)),
        (np.float64(0.95), 20, Tail(1, 1.0)),
    ],
)
def test_the_tail_is_counted_exactly(level: float, observations: int, expected: Tail) -> None:
    assert tail(level, observations) == expected


@given(st.integers(1, 2000), levels)
def test_the_observation_after_the_tail_is_the_order_statistic_of_the_level(observations: int, level: float) -> None:
    ascending = math.ceil(observations * Fraction(str(level)))
    assert observations - tail(level, observations).whole == ascending


# historical


def test_historical_var_and_es_by_hand() -> None:
    estimate = HUNDRED.estimate(losses_1_to_100(), (0.95, 0.975, 0.99, 0.995))
    assert estimate.var == (95.0, 98.0, 99.0, 100.0)
    assert estimate.es == pytest.approx((98.0, (100 + 99 + 0.5 * 98) / 2.5, 100.0, 100.0))
    assert estimate.parameters == {}


def test_historical_var_where_n_c_is_an_integer_and_just_beside_it() -> None:
    losses = -np.arange(1.0, 1001.0)
    assert HUNDRED.estimate(losses, (0.95,)).var == (950.0,)
    assert HUNDRED.estimate(losses, (0.9501,)).var == (951.0,)
    assert HUNDRED.estimate(losses[:-1], (0.95,)).var == (950.0,)


def test_ties_at_the_quantile_are_one_number() -> None:
    pnl = np.array([-5.0] * 10 + [-3.0] * 20 + [1.0] * 70)
    estimate = HUNDRED.estimate(pnl, (0.90, 0.95, 0.80))
    assert estimate.var == (3.0, 5.0, 3.0)
    assert estimate.es == pytest.approx((5.0, 5.0, 4.0))


def test_a_tail_shorter_than_one_observation_is_the_worst_loss() -> None:
    assert HUNDRED.estimate(np.array([3.0, -7.0]), (0.99,))[3:] == ((7.0,), (7.0,))


@settings(deadline=None)
@given(series.filter(lambda pnl: pnl.size <= 30), levels)
def test_historical_es_is_the_exact_integral_of_the_tail(pnl: np.ndarray, level: float) -> None:
    exact = float(exact_shortfall(pnl, level))
    assert HUNDRED.estimate(pnl, (level,)).es[0] == pytest.approx(exact, rel=1e-12, abs=1e-9)


@given(series, st.randoms(use_true_random=False))
def test_historical_figures_do_not_depend_on_the_order_by_a_single_bit(pnl: np.ndarray, random) -> None:
    shuffled = pnl.tolist()
    random.shuffle(shuffled)
    assert HUNDRED.estimate(np.array(shuffled), LEVELS) == HUNDRED.estimate(pnl, LEVELS)


# age-weighted


def test_age_weights_halve_with_each_day_and_sum_to_one() -> None:
    weights, effective = age_weights(3, 0.5)
    assert weights == pytest.approx(np.array([1.0, 2.0, 4.0]) / 7)
    assert effective == pytest.approx(49 / 21)


def test_age_weighted_var_and_es_by_hand() -> None:
    method = AgeWeighted(minimum_observations=1, decay=0.5)
    estimate = method.estimate(np.array([-10.0, 4.0, -2.0]), (0.5, 0.8, 0.9))  # losses 10 -4 2, weights 1 2 4 /7
    assert estimate.var == (2.0, 2.0, 10.0)  # cumulated from below: -4 2/7, 2 6/7, 10 1
    assert estimate.es == pytest.approx(((10 / 7 + 2 * (0.5 - 1 / 7)) / 0.5, (10 / 7 + 2 * (0.2 - 1 / 7)) / 0.2, 10.0))
    assert estimate.parameters == {"decay": 0.5, "effective_observations": pytest.approx(49 / 21)}


def test_a_level_that_the_cumulated_weight_reaches_exactly_is_reached() -> None:
    method = AgeWeighted(minimum_observations=1, decay=0.25)
    pnl = np.array([-5.0, -1.0])  # weights 0.2 and 0.8
    assert method.estimate(pnl, (0.8, 0.8001)).var == (1.0, 5.0)


def test_a_new_loss_counts_for_more_than_the_same_loss_long_ago() -> None:
    quiet = np.full(499, 1.0)
    old = AgeWeighted().estimate(np.concatenate([[-100.0], quiet]), (0.99,))
    new = AgeWeighted().estimate(np.concatenate([quiet, [-100.0]]), (0.99,))
    assert old.var == (-1.0,)
    assert new.var == (100.0,)


def test_ninety_nine_observations_carry_any_number_of_them() -> None:
    parameters = AgeWeighted().estimate(noise(2_000), (0.99,)).parameters
    assert parameters["effective_observations"] == pytest.approx(99.0)


def test_with_hardly_any_decay_age_weighting_is_the_plain_history() -> None:
    level = (0.9501,)  # beside the steps of 1/300, where equal weights may fall on either
    even = AgeWeighted(decay=1 - 1e-9).estimate(noise(300), level)
    plain = Historical().estimate(noise(300), level)
    assert even.var == plain.var
    assert even.es == pytest.approx(plain.es, rel=1e-6)


# normal


def test_normal_multiples_are_those_of_the_tables() -> None:
    assert normal_multiples(0.99) == pytest.approx((2.3263478740408408, 2.665214220345808))
    assert normal_multiples(0.975) == pytest.approx((1.959963984540054, 2.337802792249028))


def test_normal_var_and_es_by_hand() -> None:
    pnl = np.array([1.0, 2.0, 3.0, 6.0])
    estimate = Normal(minimum_observations=2).estimate(pnl, (0.99,))
    sigma = math.sqrt(14 / 3)
    assert estimate.var[0] == pytest.approx(2.3263478740408408 * sigma - 3.0)
    assert estimate.es[0] == pytest.approx(2.665214220345808 * sigma - 3.0)
    assert estimate.parameters == pytest.approx({"mean": 3.0, "sigma": sigma})


# every method


@pytest.mark.parametrize("method", FULL, ids=IDS)
@pytest.mark.parametrize("observations", [0, 1, 249])
def test_fewer_than_250_observations_are_insufficient_and_both_numbers_named(method: Method, observations: int) -> None:
    estimate = method.estimate(noise(observations), LEVELS)
    assert estimate.status == "insufficient"
    assert estimate.reason == f"needs 250 observations, has {observations}"
    assert estimate.var == estimate.es == (None,) * 4
    assert method.estimate(noise(250), LEVELS).status == "ok"
    assert method.estimate(noise(251), LEVELS).status == "ok"


@pytest.mark.parametrize("make", [Historical, AgeWeighted, Normal])
def test_a_minimum_that_the_arithmetic_cannot_bear_is_refused(make: type) -> None:
    with pytest.raises(ValueError, match=r"minimum_observations: expected at least [12], was 0"):
        make(minimum_observations=0)


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, math.nan])
def test_a_decay_that_weights_nothing_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="decay: expected a factor strictly between 0 and 1"):
        AgeWeighted(decay=decay)


@pytest.mark.parametrize("method", FULL, ids=IDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200])
def test_an_amount_that_is_no_money_makes_the_estimate_undefined_and_is_counted(method: Method, bad: float) -> None:
    pnl = noise(300)
    pnl[[3, 7]] = bad
    estimate = method.estimate(pnl, LEVELS)
    assert estimate.status == "undefined"
    assert estimate.reason == "2 of 300 observations are not finite amounts"
    assert estimate.var == estimate.es == (None,) * 4


@pytest.mark.parametrize("method", FREE, ids=IDS)
@given(pnl=series, level=levels)
def test_es_is_never_below_var(method: Method, pnl: np.ndarray, level: float) -> None:
    estimate = method.estimate(pnl, (level,))
    assert (estimate.es[0] or 0.0) >= (estimate.var[0] or 0.0)


@pytest.mark.parametrize("method", FREE, ids=IDS)
@given(pnl=series, pair=st.tuples(levels, levels).map(sorted))
def test_var_and_es_grow_with_the_level(method: Method, pnl: np.ndarray, pair: list[float]) -> None:
    estimate = method.estimate(pnl, pair)
    rounding = 1e-9 * float(np.abs(pnl).max())
    assert (estimate.var[0] or 0.0) <= (estimate.var[1] or 0.0) + rounding
    assert (estimate.es[0] or 0.0) <= (estimate.es[1] or 0.0) + rounding


@pytest.mark.parametrize("method", FREE, ids=IDS)
@given(pnl=series, factor=st.floats(1e-3, 1e3), shift=st.floats(-1e6, 1e6))
def test_figures_scale_with_the_position_and_fall_by_a_certain_gain(
    method: Method, pnl: np.ndarray, factor: float, shift: float
) -> None:
    plain, changed = method.estimate(pnl, LEVELS), method.estimate(pnl * factor + shift, LEVELS)
    rounding = 1e-9 * (float(np.abs(pnl).max()) * factor + abs(shift) + 1e-3)
    for before, after in zip(plain.var + plain.es, changed.var + changed.es, strict=True):
        assert after == pytest.approx((before or 0.0) * factor - shift, abs=rounding)


def test_figures_and_parameters_that_numpy_made_become_plain_numbers() -> None:
    made = np.array([0.5, -0.0])
    estimate = Estimate.of({"sigma": made[0]}, made, [*made[:1], None])
    assert repr(estimate[2:]) == "({'sigma': 0.5}, (0.5, 0.0), (0.5, None))"
    for shape in (Fit.of({"df": made[0]}), Simulation.of({"df": made[0]}, np.ones((1, 2)))):
        assert type(shape.parameters["df"]) is float


# whole books at once


@pytest.mark.parametrize("scenarios", [*range(1, 9), 100, 250, 256, 257, 500, 513, 1_001])
def test_the_live_refresh_agrees_with_each_book_alone(scenarios: int) -> None:
    pnl = np.random.default_rng(9).standard_t(4, (7, scenarios))
    alone = [HUNDRED.estimate(row, (0.3, *LEVELS)) for row in pnl]
    var, es = historical_live(pnl.copy(), (0.3, *LEVELS))
    assert var == pytest.approx(np.array([estimate.var for estimate in alone]), rel=0, abs=0)
    assert es == pytest.approx(np.array([estimate.es for estimate in alone]), rel=1e-12)


def test_the_live_refresh_of_cash_is_zero_and_not_minus_zero() -> None:
    for figures in historical_live(np.zeros((2, 500)), LEVELS):
        assert repr(figures.tolist()) == repr([[0.0] * 4] * 2)


def test_the_live_refresh_keeps_the_order_in_which_levels_were_asked() -> None:
    pnl = np.random.default_rng(9).standard_t(4, (3, 500))
    up, down = historical_live(pnl.copy(), (0.95, 0.99))[0], historical_live(pnl.copy(), (0.99, 0.95))[0]
    assert (up == down[:, ::-1]).all()


def test_no_books_and_no_levels_are_measured_to_nothing() -> None:
    assert historical_live(np.empty((0, 500)), LEVELS)[0].shape == (0, 4)
    assert historical_live(np.ones((3, 500)), ())[1].shape == (3, 0)
    assert Historical().estimate(noise(300), ()).var == ()
