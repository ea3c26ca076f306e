import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from tailstream.quant.arrays import Floats
from tailstream.quant.var import Fit
from tailstream.quant.var.extreme_value import ExtremeValue, Peaks
from tailstream.quant.var.pareto import Pareto, quantile
from tailstream.testing.fitted_method import FittedMethodKit

from .cases import LEVELS, noise
from .index_windows import references, up_to

pytestmark = pytest.mark.filterwarnings("error")

METHOD = ExtremeValue()


def named(row: dict[str, str]) -> str:
    return f"{row['figure']} {row['date']}"


class TestExtremeValueKit(FittedMethodKit):
    method: ClassVar[ExtremeValue] = METHOD


def with_excesses(excesses: Sequence[float] | Floats, threshold: float = 1.0) -> Floats:
    """P&L of which exactly a tenth are losses above the threshold, by these excesses; the rest lose no more."""
    body = np.linspace(-threshold, threshold, 9 * len(excesses) + 2)[2:]
    body[-1] = threshold
    return -np.concatenate([[threshold + x for x in excesses], body])


# figures


def test_var_and_es_by_hand_from_a_shape_that_was_fitted_before() -> None:
    pnl = with_excesses(np.repeat([1.0, 3.0], 50))
    estimate = METHOD.estimate_with(Fit.of({"shape": 0.0}), pnl, (0.95, 0.99))
    tail = {"threshold": 1.1, "exceedances": 100.0, "shape": 0.0, "scale": 1.9}  # type 7: a tenth of the way to 2
    assert estimate.parameters == pytest.approx(tail)
    assert estimate.var == pytest.approx((1.1 + 1.9 * math.log(2), 1.1 + 1.9 * math.log(10)))
    assert estimate.es == pytest.approx((1.1 + 1.9 * math.log(2) + 1.9, 1.1 + 1.9 * math.log(10) + 1.9))


@pytest.mark.parametrize("shape", [-0.3, 0.25, 0.6])
def test_var_and_es_are_the_formulas_of_the_book(shape: float) -> None:
    pnl = noise(1_000)
    estimate = METHOD.estimate_with(Fit.of({"shape": shape}), pnl, (0.99,))
    u, x, b = (estimate.parameters[name] for name in ("threshold", "shape", "scale"))
    var = u + b / x * ((1_000 / 100 * 0.01) ** -x - 1)
    assert estimate.var[0] == pytest.approx(var)
    assert estimate.es[0] == pytest.approx(var / (1 - x) + (b - x * u) / (1 - x))


@pytest.mark.parametrize("row", references("threshold", "var_0.99", "es_0.99"), ids=named)
def test_a_thousand_days_of_the_index_agree_with_another_package(row: dict[str, str]) -> None:
    estimate = METHOD.estimate(up_to(row["date"]), (0.99,))
    ours = {"threshold": estimate.parameters["threshold"], "var_0.99": estimate.var[0], "es_0.99": estimate.es[0]}
    assert ours[row["figure"]] == pytest.approx(float(row["value"]), rel=1e-7)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.3, 0.7])
def test_es_is_the_mean_of_var_over_the_levels_beyond(shape: float) -> None:
    peaks = Peaks(0.02, 100.0, shape, 0.01)
    parts = 0.1 * ((np.arange(400_000) + 0.5) / 400_000) ** 8  # midpoints, close together where the tail is heavy
    weights = np.diff(0.1 * (np.arange(400_001) / 400_000) ** 8)
    mean = float((weights * (0.02 + quantile(Pareto(shape, 0.01), parts))).sum() / 0.1)
    assert peaks.shortfall(peaks.value_at_risk(0.1)) == pytest.approx(mean, rel=1e-5)


def test_shapes_on_both_sides_of_zero_meet_there() -> None:
    near = [METHOD.estimate_with(Fit.of({"shape": shape}), noise(1_000), LEVELS) for shape in (-1e-9, 0.0, 1e-9)]
    for estimate in near:
        assert estimate.var == pytest.approx(near[1].var, rel=1e-7)
        assert estimate.es == pytest.approx(near[1].es, rel=1e-7)


def test_a_tail_without_a_mean_has_var_and_no_es_and_says_so() -> None:
    estimate = METHOD.estimate_with(Fit.of({"shape": 1.25}), noise(1_000), LEVELS)
    assert estimate.status == "ok"
    assert None not in estimate.var
    assert estimate.es == (None,) * 4
    assert estimate.reason == "shape 1.25: a tail without a mean has no ES"


def test_losses_that_crowd_below_the_largest_are_told_as_the_shortest_tail() -> None:
    capped = with_excesses(np.concatenate([np.linspace(0.1, 0.9, 20), np.full(80, 1.0)]))
    estimate = METHOD.estimate(capped, (0.99, 0.999))
    assert estimate.parameters["shape"] == -1.0
    assert estimate.reason == "shape -1: the losses crowd below the largest one"
    assert all(var is not None and var <= 2.0 for var in estimate.var)


# what there is no tail for


def test_fewer_than_fifty_exceedances_are_insufficient_and_fifty_are_not() -> None:
    assert METHOD.estimate(noise(489), LEVELS)[:2] == (
        "insufficient",
        "needs 50 losses above the threshold, has 49",
    )
    assert METHOD.estimate(noise(500), LEVELS).parameters["exceedances"] == 50.0


def test_losses_that_tie_at_the_threshold_are_not_above_it() -> None:
    pnl = noise(1_000)
    pnl[np.argsort(pnl)[20:150]] = -0.02
    assert METHOD.estimate(pnl, LEVELS).reason == "needs 50 losses above the threshold, has 20"


def test_losses_that_differ_from_the_threshold_by_rounding_are_ties() -> None:
    pnl = noise(1_000)
    worst_first = np.argsort(pnl)
    pnl[worst_first[80:150]] = pnl[worst_first[80]] + 1e-17 * np.arange(70)
    estimate = METHOD.estimate(pnl, LEVELS)
    assert estimate.parameters["exceedances"] == 80.0
    assert abs(estimate.parameters["shape"]) < 1.0


def test_a_tail_of_one_and_the_same_loss_has_zero_variance() -> None:
    pnl = np.where(np.arange(1_000) % 20 == 0, -1.0, 0.0)
    assert METHOD.estimate(pnl, LEVELS)[:2] == (
        "zero_variance",
        "all 50 losses above the threshold are the same",
    )


def test_a_level_in_the_body_is_none_beside_levels_in_the_tail_and_alone_it_is_insufficient() -> None:
    both = METHOD.estimate(noise(1_000), (0.5, 0.9, 0.9001))
    assert both.status == "ok"
    assert both.var[:2] == both.es[:2] == (None, None)
    assert both.var[2] == pytest.approx(both.parameters["threshold"], rel=1e-3)
    assert both.reason == "the threshold is beyond 0.5, 0.9, which a tail says nothing about"
    assert METHOD.estimate(noise(1_000), (0.5, 0.9))[:2] == ("insufficient", both.reason)


def test_a_tail_so_heavy_that_its_quantiles_are_no_numbers_is_undefined() -> None:
    assert METHOD.estimate_with(Fit.of({"shape": 200.0}), noise(1_000), (0.99, 0.9999)).status == "undefined"


# the faults of a naive implementation


def test_what_lies_below_the_threshold_is_no_excess() -> None:
    """Fitting `losses - u` with the negative ones among them, the tail would follow the body."""
    pnl = noise(1_000)
    gains = np.argsort(pnl)[200:]
    changed = pnl.copy()
    changed[gains] = np.linspace(pnl[gains[0]], 5.0, gains.size)
    assert METHOD.estimate(changed, LEVELS) == METHOD.estimate(pnl, LEVELS)


@pytest.mark.parametrize("row", references("free_location_var_0.999"), ids=lambda row: row["date"])
def test_the_location_of_the_excesses_is_not_fitted(row: dict[str, str]) -> None:
    """With a free location, as scipy fits by default, the likelihood pulls it to the smallest excess or beyond."""
    (ours,) = METHOD.estimate(up_to(row["date"]), (0.999,)).var
    assert abs(float(row["value"]) / (ours or 0.0) - 1.0) > 0.01


def test_the_quantile_of_the_tail_is_taken_of_the_exceedances_and_not_of_all() -> None:
    """Without `n / N_u` the 95 % VaR would be the 95 % quantile of the worst tenth: the 99.5 % one."""
    pnl = noise(10_000)
    (var,) = METHOD.estimate(pnl, (0.95,)).var
    assert np.count_nonzero(-pnl > var) == pytest.approx(500, abs=15)


@pytest.mark.parametrize("observations", [500, 1_000, 2_000, 3_000])
def test_the_tenth_beyond_the_threshold_is_counted_exactly(observations: int) -> None:
    """`int((1 - 0.9) * 1000)` is 99 in floating point, `ceil((1 - 0.95) * 1000)` 51, and `1 - 0.9 < 100 / 1000`."""
    estimate = METHOD.estimate(noise(observations), (0.9, 0.95))
    assert estimate.parameters["exceedances"] == observations // 10
    assert estimate.var[0] is None
    exponential = METHOD.estimate_with(Fit.of({"shape": 0.0}), noise(observations), (0.95,))
    half_way = exponential.parameters["scale"] * math.log(2)
    assert exponential.var[0] == pytest.approx(exponential.parameters["threshold"] + half_way, rel=1e-14)


def test_es_is_the_mean_of_the_fitted_tail_and_not_of_the_losses_beyond_var() -> None:
    """Above the 99.9 % VaR of a thousand days there may be no loss at all, and the tail goes on."""
    pnl = with_excesses(np.append(quantile(Pareto(0.3, 1.0), (np.arange(100) + 0.5) / 100)[:99], 5.0))
    var, es = (figures[0] for figures in METHOD.estimate(pnl, (0.9999,))[3:])
    assert (-pnl > (var or 0.0)).sum() == 0
    assert (es or 0.0) > (var or 0.0) * 1.1


# a shape of former days


def test_a_start_changes_no_bit_of_the_fit() -> None:
    fit = METHOD.fit(noise(1_000))
    for shape in (-0.99, 0.0, 5.0, 1e6):
        assert METHOD.fit(noise(1_000), {"shape": shape}) == fit


def test_threshold_and_scale_are_those_of_the_new_book() -> None:
    fit = METHOD.fit(noise(1_000))
    today = noise(1_000, seed=11)
    estimate = METHOD.estimate_with(fit, today, LEVELS)
    assert estimate.parameters["shape"] == fit.parameters["shape"]
    assert estimate.parameters["threshold"] == METHOD.estimate(today, LEVELS).parameters["threshold"]


def test_the_order_of_the_days_does_not_matter_by_a_single_bit() -> None:
    pnl = noise(1_000)
    assert METHOD.estimate(pnl[::-1], LEVELS) == METHOD.estimate(pnl, LEVELS)


def test_the_worst_year_of_the_index_has_a_heavier_tail_than_a_quiet_one() -> None:
    crisis, quiet = (METHOD.estimate(up_to(date), (0.99,)) for date in ("2008-12-31", "2006-12-29"))
    assert crisis.parameters["shape"] > quiet.parameters["shape"]
    assert (crisis.var[0] or 0.0) > 2 * (quiet.var[0] or 0.0)
