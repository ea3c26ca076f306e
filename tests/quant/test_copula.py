"""Copulas: margins by hand, the likelihood against other packages, and dependence that is found again."""

import numpy as np
import pytest
from scipy.special import ndtri

from tailstream.quant.covariance import kendall
from tailstream.quant.var.copula import DRAWS, KENDALL_INSTRUMENTS_MAX, Copula, CopulaGaussian, rank_correlation
from tailstream.quant.var.copula_likelihood import copula_likelihood
from tailstream.quant.var.degrees import LARGEST
from tailstream.quant.var.margins import margin_quantiles
from tailstream.quant.var.pareto import Pareto, probability_weighted, quantile

from .cases import LEVELS, noise
from .stock_windows import references, up_to
from .test_monte_carlo import elliptical

pytestmark = pytest.mark.filterwarnings("error")

SEED = 7
MIDPOINTS = (np.arange(DRAWS) + 0.5) / DRAWS
BOTH = pytest.mark.parametrize("method", [Copula(), CopulaGaussian()], ids=lambda method: method.id)


# margins


def test_between_the_thresholds_a_margin_is_its_interpolated_history() -> None:
    returns = np.random.default_rng(3).permutation(np.arange(101.0) ** 2)
    probabilities = np.array([0.1, 0.25, 0.5, 0.505, 0.8, 0.9])
    assert margin_quantiles(returns, probabilities) == pytest.approx(np.quantile(returns, probabilities))


def test_beyond_a_threshold_a_margin_is_a_pareto_tail_with_the_weight_of_what_lies_there() -> None:
    returns = noise(1_000)
    threshold = np.quantile(returns, 0.9)
    excesses = returns[returns > threshold] - threshold
    assert excesses.size == 100
    expected = threshold + quantile(probability_weighted(excesses), np.array([0.5, 0.1, 0.01]))
    assert margin_quantiles(returns, np.array([0.95, 0.99, 0.999])) == pytest.approx(expected)


def test_the_lower_tail_is_the_upper_one_of_the_mirror() -> None:
    for returns in (noise(1_000), np.round(noise(300), 2), noise(251)):
        mirrored = -margin_quantiles(-returns, 1.0 - MIDPOINTS[::-1])[::-1]
        assert margin_quantiles(returns, MIDPOINTS) == pytest.approx(mirrored, rel=1e-9, abs=1e-15)


def test_a_tail_of_pareto_losses_is_found_again() -> None:
    losses = quantile(Pareto(0.25, 0.02), (np.arange(2_000) + 0.5) / 2_000)
    found = margin_quantiles(-losses, np.array([0.001, 0.01, 0.05]))
    assert -found == pytest.approx(quantile(Pareto(0.25, 0.02), np.array([0.001, 0.01, 0.05])), rel=0.03)


@pytest.mark.parametrize(
    "returns",
    [noise(250), noise(251), noise(1_000), np.round(noise(1_000), 2), np.exp(noise(500) * 300.0), np.zeros(250)],
)
def test_a_margin_never_falls_from_one_probability_to_the_next(returns: np.ndarray) -> None:
    assert np.diff(margin_quantiles(returns, MIDPOINTS)).min() >= -1e-12 * np.abs(returns).max()


def test_ties_leave_too_few_excesses_and_history_has_that_side() -> None:
    returns = np.concatenate([np.full(60, 1.0), noise(240), [1.5] * 5])
    probabilities = np.array([0.97, 0.985, 0.999])
    assert margin_quantiles(returns, probabilities) == pytest.approx(np.quantile(returns, probabilities))


@pytest.mark.parametrize("size", [101, 251, 501, 1_001, 7_001])
def test_an_observation_at_the_threshold_does_not_exceed_itself(size: int) -> None:
    ascending = np.sort(noise(size))
    tenth = (size - 1) // 10
    threshold, excesses = ascending[-1 - tenth], ascending[-tenth:] - ascending[-1 - tenth]
    expected = threshold + float(quantile(probability_weighted(excesses), 0.01 / (tenth / size)))
    assert margin_quantiles(ascending, np.array([0.99]))[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-6, 1e9])
def test_a_margin_has_the_unit_of_its_instrument(factor: float) -> None:
    plain = margin_quantiles(noise(500), MIDPOINTS)
    assert margin_quantiles(noise(500) * factor, MIDPOINTS) == pytest.approx(plain * factor, rel=1e-9)


# the likelihood


@pytest.mark.parametrize(
    "row",
    references("copula_log_likelihood_3", "copula_log_likelihood_8"),
    ids=lambda row: f"{row['package']} on {row['date']}",
)
def test_the_likelihood_agrees_with_another_package(row: dict[str, str]) -> None:
    returns, df = up_to(row["date"]), float(row["figure"].rsplit("_", 1)[1])
    found = copula_likelihood(returns, rank_correlation(returns), KENDALL_INSTRUMENTS_MAX)(df)
    assert found == pytest.approx(float(row["value"]), rel=1e-9)


@pytest.mark.parametrize("row", references("copula_df"), ids=lambda row: row["date"])
def test_df_is_that_of_scipy(row: dict[str, str]) -> None:
    assert Copula().simulate(up_to(row["date"]), SEED).parameters["df"] == pytest.approx(float(row["value"]), rel=1e-6)


@pytest.mark.parametrize("row", references("copula_log_likelihood"), ids=lambda row: row["date"])
def test_the_largest_likelihood_is_at_least_that_of_scipy(row: dict[str, str]) -> None:
    returns, theirs = up_to(row["date"]), float(row["value"])
    likelihood = copula_likelihood(returns, rank_correlation(returns), KENDALL_INSTRUMENTS_MAX)
    assert likelihood(Copula().simulate(returns, SEED).parameters["df"]) >= theirs - 1e-9 * abs(theirs)


def test_the_likelihood_of_groups_is_that_of_each_group_added() -> None:
    returns = elliptical(4, 400, 5.0)
    correlation = rank_correlation(returns)
    apart = [copula_likelihood(returns[i : i + 2], correlation[i : i + 2, i : i + 2], 2)(5.0) for i in (0, 2)]
    assert copula_likelihood(returns, correlation, 2)(5.0) == pytest.approx(sum(apart))


@pytest.mark.parametrize(("instruments", "periods"), [(2, 4_000), (25, 1_000), (31, 1_000), (300, 250)])
def test_df_is_found_again_however_many_instruments_there_are(instruments: int, periods: int) -> None:
    """The joint likelihood of more instruments than periods ends at 200, as if no losses came together."""
    df = Copula().simulate(elliptical(instruments, periods, df=5.0), SEED).parameters["df"]
    assert df == pytest.approx(5.0, rel=0.35)


def test_without_tail_dependence_df_is_large() -> None:
    together = np.random.default_rng(4).standard_normal(1_000)
    returns = 0.01 * (together + np.random.default_rng(5).standard_normal((10, 1_000)))
    assert Copula().simulate(returns, SEED).parameters["df"] > 50.0


@pytest.mark.parametrize("fitted", [{"correlation": 0.1}, {"df": 2.0}, {"df": np.nan}])
def test_fitted_parameters_that_are_no_t_are_refused_by_name(fitted: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"df: expected a number from 2.1 to 200.0, was"):
        Copula().simulate(elliptical(2, 300, 6.0), SEED, fitted)


def test_with_fitted_parameters_nothing_is_fitted() -> None:
    assert Copula().simulate(elliptical(2, 300, 6.0), SEED, {"df": 17.0}).parameters["df"] == 17.0


# the draws


@BOTH
@pytest.mark.parametrize("instruments", [1, 5, 31])
def test_every_margin_is_met_exactly_whatever_joins_them(method: Copula, instruments: int) -> None:
    returns = elliptical(instruments, 400, 4.0)
    for drawn, past in zip(method.simulate(returns, SEED).returns, returns, strict=True):
        assert (np.sort(drawn) == margin_quantiles(past, MIDPOINTS)).all()


@BOTH
@pytest.mark.parametrize("instruments", [3, 31])
def test_dependence_is_found_again_in_the_draws(method: Copula, instruments: int) -> None:
    returns = elliptical(instruments, 1_000, 5.0)
    returns[1] *= -1.0
    simulation = method.simulate(returns, SEED)
    found = kendall(simulation.returns[:3, ::10])
    assert found == pytest.approx(2.0 / np.pi * np.arcsin(rank_correlation(returns)[:3, :3]), abs=0.05)
    assert found[0, 1] < -0.2


def test_large_losses_come_together_more_often_under_the_t() -> None:
    returns = elliptical(2, 1_000, 3.0)
    joined, gaussian = (method.simulate(returns, SEED).returns for method in (Copula(), CopulaGaussian()))
    assert together_beyond(joined, 0.005) > 1.5 * together_beyond(gaussian, 0.005)


@pytest.mark.parametrize("df", [2.5, 5.0, 20.0])
def test_large_losses_come_together_as_often_as_in_plain_draws_of_a_t(df: float) -> None:
    returns = elliptical(2, 1_000, 3.0)
    rho = rank_correlation(returns)[0, 1]
    random = np.random.default_rng(1)
    shocks = np.linalg.cholesky([[1.0, rho], [rho, 1.0]]) @ random.standard_normal((2, 200_000))
    plain = shocks / np.sqrt(random.chisquare(df, 200_000))
    drawn = Copula().simulate(returns, SEED, {"df": df}).returns
    assert together_beyond(drawn, 0.03) == pytest.approx(together_beyond(plain, 0.03), rel=0.12)


def together_beyond(drawn: np.ndarray, probability: float) -> float:
    return float((drawn < np.quantile(drawn, probability, axis=1, keepdims=True)).all(axis=0).mean())


def test_a_gaussian_copula_of_normal_margins_is_a_normal() -> None:
    together = np.random.default_rng(4).standard_normal(4_000)
    returns = 0.6 * together + 0.8 * np.random.default_rng(5).standard_normal((2, 4_000))
    simulation = CopulaGaussian().simulate(returns, SEED)
    found = CopulaGaussian().estimate_simulated(simulation, simulation.returns.sum(axis=0), LEVELS)
    sigma = returns.sum(axis=0).std()
    assert found.var == pytest.approx([-sigma * ndtri(1.0 - level) for level in LEVELS], abs=0.12 * sigma)


def test_parameters_say_what_was_fitted() -> None:
    returns = elliptical(5, 500, 4.0)
    correlation = rank_correlation(returns)
    mean = correlation[np.triu_indices(5, 1)].mean()
    assert CopulaGaussian().simulate(returns, SEED).parameters == {
        "correlation": pytest.approx(mean),
        "instruments": 5.0,
    }
    assert set(Copula().simulate(returns, SEED).parameters) == {"df", "correlation", "instruments"}


def test_only_the_t_copula_is_a_member_of_the_average_because_the_other_is_nested_in_it() -> None:
    assert (Copula.averaged, CopulaGaussian.averaged) == (True, False)


# one instrument, and none


def test_one_instrument_is_its_margin_alone() -> None:
    estimate = Copula().estimate(noise(500), LEVELS)
    quantiles = margin_quantiles(noise(500), MIDPOINTS)
    assert estimate.var == pytest.approx([-quantiles[round(DRAWS * (1.0 - level))] for level in LEVELS])
    assert estimate.parameters == {"df": LARGEST, "correlation": 0.0, "instruments": 1.0}
    assert CopulaGaussian().estimate(noise(500), LEVELS).var == estimate.var


@BOTH
def test_what_stands_still_joins_nothing(method: Copula) -> None:
    moving = elliptical(2, 300, 6.0)
    simulation = method.simulate(np.array([moving[0], np.full(300, 0.1), np.zeros(300), moving[1]]), SEED)
    alone = method.simulate(moving, SEED)
    assert (simulation.returns[1] == 0.1).all()
    assert (simulation.returns[2] == 0.0).all()
    assert (simulation.returns[[0, 3]] == alone.returns).all()
    assert simulation.parameters == {**alone.parameters, "instruments": 4.0}


@BOTH
def test_a_double_moves_with_its_instrument_and_hedges_it(method: Copula) -> None:
    moves = elliptical(2, 500, 6.0)
    simulation = method.simulate(np.array([moves[0], moves[0], -moves[0], moves[1]]), SEED)
    plain = method.estimate_simulated(simulation, simulation.returns[0], (0.99,)).var[0]
    hedged = method.estimate_simulated(simulation, simulation.returns[0] - simulation.returns[1], (0.99,)).var[0]
    mirrored = method.estimate_simulated(simulation, simulation.returns[0] + simulation.returns[2], (0.99,)).var[0]
    assert hedged == pytest.approx(0.0, abs=0.02 * plain)
    assert mirrored == pytest.approx(0.0, abs=0.02 * plain)


@BOTH
def test_no_instruments_have_scenarios_too(method: Copula) -> None:
    assert method.simulate(np.empty((0, 300)), SEED).returns.shape == (0, DRAWS)


@BOTH
def test_two_periods_are_enough_where_so_few_are_asked_for(method: Copula) -> None:
    simulation = type(method)(2).simulate(np.array([[0.1, -0.1], [0.2, 0.0]]), SEED)
    assert np.isfinite(simulation.returns).all()
    with pytest.raises(ValueError, match="minimum_observations: expected at least 2, was 1"):
        type(method)(1)
