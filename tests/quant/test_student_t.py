import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy import integrate, stats

from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Fit
from tailstream.quant.var.student_t import StudentT
from tailstream.quant.var.t_likelihood import TLikelihood, t_quantile, t_shortfall
from tailstream.testing.fitted_method import FittedMethodKit

from .cases import LEVELS, noise
from .market_series import INDEX, SERIES

pytestmark = pytest.mark.filterwarnings("error")

METHOD = StudentT()
FEW = StudentT(minimum_observations=4)

with (Path(__file__).parent / "references" / "student_t.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))


def references(*figures: str) -> list[dict[str, str]]:
    return [row for row in ROWS if row["figure"] in figures]


def named(row: dict[str, str]) -> str:
    return f"{row['figure']}, {row['series']}"


def log_likelihood(pnl: Floats, estimate: Estimate) -> float:
    df, loc, scale = (estimate.parameters[name] for name in ("df", "loc", "scale"))
    distribution = stats.norm(loc, scale) if df > 200 else stats.t(df, loc, scale)
    return float(distribution.logpdf(pnl).sum())


class TestStudentTKit(FittedMethodKit):
    method: ClassVar[StudentT] = METHOD


# figures


def test_location_and_scale_of_three_values_are_those_of_the_closed_form_at_one_degree_of_freedom() -> None:
    """Ferguson (1978): the Cauchy likelihood of three values; of each twice it is the same, squared."""
    a, b, c = -4.0, 1.0, 2.0
    squares = (c - b) ** 2 + (c - a) ** 2 + (b - a) ** 2
    loc = (a * (c - b) ** 2 + b * (c - a) ** 2 + c * (b - a) ** 2) / squares
    scale = math.sqrt(3) * (c - b) * (c - a) * (b - a) / squares
    estimate = FEW.estimate_with(Fit.of({"df": 1.0}), np.array([a, b, c, a, b, c]), (0.75,))
    assert estimate.parameters == pytest.approx({"df": 1.0, "loc": loc, "scale": scale}, rel=1e-9)
    assert estimate.var == pytest.approx((scale - loc,))  # tan(pi / 4) scales from the middle


def test_var_at_two_degrees_of_freedom_is_the_closed_quantile() -> None:
    assert t_quantile(2.0, 0.99) == pytest.approx(0.98 / math.sqrt(2 * 0.99 * 0.01))


def test_es_at_two_degrees_of_freedom_is_the_closed_integral() -> None:
    q = t_quantile(2.0, 0.95)
    assert t_shortfall(2.0, 0.95) == pytest.approx(1 / math.sqrt(2 + q * q) / 0.05)  # f = (2 + x^2)^-1.5


@pytest.mark.parametrize("df", [1.1, 2.0, 3.7, 12.0, 180.0])
@pytest.mark.parametrize("level", [0.9, 0.99, 0.999])
def test_es_is_the_integral_of_the_tail_and_no_mean_below_a_quantile(df: float, level: float) -> None:
    beyond = integrate.quad(lambda x: x * stats.t.pdf(x, df), t_quantile(df, level), np.inf, epsabs=0, limit=200)[0]
    assert t_shortfall(df, level) == pytest.approx(beyond / (1 - level), rel=1e-6)


def test_the_quantile_is_scaled_by_the_scale_and_not_by_the_standard_deviation() -> None:
    """The naive fault: the standard deviation of a t is sqrt(df / (df - 2)) times its scale."""
    pnl = noise(1_000)
    estimate = METHOD.estimate(pnl, (0.99,))
    df, loc, scale = (estimate.parameters[name] for name in ("df", "loc", "scale"))
    assert estimate.var[0] == pytest.approx(scale * -stats.t.ppf(0.01, df) - loc)
    naive = pnl.std() * -stats.t.ppf(0.01, df) - loc
    assert naive > 1.2 * (estimate.var[0] or 0.0)


def test_a_tail_of_one_degree_of_freedom_or_less_has_a_var_and_says_why_it_has_no_es() -> None:
    estimate = METHOD.estimate_with(Fit.of({"df": 1.0}), noise(300), LEVELS)
    assert estimate.status == "ok"
    assert None not in estimate.var
    assert estimate.es == (None,) * 4
    assert estimate.reason == "a t distribution has an ES where df is above 1, was fitted with 1"
    assert METHOD.estimate_with(Fit.of({"df": 1.001}), noise(300), LEVELS).es[0] is not None


def test_beyond_200_degrees_of_freedom_the_figures_are_normal_with_the_likeliest_sigma() -> None:
    pnl = noise(300)
    estimate = METHOD.estimate_with(Fit.of({"df": 200.5}), pnl, (0.99, 0.975))
    sigma = pnl.std(ddof=0)
    assert estimate.parameters == pytest.approx({"df": 200.5, "loc": pnl.mean(), "scale": sigma})
    assert estimate.var == pytest.approx(
        (2.3263478740408408 * sigma - pnl.mean(), 1.959963984540054 * sigma - pnl.mean())
    )
    assert estimate.es[1] == pytest.approx(2.337802792249028 * sigma - pnl.mean())


def test_normal_data_have_as_many_degrees_of_freedom_as_are_looked_for() -> None:
    assert METHOD.fit(SERIES["normal"]).parameters == {"df": 500.0}


# the maximum


@pytest.mark.parametrize("row", references("log_likelihood"), ids=named)
def test_no_likelihood_is_below_that_of_another_package(row: dict[str, str]) -> None:
    pnl, theirs = 100.0 * SERIES[row["series"]], float(row["value"])
    assert log_likelihood(pnl, METHOD.estimate(pnl, LEVELS)) >= theirs - 1e-9 * abs(theirs)


@pytest.mark.parametrize("row", references("var_0.99", "es_0.975"), ids=named)
def test_a_figure_agrees_with_another_package_as_far_as_that_converged(row: dict[str, str]) -> None:
    kind, level = row["figure"].split("_")
    estimate = METHOD.estimate(100.0 * SERIES[row["series"]], (float(level),))
    assert (estimate.var if kind == "var" else estimate.es)[0] == pytest.approx(float(row["value"]), rel=5e-5)


@pytest.mark.parametrize("series", [name for name in SERIES if name != "normal"])
def test_the_likelihood_is_level_in_each_of_its_three_parameters(series: str) -> None:
    pnl = SERIES[series]
    df, loc, scale = METHOD.estimate(pnl, LEVELS).parameters.values()
    slope = TLikelihood((pnl - loc) / scale)((0.0, 0.0, 1.0 / df))
    for gradient, curvatures in zip(slope.gradient, slope.hessian, strict=True):
        assert abs(gradient) < 1e-6 * math.sqrt(-curvatures[-1])  # in units of the standard error


@pytest.mark.parametrize("at", [(0.1, 0.2, 0.22), (-0.3, -0.5, 0.9), (0.0, 0.1, 0.004)])
def test_gradient_and_hessian_are_the_differences_of_value_and_gradient(at: Sequence[float]) -> None:
    likelihood, step = TLikelihood(np.random.default_rng(3).standard_t(4, 200)), 1e-5
    slope = likelihood(at)
    for i in range(3):
        up, down = (likelihood([x + sign * step * (j == i) for j, x in enumerate(at)]) for sign in (1.0, -1.0))
        assert slope.gradient[i] == pytest.approx((up.value - down.value) / (2 * step), rel=1e-5, abs=1e-4)
        for j in range(i + 1):
            difference = (up.gradient[j] - down.gradient[j]) / (2 * step)
            assert slope.hessian[i][j] == pytest.approx(difference, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("df", [0.5, 1.0, 2.5, 30.0, 500.0])
@pytest.mark.parametrize("series", SERIES)
def test_any_start_arrives_at_the_same_fit(series: str, df: float) -> None:
    alone, started = METHOD.fit(SERIES[series]), METHOD.fit(SERIES[series], {"df": df})
    assert started.parameters == pytest.approx(dict(alone.parameters), rel=1e-8)


def test_a_chain_of_fits_each_starting_from_the_day_before_has_the_figures_of_each_day_alone() -> None:
    former = None
    for day in range(4_300, 4_350):
        pnl = INDEX[day : day + 500]
        former = METHOD.fit(pnl, former.parameters if former else None)
        alone, chained = METHOD.estimate(pnl, LEVELS), METHOD.estimate_with(former, pnl, LEVELS)
        assert chained.var + chained.es == pytest.approx(alone.var + alone.es, rel=1e-8)


# a shape and a book


def test_a_book_that_was_turned_over_has_its_own_location_and_scale_and_the_shape_of_before() -> None:
    fit, pnl = METHOD.fit(noise(500)), noise(500, seed=3)
    before, after = (METHOD.estimate_with(fit, book, LEVELS) for book in (pnl, 7.0 - 3e6 * pnl))
    assert after.parameters == pytest.approx(
        {
            "df": fit.parameters["df"],
            "loc": 7.0 - 3e6 * before.parameters["loc"],
            "scale": 3e6 * before.parameters["scale"],
        },
        rel=1e-8,
    )


@pytest.mark.parametrize("parameters", [{}, {"df": 0.4}, {"df": 501.0}, {"df": math.nan}, {"shape": 4.0}])
def test_parameters_that_no_fit_has_are_refused_by_name(parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"df: expected a number from 0\.5 to 500\.0, was"):
        METHOD.estimate_with(Fit.of(parameters), noise(300), LEVELS)


def test_a_start_without_degrees_of_freedom_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"df: expected a number from 0\.5 to 500\.0, was nan"):
        METHOD.fit(noise(300), {"shape": 0.2})


# where there is no fit


def test_a_book_of_cash_loses_nothing_and_has_no_shape() -> None:
    cash = np.zeros(500)
    assert METHOD.fit(cash)[:2] == ("zero_variance", "P&L without spread has no shape")
    estimate = METHOD.estimate(cash, LEVELS)
    assert (estimate.status, estimate.var, estimate.es) == ("ok", (0.0,) * 4, (0.0,) * 4)
    assert estimate.parameters == {"df": 500.0, "loc": 0.0, "scale": 0.0}


def test_a_book_of_cash_that_was_bought_into_has_no_figures_before_it_is_fitted() -> None:
    estimate = METHOD.estimate_with(METHOD.fit(np.zeros(500)), noise(500), LEVELS)
    assert (estimate.status, estimate.reason) == ("zero_variance", "P&L without spread has no shape")


@pytest.mark.parametrize(
    ("idle", "reason"),
    [
        (300, None),
        (333, "the likelihood still rises at df = 0.5"),
        (334, "334 or more of 1000 observations are equal: the likelihood has no maximum"),
        (700, "334 or more of 1000 observations are equal: the likelihood has no maximum"),
    ],
)
def test_a_third_of_equal_observations_leaves_the_likelihood_without_a_maximum(idle: int, reason: str | None) -> None:
    pnl = noise(1_000)
    pnl[:idle] = 0.0
    fit = METHOD.fit(pnl)
    assert (fit.status, fit.reason) == ("degraded" if reason else "ok", reason)


def test_a_known_shape_bears_more_equal_observations_than_a_fit_does() -> None:
    pnl = noise(252)
    pnl[:150] = 0.0
    assert METHOD.estimate_with(Fit.of({"df": 4.0}), pnl, LEVELS).status == "ok"  # up to 4/5 of them
    pnl[:210] = 0.0
    estimate = METHOD.estimate_with(Fit.of({"df": 4.0}), pnl, LEVELS)
    assert estimate.status == "degraded"
    assert estimate.reason == "202 or more of 252 observations are equal: the likelihood has no maximum"


def test_tails_heavier_than_any_market_has_are_not_measured() -> None:
    pnl = np.sign(noise(500)) * np.exp(5.0 * np.random.default_rng(5).standard_normal(500))
    assert METHOD.fit(pnl)[:2] == ("degraded", "the likelihood still rises at df = 0.5")


def test_one_bad_tick_makes_the_tail_heavy_and_leaves_the_location_where_it_was() -> None:
    pnl = noise(252)
    clean = METHOD.estimate(pnl, LEVELS).parameters
    pnl[-1] = 1e4
    spoilt = METHOD.estimate(pnl, LEVELS).parameters
    assert 1.0 < spoilt["df"] < 2.0 < clean["df"]
    assert spoilt["loc"] == pytest.approx(clean["loc"], abs=0.1 * clean["scale"])
    assert spoilt["scale"] == pytest.approx(clean["scale"], rel=0.3)
