import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailstream.quant.var.extreme_value import ExtremeValue
from tailstream.quant.var.pareto import Pareto, fit, log_likelihood, probability_weighted, quantile, scale_given

from .index_windows import references, up_to

pytestmark = pytest.mark.filterwarnings("error")

SHAPES = (-0.9, -0.5, -0.1, 0.0, 0.1, 0.4, 0.9, 1.5, 3.0)
shapes = st.floats(-0.99, 3.0)
samples = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=60).map(np.array)


def drawn(shape: float, observations: int, seed: int = 3, scale: float = 2.0) -> np.ndarray:
    """Excesses from the distribution itself."""
    return quantile(Pareto(shape, scale), 1.0 - np.random.default_rng(seed).random(observations))


def slope(pareto: Pareto, excesses: np.ndarray) -> tuple[float, float]:
    """The change of the log-likelihood for one part in ten thousand of the shape and of the scale, by differences."""
    shape, scale = pareto
    step = 1e-4
    by_shape = [log_likelihood(Pareto(shape + sign * step, scale), excesses) for sign in (1, -1)]
    by_scale = [log_likelihood(Pareto(shape, scale * (1 + sign * step)), excesses) for sign in (1, -1)]
    return by_shape[0] - by_shape[1], by_scale[0] - by_scale[1]


# the distribution


@pytest.mark.parametrize(
    ("shape", "expected"),
    [(0.0, 2 * math.log(4)), (1.0, 6.0), (0.5, 4.0), (-1.0, 1.5), (1e-12, 2 * math.log(4)), (-1e-12, 2 * math.log(4))],
)
def test_the_excess_that_a_quarter_exceeds_is_the_one_by_hand_near_shape_zero_too(
    shape: float, expected: float
) -> None:
    assert float(quantile(Pareto(shape, 2.0), 0.25)) == pytest.approx(expected, rel=1e-11)


def test_all_exceed_nothing_and_what_few_exceed_is_more() -> None:
    excesses = quantile(Pareto(0.3, 2.0), np.array([1.0, 0.5, 0.1, 1e-6]))
    assert excesses[0] == 0.0
    assert (np.diff(excesses) > 0).all()


@pytest.mark.parametrize(
    ("pareto", "expected"),
    [
        (Pareto(0.0, 2.0), -3 * math.log(2) - 3.0),  # -n log b - sum(y) / b
        (Pareto(1.0, 2.0), -3 * math.log(2) - 2 * math.log(1.5 * 2.0 * 2.5)),
        (Pareto(-1.0, 4.0), -3 * math.log(4)),
        (Pareto(-1.0, 3.0), -3 * math.log(3)),  # the largest at the very end
        (Pareto(-1.0, 2.9), -math.inf),
        (Pareto(-0.5, 1.4), -math.inf),
    ],
)
def test_the_log_likelihood_of_1_2_and_3_is_the_one_by_hand(pareto: Pareto, expected: float) -> None:
    assert log_likelihood(pareto, np.array([1.0, 2.0, 3.0])) == pytest.approx(expected, rel=1e-14)


# maximum likelihood


@pytest.mark.parametrize("row", references("log_likelihood"), ids=lambda row: row["date"])
def test_the_likelihood_of_a_fit_is_at_least_the_one_of_another_package(row: dict[str, str]) -> None:
    losses = -up_to(row["date"])
    excesses = losses[losses > np.quantile(losses, 0.9)] - np.quantile(losses, 0.9)
    peer = float(row["value"])
    assert log_likelihood(fit(excesses), excesses) >= peer - 1e-9 * abs(peer)


@settings(deadline=None)
@given(samples, st.floats(-0.99, 4.0), st.floats(-7.0, 7.0))
def test_no_other_shape_and_scale_are_more_likely(excesses: np.ndarray, shape: float, log_scale: float) -> None:
    other = log_likelihood(Pareto(shape, math.exp(log_scale)), excesses)
    best = log_likelihood(fit(excesses), excesses)
    assert best >= other - 1e-9 * abs(other)


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("seed", range(3))
def test_at_a_maximum_the_likelihood_is_flat(shape: float, seed: int) -> None:
    excesses = drawn(shape, 400, seed)
    assert slope(fit(excesses), excesses) == pytest.approx((0.0, 0.0), abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_many_excesses_give_their_own_shape_and_scale_back(shape: float) -> None:
    found = fit(drawn(shape, 20_000))
    assert found.shape == pytest.approx(shape, abs=0.03)
    assert found.scale == pytest.approx(2.0, rel=0.04)


def test_where_the_slope_is_zero_over_zero_the_exponential_is_found() -> None:
    others = np.array([1.0, 1.0, 1.0, 1.0, 1.5, 2.0])
    excesses = np.append(others, largest_for_exponential(others))
    assert fit(np.tile(excesses, 20)) == pytest.approx((0.0, excesses.mean()), abs=1e-5)


def largest_for_exponential(others: np.ndarray) -> float:
    """The excess beside others with which `mean(y^2) = 2 mean(y)^2`: the exponential solves the equations."""
    n, total, squares = others.size + 1, float(others.sum()), float((others**2).sum())
    a, b, c = n - 2.0, -4.0 * total, n * squares - 2.0 * total**2
    return (-b + math.sqrt(b * b - 4.0 * a * c)) / (2.0 * a)


@pytest.mark.parametrize(("tiny", "shape"), [(8, -0.0393), (9, 8.2958)])
def test_of_two_maxima_the_higher_one_is_the_answer(tiny: int, shape: float) -> None:
    usual = 0.3 - np.log1p(-(np.arange(30) + 0.5) / 30)
    assert fit(np.concatenate([np.geomspace(1e-5, 1e-4, tiny), usual])).shape == pytest.approx(shape, abs=1e-3)


@pytest.mark.parametrize("factor", [1e-9, 1e-6, 1e3, 1e9, 1e100])
def test_money_of_any_size_has_the_same_shape_and_its_own_scale(factor: float) -> None:
    excesses = drawn(0.2, 100)
    plain, scaled = fit(excesses), fit(excesses * factor)
    assert scaled.shape == pytest.approx(plain.shape, abs=1e-12)
    assert scaled.scale == pytest.approx(plain.scale * factor, rel=1e-12)


def test_the_order_of_the_excesses_matters_for_rounding_alone() -> None:
    excesses = drawn(0.2, 100)
    assert fit(excesses[::-1]) == pytest.approx(fit(excesses), rel=1e-12)


def test_excesses_that_crowd_below_the_largest_stay_at_the_bound_where_the_likelihood_has_none() -> None:
    assert fit(np.array([1.0, 2.0, 2.0, 2.0])) == Pareto(-1.0, 2.0)
    assert fit(np.full(50, 3.0)) == Pareto(-1.0, 3.0)
    assert fit(np.array([5.0])) == Pareto(-1.0, 5.0)


def test_a_bad_tick_among_the_excesses_is_a_heavy_tail_and_not_a_failure() -> None:
    excesses = np.append(drawn(0.1, 99, scale=0.01), 1e4)
    found = fit(excesses)
    assert 0.3 < found.shape < 2.0
    assert slope(found, excesses) == pytest.approx((0.0, 0.0), abs=1e-3)


def test_the_location_is_held_at_zero_excesses_that_begin_at_1_are_no_others_shifted() -> None:
    excesses = drawn(0.4, 100)
    assert fit(excesses + 1.0).shape < fit(excesses).shape - 0.05


@pytest.mark.parametrize("bad", [-1.0, 0.0, math.nan, math.inf])
@pytest.mark.parametrize("function", [fit, probability_weighted, lambda y: scale_given(0.1, y)])
def test_losses_below_the_threshold_are_refused_as_excesses(function, bad: float) -> None:
    with pytest.raises(ValueError, match="excesses: expected finite ones above 0, were from"):
        function(np.array([1.0, bad, 2.0]))
    with pytest.raises(ValueError, match="excesses: expected at least one, was none"):
        function(np.array([]))


# the scale alone


@pytest.mark.parametrize(
    ("shape", "expected"),
    [(0.0, 2.0), (1.0, math.sqrt(3.0)), (-1.0, 3.0), (-0.5, (3.0 + math.sqrt(3.0)) / 2.0)],
)
def test_the_scale_for_excesses_1_and_3_is_the_one_by_hand(shape: float, expected: float) -> None:
    assert scale_given(shape, np.array([1.0, 3.0])) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_with_the_fitted_shape_the_scale_is_the_joint_estimate(shape: float) -> None:
    found = fit(drawn(shape, 100))
    assert scale_given(found.shape, drawn(shape, 100)) == pytest.approx(found.scale, rel=1e-10)


@settings(deadline=None)
@given(samples, shapes)
def test_no_other_scale_is_more_likely_for_the_shape(excesses: np.ndarray, shape: float) -> None:
    scale = scale_given(shape, excesses)
    best = log_likelihood(Pareto(shape, scale), excesses)
    for factor in (0.99, 0.9999, 1.0001, 1.01):
        assert best >= log_likelihood(Pareto(shape, scale * factor), excesses) - 1e-9 * abs(best)


# probability-weighted moments


def test_probability_weighted_moments_by_hand() -> None:
    weighted = (1.0 * (1 - 0.65 / 3) + 2.0 * (1 - 1.65 / 3) + 9.0 * (1 - 2.65 / 3)) / 3
    shape = 2.0 - 4.0 / (4.0 - 2.0 * weighted)
    found = probability_weighted(np.array([9.0, 1.0, 2.0]))
    assert found == pytest.approx((shape, (1.0 - shape) * 4.0), rel=1e-14)
    assert found == pytest.approx((0.1632653, 3.3469388), rel=1e-7)


@pytest.mark.parametrize("shape", [-0.9, -0.5, 0.0, 0.2, 0.4])
def test_probability_weighted_moments_of_many_excesses_are_near_the_truth(shape: float) -> None:
    found = probability_weighted(drawn(shape, 20_000))
    assert found.shape == pytest.approx(shape, abs=0.03)
    assert found.scale == pytest.approx(2.0, rel=0.05)


@settings(deadline=None)
@given(samples, st.sampled_from([1e-6, 1.0, 1e9]))
def test_probability_weighted_moments_always_exist_keep_the_mean_and_scale(excesses: np.ndarray, factor: float) -> None:
    shape, scale = probability_weighted(excesses * factor)
    assert -1.0 <= shape < 1.0
    assert scale / (1.0 - shape) == pytest.approx(excesses.mean() * factor)


def test_both_estimates_agree_on_the_tail_of_a_common_market() -> None:
    threshold = ExtremeValue().estimate(up_to("2022-12-28"), (0.99,)).parameters["threshold"]
    losses = -up_to("2022-12-28")
    excesses = losses[losses > threshold] - threshold
    assert probability_weighted(excesses).shape == pytest.approx(fit(excesses).shape, abs=0.1)
