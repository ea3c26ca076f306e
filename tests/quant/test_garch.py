import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy import integrate, stats

from tailstream.quant.arrays import Floats
from tailstream.quant.var import Fit
from tailstream.quant.var.garch import Garch
from tailstream.quant.var.garch_likelihood import GarchLikelihood, backcast, variances
from tailstream.quant.var.garch_start import hills
from tailstream.testing.fitted_method import FittedMethodKit

from .cases import LEVELS, noise
from .market_series import ELECTRIC, INDEX, SERIES, returns_of

pytestmark = pytest.mark.filterwarnings("error")

METHOD = Garch()
SHAPE = {"omega_ratio": 0.05, "alpha": 0.1, "beta": 0.85, "df": 5.0, "mu_ratio": 0.02}
TWO_MAXIMA = "General Electric, 1000 days with two maxima"

with (Path(__file__).parent / "references" / "garch.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))


class TestGarchKit(FittedMethodKit):
    method: ClassVar[Garch] = METHOD


def theirs(series: str) -> dict[str, float]:
    return {row["figure"]: float(row["value"]) for row in ROWS if row["series"] == series}


def by_hand(pnl: Floats, process: Mapping[str, float]) -> tuple[float, float]:
    """The log-likelihood and the standard deviation of the next day, the variances one by one."""
    weights = [0.94**i for i in range(min(75, pnl.size))]
    away = pnl - pnl.mean()
    square = h = sum(w * x * x for w, x in zip(weights, away, strict=False)) / sum(weights)
    variance = []
    for x in pnl.tolist():
        h = process["omega"] + process["alpha"] * square + process["beta"] * h
        variance.append(h)
        square = (x - process["mu"]) ** 2
    scale = np.sqrt((process["df"] - 2) / process["df"] * np.array(variance))
    likelihood = float(np.sum(stats.t.logpdf(pnl, process["df"], process["mu"], scale)))
    return likelihood, math.sqrt(process["omega"] + process["alpha"] * square + process["beta"] * h)


def shape_of(process: Mapping[str, float], pnl: Floats) -> dict[str, float]:
    """A process in the unit of the P&L as the shape that a fit holds."""
    ratios = {"omega_ratio": process["omega"] / pnl.var(), "mu_ratio": (process["mu"] - pnl.mean()) / pnl.std()}
    return ratios | {name: process[name] for name in ("alpha", "beta", "df")}


# figures


def test_the_variance_by_hand() -> None:
    residuals = np.array([1.0, -2.0, 0.0])
    assert variances(residuals, 0.1, 0.2, 0.5, 4.0) == pytest.approx([2.9, 1.75, 1.775, 0.9875])


def test_before_the_first_day_the_newer_of_its_squares_count_less() -> None:
    assert backcast(np.array([1.0, -2.0])) == pytest.approx((1.0 + 0.94 * 4.0) / 1.94)
    assert backcast(np.concatenate([np.ones(75), np.full(500, 9.0)])) == pytest.approx(1.0)


def test_the_figures_of_a_known_shape_are_those_of_the_recursion_day_by_day() -> None:
    pnl = noise(300)
    estimate = METHOD.estimate_with(Fit.of(SHAPE), pnl, (0.99,))
    process = estimate.parameters
    assert process["omega"] == pytest.approx(0.05 * pnl.var())
    assert process["mu"] == pytest.approx(pnl.mean() + 0.02 * pnl.std())
    assert process["sigma_next"] == pytest.approx(by_hand(pnl, process)[1])
    q = stats.t.ppf(0.01, 5.0) * math.sqrt(3 / 5)
    assert estimate.var[0] == pytest.approx(-(process["mu"] + process["sigma_next"] * q))


@pytest.mark.parametrize("level", LEVELS)
def test_es_is_the_integral_of_the_tail_and_no_mean_below_a_quantile(level: float) -> None:
    estimate = METHOD.estimate_with(Fit.of(SHAPE), noise(300), (level,))
    mu, scale = estimate.parameters["mu"], estimate.parameters["sigma_next"] * math.sqrt(3 / 5)
    below = -(estimate.var[0] or 0.0)
    tail = integrate.quad(lambda x: x * stats.t.pdf(x, 5.0, mu, scale), -np.inf, below, epsabs=1e-12)[0]
    assert estimate.es[0] == pytest.approx(-tail / (1 - level), rel=1e-5)


def test_the_quantile_is_that_of_innovations_with_variance_one() -> None:
    """The naive fault: the usual t quantile times sigma is too large by sqrt(df / (df - 2))."""
    estimate = METHOD.estimate_with(Fit.of(SHAPE), noise(300), (0.99,))
    mu, sigma = estimate.parameters["mu"], estimate.parameters["sigma_next"]
    naive = -(mu + sigma * stats.t.ppf(0.01, 5.0))
    assert (naive + mu) / ((estimate.var[0] or 0.0) + mu) == pytest.approx(math.sqrt(5 / 3))


def test_a_wild_last_day_widens_the_next_one_and_the_same_day_long_ago_does_not() -> None:
    calm = noise(500)
    late, early = calm.copy(), calm.copy()
    late[-1], early[0] = -0.08, -0.08
    after_late, after_early = (METHOD.estimate_with(Fit.of(SHAPE), pnl, (0.99,)).var[0] or 0.0 for pnl in (late, early))
    assert after_late > 1.5 * after_early


# the maximum


@pytest.mark.parametrize("series", SERIES)
def test_no_likelihood_is_below_that_of_another_package(series: str) -> None:
    pnl, peer = 100.0 * SERIES[series], theirs(series)["log_likelihood"]
    ours = by_hand(pnl, METHOD.estimate(pnl, LEVELS).parameters)[0]
    assert ours >= peer - 1e-9 * abs(peer)


@pytest.mark.parametrize("series", [name for name in SERIES if theirs(name)["beta"] < 0.99])
def test_at_the_parameters_of_another_package_its_likelihood_and_figures_come_out(series: str) -> None:
    pnl, peer = 100.0 * SERIES[series], theirs(series)
    process = peer | {"beta": min(peer["beta"], 1.0 - 1e-12 - peer["alpha"])}  # it allows for a sum of 1
    assert by_hand(pnl, process)[0] == pytest.approx(peer["log_likelihood"], rel=1e-9)
    estimate = METHOD.estimate_with(Fit.of(shape_of(process, pnl)), pnl, (0.99, 0.975))
    assert estimate.parameters["sigma_next"] == pytest.approx(peer["sigma_next"], rel=1e-8)
    assert (estimate.var[0], estimate.es[1]) == pytest.approx((peer["var_0.99"], peer["es_0.975"]), rel=1e-8)


@pytest.mark.parametrize("series", [name for name in SERIES if name.startswith("S&P 500")])
def test_on_the_index_the_figures_agree_with_another_package_as_far_as_that_converged(series: str) -> None:
    estimate, peer = METHOD.estimate(100.0 * SERIES[series], (0.99, 0.975)), theirs(series)
    assert (estimate.var[0], estimate.es[1]) == pytest.approx((peer["var_0.99"], peer["es_0.975"]), rel=2e-4)


def test_of_two_maxima_the_higher_one_is_found_where_one_start_ends_at_the_other() -> None:
    pnl, peer = 100.0 * SERIES[TWO_MAXIMA], theirs(TWO_MAXIMA)
    estimate = METHOD.estimate(pnl, (0.99,))
    assert by_hand(pnl, estimate.parameters)[0] > peer["log_likelihood"] + 0.28
    assert estimate.var[0] == pytest.approx(1.247 * peer["var_0.99"], rel=1e-3)
    from_the_other = METHOD.fit(pnl, shape_of(peer, pnl))
    assert METHOD.estimate_with(from_the_other, pnl, (0.99,)).var == pytest.approx(estimate.var, rel=1e-8)


def test_a_variance_that_only_drifts_is_found_beside_one_that_clusters_a_little_less_likely() -> None:
    pnl = returns_of("sp500_stocks.csv.gz", "PEP")[4882:5382]
    estimate = METHOD.estimate(pnl, LEVELS)
    drifts, clusters = estimate.parameters, {"alpha": 0.01177, "beta": 0.9698, "df": 5.146}
    assert drifts["alpha"] == 0.0
    assert drifts["beta"] == pytest.approx(0.98887, abs=1e-5)
    other = METHOD.estimate_with(Fit.of(clusters | {"omega_ratio": 0.01461, "mu_ratio": -0.0295}), pnl, LEVELS)
    assert 0.02 < by_hand(pnl, drifts)[0] - by_hand(pnl, other.parameters)[0] < 0.04
    started = METHOD.estimate_with(METHOD.fit(pnl, shape_of(other.parameters, pnl)), pnl, LEVELS)
    assert started.var + started.es == pytest.approx(estimate.var + estimate.es, rel=1e-6)


@pytest.mark.parametrize(
    ("stock", "days", "former"),
    [
        ("BBY", slice(5_280, 6_280), (0.00643, 0.0, 0.99401, 3.3034, 0.00894)),
        ("WMT", slice(4_360, 4_860), (0.00311, 0.0, 0.999999, 3.2397, -0.00961)),
        ("JNJ", slice(3_160, 4_160), (0.00138, 0.00958, 0.98593, 5.3582, -0.02045)),
        ("AAPL", slice(6_440, 6_940), (0.05596, 0.16594, 0.83296, 3.0809, 0.01314)),
        ("LLY", slice(1_040, 1_540), (0.24084, 0.12271, 0.64135, 4.1069, -0.01702)),
    ],
)
def test_no_former_fit_hides_a_hill(stock: str, days: slice, former: Sequence[float]) -> None:
    """Where the hills were looked for with the df of the peak beside it, BBY had 1.37 of its VaR at 99 %, WMT 1.42."""
    pnl = returns_of("sp500_stocks.csv.gz", stock)[days]
    start = dict(zip(SHAPE, former, strict=True))
    alone, started = METHOD.estimate(pnl, LEVELS), METHOD.estimate_with(METHOD.fit(pnl, start), pnl, LEVELS)
    assert started.var + started.es == pytest.approx(alone.var + alone.es, rel=1e-6)


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.999), (0.05, 0.5), (0.9, 0.05)])
def test_any_start_arrives_at_the_same_figures(series: str, alpha: float, beta: float) -> None:
    pnl = SERIES[series][-1_000:]
    start = {"omega_ratio": 1.0 - alpha - beta, "alpha": alpha, "beta": beta, "df": 4.0, "mu_ratio": 0.0}
    alone, started = METHOD.estimate(pnl, LEVELS), METHOD.estimate_with(METHOD.fit(pnl, start), pnl, LEVELS)
    assert started.var + started.es == pytest.approx(alone.var + alone.es, rel=1e-6)


@pytest.mark.parametrize(("returns", "first"), [(INDEX, 4_300), (ELECTRIC, 2_000)], ids=["index", "electric"])
def test_a_chain_of_fits_each_starting_from_the_day_before_has_the_figures_of_each_day_alone(
    returns: Floats, first: int
) -> None:
    former = None
    for day in range(first, first + 30):
        pnl = returns[day : day + 500]
        former = METHOD.fit(pnl, former.parameters if former else None)
        alone, chained = METHOD.estimate(pnl, LEVELS), METHOD.estimate_with(former, pnl, LEVELS)
        assert chained.var + chained.es == pytest.approx(alone.var + alone.es, rel=1e-6)


@pytest.mark.parametrize(
    "at",
    [(0.1, 0.2, 0.7, 0.2, 0.15), (-0.05, 0.02, 0.98, 0.05, 0.3), (0.0, 0.5, 0.5, 0.0, 0.01), (0.0, 0.6, 0.4, 1.0, 0.4)],
)
def test_gradient_and_hessian_are_the_differences_of_value_and_gradient(at: Sequence[float]) -> None:
    values = noise(200)
    likelihood, step = GarchLikelihood.of((values - values.mean()) / values.std()), 1e-6
    slope = likelihood(at)
    for i in range(5):
        up, down = (likelihood([x + sign * step * (j == i) for j, x in enumerate(at)]) for sign in (1.0, -1.0))
        assert slope.gradient[i] == pytest.approx((up.value - down.value) / (2 * step), rel=1e-5, abs=1e-3)
        for j in range(i + 1):
            difference = (up.gradient[j] - down.gradient[j]) / (2 * step)
            assert slope.hessian[i][j] == pytest.approx(difference, rel=1e-5, abs=1e-3)


def test_the_hills_along_beta_are_those_that_the_likelihood_has() -> None:
    pnl = SERIES[TWO_MAXIMA]
    likelihood = GarchLikelihood.of((pnl - pnl.mean()) / pnl.std())
    found = hills(likelihood, 0.0)
    assert sorted(hill.beta for hill in found if hill.beta > 0.5) == [0.83, 0.987]
    for hill in found:
        persistence = hill.alpha + hill.beta
        share = hill.alpha / persistence if persistence else 0.0
        there = likelihood((0.0, hill.omega, persistence, share, hill.inverse_df))
        assert there.value == pytest.approx(hill.height, abs=1e-6)


# a shape and a book


def test_a_book_that_was_turned_over_has_its_own_mean_and_variance_and_the_shape_of_before() -> None:
    fit, pnl = METHOD.fit(noise(500)), noise(500, seed=3)
    before, after = (METHOD.estimate_with(fit, book, LEVELS).parameters for book in (pnl, 7.0 + 3e6 * pnl))
    assert after["sigma_next"] == pytest.approx(3e6 * before["sigma_next"])
    assert after["mu"] == pytest.approx(7.0 + 3e6 * before["mu"])
    assert (after["alpha"], after["beta"], after["df"]) == (before["alpha"], before["beta"], before["df"])


@pytest.mark.parametrize(
    ("name", "number"),
    [("omega_ratio", 0.0), ("alpha", -0.1), ("beta", 1.1), ("df", 2.0), ("df", 501.0), ("mu_ratio", math.nan)],
)
def test_parameters_that_no_fit_has_are_refused_by_name(name: str, number: float) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected a number from .* to .*, was {number}$"):
        METHOD.estimate_with(Fit.of(SHAPE | {name: number}), noise(300), LEVELS)
    with pytest.raises(ValueError, match=f"^{name}: expected a number from .* to .*, was {number}$"):
        METHOD.fit(noise(300), SHAPE | {name: number})


def test_a_missing_parameter_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^df: expected a number from .* was nan$"):
        METHOD.fit(noise(300), {name: number for name, number in SHAPE.items() if name != "df"})


def test_a_variance_that_would_grow_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^alpha, beta: expected a sum below 1, was 1\.05$"):
        METHOD.estimate_with(Fit.of(SHAPE | {"alpha": 0.2}), noise(300), LEVELS)


# where there is no fit


def test_a_book_of_cash_loses_nothing_and_has_no_shape() -> None:
    cash = np.zeros(500)
    assert METHOD.fit(cash)[:2] == ("zero_variance", "P&L without spread has no shape")
    estimate = METHOD.estimate(cash, LEVELS)
    assert (estimate.status, estimate.var, estimate.es) == ("ok", (0.0,) * 4, (0.0,) * 4)
    assert (estimate.parameters["sigma_next"], estimate.parameters["mu"]) == (0.0, 0.0)


def test_a_book_of_cash_that_was_bought_into_has_no_figures_before_it_is_fitted() -> None:
    estimate = METHOD.estimate_with(METHOD.fit(np.zeros(500)), noise(500), LEVELS)
    assert (estimate.status, estimate.reason) == ("zero_variance", "P&L without spread has no shape")


@pytest.mark.parametrize("index", [0, 120])
def test_a_bad_tick_leaves_tails_without_a_variance_which_are_not_measured(index: int) -> None:
    pnl = noise(252)
    pnl[index] = 1e4
    assert METHOD.fit(pnl)[:2] == ("degraded", "the likelihood still rises at df = 2.05: the tails have no variance")


def test_noise_without_clusters_has_nearly_the_variance_of_all_days() -> None:
    estimate = METHOD.estimate(SERIES["normal"], LEVELS)
    assert estimate.parameters["sigma_next"] == pytest.approx(SERIES["normal"].std(), rel=0.05)


@pytest.mark.parametrize(
    "pnl",
    [
        np.where(np.arange(300) % 2, 1.0, -1.0),
        np.linspace(-1.0, 1.0, 300),
        np.concatenate([np.zeros(299), [-5.0]]),
        np.concatenate([noise(150), np.zeros(150)]),
        np.concatenate([1e-6 * noise(150), noise(150)]),
        noise(300) * np.exp(np.linspace(10.0, -10.0, 300)),
        np.random.default_rng(2).standard_cauchy(300) ** 3,
        np.random.default_rng(2).choice([-1.0, 0.0, 1.0], 300),
    ],
    ids=["alternating", "a trend", "one loss", "then nothing", "from calm to wild", "fading", "wild", "three values"],
)
def test_odd_series_are_measured_or_there_is_a_reason_why_not(pnl: Floats) -> None:
    estimate = METHOD.estimate(pnl, LEVELS)
    if estimate.status == "ok":
        assert all(math.isfinite(figure or math.nan) for figure in (*estimate.var, *estimate.es))
    else:
        assert (estimate.status, bool(estimate.reason)) == ("degraded", True)
