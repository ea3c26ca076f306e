import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tailstream.quant.var.newton import Bound, Slope, maximise

pytestmark = pytest.mark.filterwarnings("error")

ANYWHERE = Bound(-math.inf, math.inf)


def quadratic(curvature: Sequence[Sequence[float]], top: Sequence[float]) -> Callable[[Sequence[float]], Slope]:
    """`-(x - top)' A (x - top) / 2`, the highest at `top`."""
    a, peak = np.array(curvature), np.array(top)

    def likelihood(at: Sequence[float]) -> Slope:
        away = np.array(at) - peak
        return Slope(float(-0.5 * away @ a @ away), (-a @ away).tolist(), (-a).tolist())

    return likelihood


def counted(likelihood: Callable[[Sequence[float]], Slope]) -> tuple[Callable[[Sequence[float]], Slope], list[None]]:
    """The same, with an entry in the list for each call."""
    calls: list[None] = []

    def counting(at: Sequence[float]) -> Slope:
        calls.append(None)
        return likelihood(at)

    return counting, calls


def camel(at: Sequence[float]) -> Slope:
    """Two hills at +-1 with a dip at 0: `x^2 / 2 - x^4 / 4`."""
    (x,) = at
    return Slope(x**2 / 2 - x**4 / 4, (x - x**3,), ((1.0 - 3.0 * x**2,),))


def test_a_quadratic_is_climbed_in_one_step() -> None:
    likelihood, calls = counted(quadratic([[4.0, 1.0], [1.0, 3.0]], [1.0, -2.0]))
    peak = maximise(likelihood, (10.0, 10.0), (ANYWHERE, ANYWHERE))
    assert peak.at == pytest.approx((1.0, -2.0))
    assert peak.converged
    assert len(calls) == 2


def test_parameters_that_hang_together_go_where_the_likelihood_is_highest_on_the_bound() -> None:
    likelihood, calls = counted(quadratic([[1.0, 0.99], [0.99, 1.0]], [3.0, -3.0]))
    peak = maximise(likelihood, (0.0, 0.0), (Bound(-1.0, 1.0), ANYWHERE))
    assert peak.at == pytest.approx((1.0, -3.0 + 0.99 * 2.0))
    assert len(calls) == 2


def test_a_corner_is_a_maximum_where_the_likelihood_rises_beyond_both_bounds() -> None:
    peak = maximise(quadratic([[1.0, 0.0], [0.0, 1.0]], [5.0, 5.0]), (0.0, 0.0), (Bound(0.0, 1.0), Bound(0.0, 2.0)))
    assert peak.at == (1.0, 2.0)
    assert peak.converged


def test_a_parameter_leaves_the_bound_it_starts_at() -> None:
    peak = maximise(quadratic([[1.0]], [0.5]), (0.0,), (Bound(0.0, 1.0),))
    assert peak.at == pytest.approx((0.5,))


def test_a_parameter_with_equal_bounds_stays_and_the_others_move() -> None:
    peak = maximise(quadratic([[1.0, 0.5], [0.5, 1.0]], [1.0, 1.0]), (0.0, 0.0), (ANYWHERE, Bound(3.0, 3.0)))
    assert peak.at == pytest.approx((0.0, 3.0))


@pytest.mark.parametrize(("start", "top"), [(0.1, 1.0), (-0.1, -1.0), (30.0, 1.0)])
def test_from_a_dip_the_climb_goes_uphill(start: float, top: float) -> None:
    peak = maximise(camel, (start,), (ANYWHERE,))
    assert peak.at == pytest.approx((top,), abs=1e-7)
    assert peak.converged


def test_a_start_outside_the_bounds_is_taken_inside() -> None:
    assert maximise(camel, (-7.0,), (Bound(0.5, 3.0),)).at == pytest.approx((1.0,), abs=1e-9)


def test_a_likelihood_without_a_top_does_not_converge() -> None:
    peak = maximise(lambda at: Slope(at[0], (1.0,), ((0.0,),)), (0.0,), (ANYWHERE,))
    assert not peak.converged


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_likelihood_that_is_no_number_does_not_converge(value: float) -> None:
    assert not maximise(lambda _: Slope(value, (1.0,), ((-1.0,),)), (0.0,), (ANYWHERE,)).converged


def test_a_step_into_what_is_no_number_is_taken_shorter() -> None:
    def walled(at: Sequence[float]) -> Slope:  # log(x) - x / 10, the first step lands below 0
        x = at[0]
        return Slope(math.log(x) - x / 10 if x > 0 else math.nan, (1 / x - 0.1,), ((-1 / x**2,),))

    assert maximise(walled, (100.0,), (ANYWHERE,)).at == pytest.approx((10.0,))
