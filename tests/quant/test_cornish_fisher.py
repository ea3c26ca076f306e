import math
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import hermite_e
from scipy.special import ndtri

from tailstream.quant.performance import excess_kurtosis, skewness
from tailstream.quant.var.cornish_fisher import CornishFisher, bent, kurtosis_error
from tailstream.quant.var.cubic import MOST_SKEWED, Cubic, Moments, extremes, matched
from tailstream.quant.var.normal import normal_multiples
from tailstream.testing.var_method import MethodKit

from .cases import LEVELS, noise
from .index_windows import DAYS, RETURNS, references, up_to

pytestmark = pytest.mark.filterwarnings("error")

METHOD = CornishFisher()
Z_99 = -2.3263478740408408
NODES, WEIGHTS = hermite_e.hermegauss(16)
LEGENDRE_NODES, LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(100)

places = st.floats(0.0, 1.0)
angles = st.floats(0.0, 2.0 * math.pi)


class TestCornishFisherKit(MethodKit):
    method: ClassVar[CornishFisher] = METHOD


def named(row: dict[str, str]) -> str:
    return f"{row['figure']} {row['date']}"


def expansion(z: float, s: float, k: float) -> float:
    """The expansion as it is written in the books."""
    return z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36


def monotone_cubic(distance: float, angle: float) -> Cubic:
    """A cubic at a distance (0 to 1) from the centre of the disc of the monotone ones."""
    return Cubic(1.0, 0.5 * distance * math.cos(angle), (0.5 + 0.5 * distance * math.sin(angle)) / 3.0)


def by_quadrature(cubic: Cubic) -> tuple[float, Moments]:
    """Variance, skewness and excess kurtosis by Gauss-Hermite nodes, which are exact for powers of a cubic."""
    values = hermite_e.hermeval(NODES, [0.0, *cubic])
    second, third, fourth = (float((WEIGHTS * values**n).sum() / WEIGHTS.sum()) for n in (2, 3, 4))
    return second, Moments(third / second**1.5, fourth / second**2 - 3.0)


def normal_quantiles(observations: int) -> np.ndarray:
    """As normal as a sample can be."""
    return ndtri((np.arange(observations) + 0.5) / observations)


# the cubic


@pytest.mark.parametrize(
    ("level", "skewness", "kurtosis", "expected"),
    [  # the documented values of mir-stat's cornishFisherInvCDF (its quantile q is the VaR at 1 - q, sign turned)
        (0.1, 0.1, 0.0, -1.292868),
        (0.1, 0.1, 1.0, -1.220374),
        (0.1, 0.1, -1.0, -1.365363),
        (0.99, 0.1, 0.0, 2.249053),
        (0.99, 0.1, 1.0, 2.482841),
        (0.99, 0.1, -1.0, 2.015265),
    ],
)
def test_the_expansion_agrees_with_the_documented_values_of_another_package(
    level: float, skewness: float, kurtosis: float, expected: float
) -> None:
    assert Cubic.expansion(Moments(skewness, kurtosis)).multiples(level).var == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(-2.0, 12.0))
def test_the_quantile_is_the_expansion_as_the_books_write_it(s: float, k: float) -> None:
    assert Cubic.expansion(Moments(s, k)).multiples(0.99).var == pytest.approx(-expansion(Z_99, s, k), abs=1e-12)


@settings(deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(-2.0, 12.0))
def test_the_domain_is_the_one_that_maillard_gives(s: float, k: float) -> None:
    left, right = (s / 3) ** 2, 4 * (k / 8 - s * s / 6) * (1 - k / 8 + 5 * s * s / 36)
    if abs(left - right) > 1e-9 and abs(k / 8 - s * s / 6) > 1e-9:
        assert Cubic.expansion(Moments(s, k)).monotone == (left <= right and k / 8 >= s * s / 6)


def test_the_domain_without_skewness_is_kurtosis_from_0_to_8() -> None:
    inside = [Cubic.expansion(Moments(0.0, k)).monotone for k in (-0.001, 0.0, 8.0, 8.001)]
    assert inside == [False, True, True, False]


@settings(deadline=None)
@given(places, angles)
def test_a_cubic_in_the_disc_rises_everywhere_and_just_outside_it_does_not(distance: float, angle: float) -> None:
    z = np.linspace(-60.0, 60.0, 12_001)
    rising = np.diff(hermite_e.hermeval(z, [0.0, *monotone_cubic(distance, angle)]))
    assert rising.min() > -1e-9
    assert not monotone_cubic(1.001, angle).monotone


@settings(deadline=None)
@given(places, angles)
def test_the_moments_are_those_by_quadrature(distance: float, angle: float) -> None:
    cubic = monotone_cubic(distance, angle)
    variance, moments = by_quadrature(cubic)
    assert cubic.variance == pytest.approx(variance, rel=1e-12)
    assert cubic.moments == pytest.approx(moments, abs=1e-9)


def test_the_cube_of_a_normal_has_the_most_kurtosis_without_skewness() -> None:
    assert Cubic(3.0, 0.0, 1.0).moments == pytest.approx((0.0, 10_395 / 15**2 - 3))  # E z^12 / (E z^6)^2 - 3 = 43.2
    found = extremes(0.0)
    assert found is not None
    assert [cubic.moments.excess_kurtosis for cubic in found] == pytest.approx([0.0, 43.2])


def test_no_monotone_cubic_is_more_skewed_than_the_most_skewed() -> None:
    at = [Cubic(1.0, u * math.sqrt(1 - u * u), u * u / 3).moments.skewness for u in np.linspace(0.0, 1.0, 10_001)]
    most = max(at)
    assert np.linspace(0.0, 1.0, 10_001)[at.index(most)] == pytest.approx(MOST_SKEWED, abs=1e-4)
    assert extremes(most) is not None
    assert extremes(most + 1e-6) is None


@settings(deadline=None)
@given(places, angles)
def test_each_monotone_cubic_is_found_again_by_its_own_moments(distance: float, angle: float) -> None:
    cubic = monotone_cubic(0.999 * distance, angle)
    between = extremes(cubic.moments.skewness)
    assert between is not None
    assert matched(cubic.moments, between) == pytest.approx(cubic, abs=1e-6)
    assert matched(cubic.moments, between).moments == pytest.approx(cubic.moments, abs=1e-9)


@settings(deadline=None)
@given(places, angles)
def test_the_parameters_of_a_cubic_are_those_of_the_expansion_that_has_its_shape(distance: float, angle: float) -> None:
    cubic = monotone_cubic(distance, angle)
    assert Cubic.expansion(cubic.parameters).moments == pytest.approx(cubic.moments, abs=1e-9)


@settings(deadline=None)
@given(places, angles, st.sampled_from([0.3, 0.5, 0.95, 0.99, 0.999]))
def test_es_is_the_mean_of_var_over_the_levels_beyond(distance: float, angle: float, level: float) -> None:
    cubic = monotone_cubic(distance, angle).standardised()
    z = -normal_multiples(level).var + (LEGENDRE_NODES - 1.0) * 6.0  # twelve standard deviations below the quantile
    density = LEGENDRE_WEIGHTS * np.exp(-z * z / 2.0)
    mean = float((density * hermite_e.hermeval(z, [0.0, *cubic])).sum() / density.sum())
    assert cubic.multiples(level).es == pytest.approx(-mean, rel=1e-7, abs=1e-9)


# the method


@pytest.mark.parametrize(
    "row",
    references("plain_var_0.99", "plain_es_0.99", "matched_var_0.99", "matched_es_0.99"),
    ids=named,
)
def test_a_thousand_days_of_the_index_agree_with_other_packages(row: dict[str, str]) -> None:
    estimate = METHOD.estimate(up_to(row["date"]), (0.99,))
    (figure,) = estimate.es if "_es_" in row["figure"] else estimate.var
    assert figure == pytest.approx(float(row["value"]), rel=1e-9)
    assert estimate.parameters["matched"] == float(row["figure"].startswith("matched"))
    assert estimate.reason == ("domain: matched" if estimate.parameters["matched"] else None)


def test_in_the_domain_the_parameters_are_the_moments_of_the_sample() -> None:
    pnl = noise(1_000)
    found = METHOD.estimate(pnl, LEVELS).parameters
    assert found["skewness"] == skewness(pnl).value
    assert found["skewness_parameter"] == pytest.approx(found["skewness"], rel=1e-12)
    assert found["kurtosis_parameter"] == pytest.approx(found["excess_kurtosis"], rel=1e-12)
    assert found["excess_kurtosis"] == excess_kurtosis(pnl).value
    assert found["matched"] == 0.0


def test_a_sample_of_normal_quantiles_has_the_figures_of_the_normal() -> None:
    pnl = 3.0 + 2.0 * normal_quantiles(100_000)
    estimate = METHOD.estimate(pnl, (0.99,))
    assert estimate.var[0] == pytest.approx(-3.0 + 2.0 * 2.3263, rel=2e-3)
    assert estimate.es[0] == pytest.approx(-3.0 + 2.0 * 2.6652, rel=2e-3)


@pytest.mark.parametrize("moments", [Moments(0.0, 20.0), Moments(-1.0, 12.0), Moments(-3.0, 30.0), Moments(2.0, 15.0)])
def test_where_it_is_matched_the_distribution_has_the_moments_of_the_sample(moments: Moments) -> None:
    bend = bent(moments, error=0.0)
    assert bend is not None
    assert bend.remark == "domain: matched"
    assert by_quadrature(bend.cubic)[0] == pytest.approx(1.0, abs=1e-12)
    assert by_quadrature(bend.cubic)[1] == pytest.approx(moments, abs=1e-8)
    assert bend.cubic.monotone


def test_losses_and_gains_change_places_with_the_sign_of_the_position() -> None:
    pnl = noise(1_000, seed=4)
    long, short = METHOD.estimate(pnl, (0.01, 0.99)), METHOD.estimate(-pnl, (0.99, 0.01))
    assert long.parameters["matched"] == 1.0
    assert short.var == pytest.approx([-(figure or 0.0) for figure in long.var])


def test_a_kurtosis_too_low_by_chance_alone_is_raised_to_the_least_there_is() -> None:
    bend = bent(Moments(0.0, -0.29), error=0.1)
    assert bend == (Cubic(1.0, 0.0, 0.0), "domain: matched, excess kurtosis raised from -0.29 to 0")
    assert bent(Moments(0.0, -0.31), error=0.1) is None


def test_the_error_of_the_kurtosis_is_the_one_of_the_books_in_a_normal_sample_and_larger_in_a_skewed_one() -> None:
    normal = normal_quantiles(100_000)
    assert kurtosis_error(normal) == pytest.approx(math.sqrt(24 / 100_000), rel=0.02)
    assert kurtosis_error(exponential_gains() - 1.0) > 5 * math.sqrt(24 / 1_000)
    assert kurtosis_error(np.repeat([-1.0, 1.0], 50)) == math.sqrt(24 / 100)


def exponential_gains() -> np.ndarray:
    """Skewness 1.97 and excess kurtosis 5.6, which is less than any monotone cubic so skewed has."""
    return -np.log1p(-(np.arange(1_000) + 0.5) / 1_000)


def test_uniform_returns_are_degraded_with_both_moments_in_the_reason() -> None:
    estimate = METHOD.estimate(np.linspace(-1.0, 1.0, 1_000), LEVELS)
    assert estimate.status == "degraded"
    assert estimate.reason == "domain: no monotone cubic has skewness 0 and excess kurtosis -1.2"
    assert estimate.var == estimate.es == (None,) * 4


def test_a_single_crash_in_a_quiet_window_is_degraded() -> None:
    pnl = np.append(0.001 * np.sin(np.arange(999.0)), -0.5)
    estimate = METHOD.estimate(pnl, LEVELS)
    assert estimate.status == "degraded"
    assert "skewness -31.5" in str(estimate.reason)


def test_most_windows_of_normal_returns_have_figures() -> None:
    windows = np.random.default_rng(1).normal(size=(300, 250))
    assert sum(METHOD.estimate(window, LEVELS).status == "ok" for window in windows) >= 297


def test_the_thousand_days_up_to_any_day_of_the_index_have_figures() -> None:
    windows = [RETURNS[end - DAYS : end] for end in range(DAYS, RETURNS.size + 1, 10)]
    found = [METHOD.estimate(window, LEVELS) for window in windows]
    assert {estimate.status for estimate in found} == {"ok"}
    assert 0.1 < sum(estimate.parameters["matched"] for estimate in found) / len(found) < 0.2


def test_money_that_does_not_vary_has_no_skewness_and_its_own_loss() -> None:
    estimate = METHOD.estimate(np.full(1_000, -0.25), LEVELS)
    assert estimate.var == estimate.es == (0.25,) * 4
    assert estimate.parameters == {"mean": -0.25, "sigma": 0.0}


def test_a_minimum_below_four_observations_has_no_kurtosis_and_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum_observations: expected at least 4, was 3"):
        CornishFisher(minimum_observations=3)


# the fault of a naive implementation


def test_outside_its_domain_the_plain_expansion_has_less_var_at_a_higher_level_and_ours_has_not() -> None:
    estimate = METHOD.estimate(exponential_gains(), (0.99, 0.995))
    third, fourth = estimate.parameters["skewness"], estimate.parameters["excess_kurtosis"]
    naive = [-expansion(z, third, fourth) for z in (Z_99, -2.575829303548901)]
    assert naive[1] < naive[0]
    assert (estimate.var[1] or 0.0) > (estimate.var[0] or 0.0)
    assert estimate.parameters["matched"] == 1.0
