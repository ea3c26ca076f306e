"""The average: its weights by hand, what it promises of any members, and who may not be one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailstream.quant import averaging
from tailstream.quant.averaging import Average, average, members, next_weights
from tailstream.quant.backtest import fz0_loss
from tailstream.quant.var import MINIMUM_OBSERVATIONS, Historical, Normal
from tailstream.runtime.plugins import OWN, methods

from .cases import LEVELS

pytestmark = pytest.mark.filterwarnings("error")

shares = st.integers(1, 12).flatmap(lambda m: st.lists(st.floats(0.0, 1.0), min_size=m, max_size=m)).map(np.array)


class Around(Normal):
    """Noise around the normal method, as a simulation of it is."""

    id = "around"
    averaged = False


def level_losses(*each: float, closes: int = 250) -> np.ndarray:
    """The same losses (T, M) at every close, one for each member."""
    return np.tile(np.array(each), (closes, 1))


def figures(count: int, levels: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """VaR and ES (M, L) that rise with the level."""
    random = np.random.default_rng(seed)
    var = np.add.accumulate(random.uniform(-0.2, 1.0, (count, levels)).clip(0.0), axis=1)
    return var, np.maximum.accumulate(var + random.uniform(0.0, 1.0, (count, levels)), axis=1)


def equal(count: int) -> np.ndarray:
    return np.full(count, 1.0 / count)


# weights


def test_weights_by_hand() -> None:
    # summed losses 0 and 4: softmax of 0 and -1 is 0.731 and 0.269, shrunk by 75 % 0.5578 and 0.4422, one step 0.05
    losses = level_losses(0.0, 4.0 / 250)
    target = 0.25 / (1 + math.exp(-1)) + 0.75 / 2
    weights = next_weights(None, losses)
    assert weights == pytest.approx([0.55, 0.45], rel=1e-12)
    assert next_weights(weights, losses) == pytest.approx([target, 1 - target], rel=1e-12)


def test_a_step_is_scaled_as_a_whole_and_its_largest_part_is_5_percent() -> None:
    former = equal(4)
    weights = next_weights(former, level_losses(0.0, 10.0, 10.0, 10.0))
    assert weights == pytest.approx([0.30, *[0.25 - 0.05 / 3] * 3], rel=1e-12)


def test_weights_arrive_at_the_shrunk_softmax_and_stay() -> None:
    losses = level_losses(0.0, 10.0, 10.0)
    weights = None
    for _ in range(10):
        weights = next_weights(weights, losses)
    assert weights == pytest.approx([0.25 + 0.25, 0.25, 0.25], rel=1e-12)
    np.testing.assert_array_equal(next_weights(weights, losses), weights)


def test_members_that_do_equally_well_share_equally() -> None:
    assert next_weights(None, level_losses(2.0, 2.0, 2.0)) == pytest.approx(equal(3), rel=1e-15)


def test_249_closes_are_too_few_and_250_are_enough() -> None:
    losses = level_losses(0.0, 1.0)
    skewed = np.array([0.6, 0.4])
    assert next_weights(skewed, losses[1:]).tolist() == [0.5, 0.5]
    assert next_weights(skewed, losses)[0] > 0.6


def test_only_the_last_250_closes_count() -> None:
    early = level_losses(-100.0, 0.0, closes=500)
    np.testing.assert_array_equal(
        next_weights(None, np.vstack([early, level_losses(1.0, 0.0)])), next_weights(None, level_losses(1.0, 0.0))
    )


def test_a_close_without_any_loss_is_skipped_and_an_older_one_takes_its_place() -> None:
    losses = level_losses(0.0, 1.0, closes=260)
    losses[100:110] = np.nan
    np.testing.assert_array_equal(next_weights(None, losses), next_weights(None, level_losses(0.0, 1.0)))
    losses[5] = np.nan
    assert next_weights(None, losses).tolist() == [0.5, 0.5]


def test_what_a_close_costs_everybody_changes_no_weight() -> None:
    losses = np.random.default_rng(1).normal(0.0, 0.02, (250, 5))
    crash = np.zeros((250, 1))
    crash[17] = 1e4
    assert next_weights(None, losses + crash) == pytest.approx(next_weights(None, losses), rel=1e-9)


def test_a_member_that_was_missing_gains_and_loses_nothing_by_it() -> None:
    steady = level_losses(1.0, 1.0, 1.0)
    missing = steady.copy()
    missing[:200, 0] = np.nan
    assert next_weights(None, missing) == pytest.approx(equal(3), rel=1e-12)
    missing[:, 1] += 0.01  # the one that is worse is found out by the third, at every close
    weights = next_weights(None, missing)
    assert weights[1] == min(weights)


def test_a_member_missing_once_does_not_undo_what_is_known_of_the_others() -> None:
    losses = level_losses(0.0, 1.0, 1.0)
    whole = next_weights(None, losses)
    losses[3, 1] = np.nan
    assert next_weights(None, losses) == pytest.approx(whole, rel=1e-3)


def test_a_member_that_never_had_a_figure_is_an_average_one() -> None:
    losses = level_losses(0.0, 8.0 / 250, math.nan)
    target = np.exp([0.0 + 1.0, -1.0, 0.0]) / np.exp([1.0, -1.0, 0.0]).sum() * 0.25 + 0.25
    weights = None
    for _ in range(10):
        weights = next_weights(weights, losses)
    assert weights == pytest.approx(target, rel=1e-12)


def test_a_member_that_is_new_takes_an_equal_share_of_its_own() -> None:
    losses = level_losses(0.0, 1.0, np.nan)
    joined = next_weights(np.array([0.4, 0.6, np.nan]), losses)
    assert joined == pytest.approx(next_weights(np.array([0.3, 0.45, 0.25]), losses), rel=1e-14)


def test_losses_of_any_size_have_a_softmax() -> None:
    weights = next_weights(None, level_losses(1e150, -1e150, 0.0))
    assert weights == pytest.approx([1 / 3 - 0.025, 1 / 3 + 0.05, 1 / 3 - 0.025], rel=1e-12)


@settings(deadline=None)
@given(st.integers(1, 11), st.integers(0, 2**32 - 1), st.floats(0.0, 0.9))
def test_weights_are_shares_that_move_by_5_percent_at_most(count: int, seed: int, gaps: float) -> None:
    random = np.random.default_rng(seed)
    losses = random.standard_t(2, (300, count)) * 10.0 ** random.integers(-3, 4)
    losses[random.uniform(size=losses.shape) < gaps] = np.nan
    former = random.dirichlet(np.ones(count))
    weights = next_weights(former, losses)
    assert (weights >= 0.0).all()
    assert weights.sum() == pytest.approx(1.0, rel=1e-14)
    if np.count_nonzero(~np.isnan(losses).all(axis=1)) >= 250:
        assert np.abs(weights - former).max() <= 0.05 + 1e-15


def test_money_in_another_unit_changes_no_weight() -> None:
    random = np.random.default_rng(4)
    pnl, var = random.standard_t(4, 250), random.uniform(1.0, 3.0, (250, 3, 4))

    def weighed(unit: float) -> np.ndarray:
        losses = fz0_loss(pnl * unit, var * unit, var * unit * 1.3, LEVELS)
        return next_weights(None, np.add.reduce(losses, axis=2))

    for unit in (1e-6, 1e3, 1e9):
        assert weighed(unit) == pytest.approx(weighed(1.0), rel=1e-9)


def test_the_better_forecast_earns_the_weight() -> None:
    pnl = np.random.default_rng(2).standard_normal(250)
    true_var, true_es = np.array([1.6449, 1.96, 2.3263, 2.5758]), np.array([2.0627, 2.3378, 2.6652, 2.8920])
    off = np.array([1.0, 0.6, 2.0])[None, :, None] * np.ones((250, 1, 1))
    losses = np.add.reduce(fz0_loss(pnl, off * true_var, off * true_es, LEVELS), axis=2)
    assert next_weights(None, losses).argmax() == 0


# the average


def test_the_average_by_hand() -> None:
    var, es = np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 5.0]]), np.array([[2.0, 3.0], [2.0, 6.0], [5.0, 9.0]])
    result = average(np.array([0.5, 0.25, 0.25]), var, es, losses_seen=0)
    assert (result.status, result.reason) == ("ok", None)
    assert result.var == pytest.approx((2.0, 3.25))
    assert result.es == pytest.approx((2.75, 5.25))
    assert result.equal_var == pytest.approx((7 / 3, 11 / 3))
    assert result.equal_es == pytest.approx((3.0, 6.0))
    assert result.dispersion == pytest.approx((4.0, 2.5))
    assert result.weights.tolist() == [0.5, 0.25, 0.25]
    assert result.members.tolist() == [True, True, True]


@pytest.mark.parametrize("gap", ["var", "es"])
def test_a_missing_member_is_left_out_and_the_others_renormalised(gap: str) -> None:
    var, es = figures(4)
    complete = average(np.array([0.1, 0.2, 0.4]), var[[0, 1, 3]], es[[0, 1, 3]], losses_seen=9)
    (var if gap == "var" else es)[2, 1] = np.nan
    result = average(np.array([0.1, 0.2, 0.3, 0.4]), var, es, losses_seen=9)
    assert result.weights == pytest.approx(np.array([1, 2, 0, 4]) / 7)
    assert result.members.tolist() == [True, True, False, True]
    assert (result.var, result.es) == (complete.var, complete.es)
    assert (result.equal_var, result.dispersion) == (complete.equal_var, complete.dispersion)


def test_of_two_members_the_most_conservative_one_is_taken_whole() -> None:
    var, es = figures(3)
    es[0], es[1], es[2] = np.nan, es[1] + 1.0, es[1]
    result = average(np.array([0.2, 0.1, 0.7]), var, es, losses_seen=9)
    assert result.weights.tolist() == [0.0, 1.0, 0.0]
    assert (result.var, result.es) == (tuple(var[1]), tuple(es[1]))
    assert result.equal_var == pytest.approx(tuple((var[1] + var[2]) / 2))


def test_a_single_member_is_the_average() -> None:
    var, es = figures(1)
    result = average(np.array([1.0]), var, es, losses_seen=9)
    assert (result.var, result.es, result.equal_var, result.equal_es) == (tuple(var[0]), tuple(es[0])) * 2


def test_members_whose_weights_are_all_0_share_equally() -> None:
    var, es = figures(4)
    var[3] = np.nan
    result = average(np.array([0.0, 0.0, 0.0, 1.0]), var, es, losses_seen=9)
    assert result.weights == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("insufficient", "insufficient"), "insufficient"),
        (("undefined", "undefined"), "undefined"),
        (("insufficient", "degraded"), "degraded"),
        ((), "insufficient"),
    ],
)
def test_without_any_member_the_answer_is_what_the_members_say(statuses: tuple[str, ...], expected: str) -> None:
    nothing = np.full((2, 3), np.nan)
    result = average(equal(2), nothing, nothing, losses_seen=400, statuses=statuses)
    assert (result.status, result.reason) == (expected, "no member has figures")
    assert result.var == result.es == result.dispersion == result.equal_var == result.equal_es == (None, None, None)
    assert result.weights.tolist() == [0.0, 0.0]


def test_a_book_of_cash_is_undefined_until_it_has_seen_a_loss() -> None:
    nothing = np.zeros((3, 4))
    result = average(equal(3), nothing, nothing, losses_seen=0)
    assert (result.status, result.reason) == ("undefined", "no member ever saw a positive ES")
    assert result.var == (None,) * 4
    assert average(equal(3), nothing, nothing, losses_seen=1).var == (0.0,) * 4


def test_a_new_book_that_may_lose_is_averaged_before_any_loss_is_known() -> None:
    var, es = np.full((3, 1), -1.0), np.array([[-0.5], [-0.5], [0.1]])
    assert average(equal(3), var, es, losses_seen=0).status == "ok"


def test_dispersion_is_missing_where_the_smallest_var_is_not_positive_or_too_small() -> None:
    var = np.array([[-1.0, 0.0, 1.0, 5e-324], [1.0, 2.0, 2.0, 1e9], [1.0, 2.0, 3.0, 1e9]])
    assert average(equal(3), var, var + 1.0, losses_seen=1).dispersion == (None, None, 3.0, None)


@given(shares, st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 1.0, 1e9]))
def test_the_average_keeps_within_its_members_and_in_order_to_the_last_bit(
    weights: np.ndarray, seed: int, unit: float
) -> None:
    var, es = (amounts * unit for amounts in figures(weights.size, seed=seed))
    result = average(weights, var, es, losses_seen=1)
    for name in ("", "equal_"):
        ours_var, ours_es = (np.array(getattr(result, f"{name}{kind}")) for kind in ("var", "es"))
        assert ((var.min(axis=0) <= ours_var) & (ours_var <= var.max(axis=0))).all()
        assert ((es.min(axis=0) <= ours_es) & (ours_es <= es.max(axis=0))).all()
        assert (ours_es >= ours_var).all()
        assert (np.diff(ours_var) >= 0.0).all()
        assert (np.diff(ours_es) >= 0.0).all()
    assert result.weights.sum() == pytest.approx(1.0, rel=1e-14)


def test_es_is_no_less_than_var_even_of_members_whose_rounding_says_so() -> None:
    var = np.full((3, 1), 0.3)
    result = average(equal(3), var, np.nextafter(var, 0.0), losses_seen=1)
    assert result.es == result.equal_es == (0.3,)


@given(shares)
def test_members_that_agree_are_their_average_to_the_last_bit(weights: np.ndarray) -> None:
    var, es = (np.full((weights.size, 2), amount) for amount in (0.1, 0.3))
    result = average(weights, var, es, losses_seen=1)
    assert (result.var, result.es) == ((0.1, 0.1), (0.3, 0.3))


def test_a_level_has_the_same_bits_whatever_levels_stand_beside() -> None:
    var, es = figures(11)
    weights = np.random.default_rng(0).dirichlet(np.ones(11))
    together = average(weights, var, es, losses_seen=1)
    for level in range(4):
        alone = average(weights, var[:, level, None], es[:, level, None], losses_seen=1)
        assert (*alone.var, *alone.es) == (together.var[level], together.es[level])


def test_minus_zero_is_zero() -> None:
    result = average(equal(3), np.full((3, 1), -0.0), np.ones((3, 1)), losses_seen=1)
    assert math.copysign(1.0, result.var[0] or 0.0) == 1.0


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        (((3,), (3, 2), (3, 1)), r"es: expected the shape of var, members by levels \(3, 2\), was \(3, 1\)"),
        (((2,), (3, 2), (3, 2)), r"weights: expected one for each of the 3 members, was \(2,\)"),
    ],
)
def test_shapes_that_do_not_go_together_are_named(shapes: tuple[tuple[int, ...], ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        average(*(np.zeros(shape) for shape in shapes), losses_seen=1)


# who is averaged


def test_noise_around_a_member_is_none() -> None:
    assert members({"historical": Historical(), "around": Around(), "normal": Normal()}) == ("historical", "normal")


def test_of_our_methods_none_is_averaged_that_is_noise_around_or_nested_in_another() -> None:
    """The naive fault: Monte Carlo counts the normal twice, the Gaussian copula the t copula."""
    outside = {"monte_carlo", "monte_carlo_t", "copula_gaussian"}
    assert members(methods(MINIMUM_OBSERVATIONS, OWN)) == tuple(name for name in OWN if name not in outside)


def test_the_average_is_never_a_member_of_itself() -> None:
    assert averaging.ID not in members(methods(MINIMUM_OBSERVATIONS))
    with pytest.raises(ValueError, match="methods: expected none called 'average', which is the average of the others"):
        members({"historical": Historical(), "average": Normal()})


def test_counting_a_member_twice_would_move_the_average_towards_it() -> None:
    var, es = figures(3)
    right = average(equal(3), var, es, losses_seen=1)
    for nested in (var[2], np.array(right.var)):
        wrong = average(equal(4), np.vstack([var, nested]), np.vstack([es, es[2]]), losses_seen=1)
        assert wrong.weights[:3] == pytest.approx(right.weights * 0.75)
    assert isinstance(right, Average)
