"""Monte Carlo: what is drawn has the moments, the tails and the bits that it must have."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import stdtrit

from tailstream.quant.covariance import ledoit_wolf
from tailstream.quant.var.degrees import LARGEST, SMALLEST
from tailstream.quant.var.monte_carlo import DRAWS, MonteCarlo, MonteCarloT, log_likelihood
from tailstream.quant.var.normal import Normal

from .cases import LEVELS, noise
from .stock_windows import references, up_to
from .test_covariance import standardised

pytestmark = pytest.mark.filterwarnings("error")

SEED = 7
BOTH = pytest.mark.parametrize("method", [MonteCarlo(), MonteCarloT()], ids=lambda method: method.id)


def elliptical(instruments: int, periods: int, df: float, seed: int = 5) -> np.ndarray:
    """Returns of a multivariate t whose instruments correlate by 0.4, with different volatilities."""
    random = np.random.default_rng(seed)
    together = np.sqrt(0.4) * random.standard_normal(periods)
    moves = together + np.sqrt(0.6) * random.standard_normal((instruments, periods))
    sizes = np.linspace(0.005, 0.03, instruments)[:, None]
    return 0.0005 + sizes * moves * np.sqrt(df / random.chisquare(df, periods))


# the fit


@pytest.mark.parametrize("row", references("t_df"), ids=lambda row: row["date"])
def test_df_is_that_of_scipy(row: dict[str, str]) -> None:
    simulation = MonteCarloT().simulate(up_to(row["date"]), SEED)
    assert simulation.parameters["df"] == pytest.approx(float(row["value"]), rel=1e-6)


@pytest.mark.parametrize("row", references("t_log_likelihood"), ids=lambda row: row["date"])
def test_the_likelihood_is_at_least_that_of_scipy(row: dict[str, str]) -> None:
    returns, theirs = up_to(row["date"]), float(row["value"])
    df = MonteCarloT().simulate(returns, SEED).parameters["df"]
    assert log_likelihood(df, standardised(returns) ** 2) >= theirs - 1e-9 * abs(theirs)


@pytest.mark.parametrize("instruments", [1, 5, 300])
def test_df_is_found_again_with_more_instruments_than_periods_too(instruments: int) -> None:
    returns = elliptical(instruments, 250 if instruments == 300 else 4_000, df=6.0)
    assert MonteCarloT().simulate(returns, SEED).parameters["df"] == pytest.approx(6.0, rel=0.35)


@pytest.mark.parametrize(("tails", "bound"), [(np.tanh, LARGEST), (lambda x: x**9, SMALLEST)])
def test_tails_that_no_t_has_end_at_a_bound(tails, bound: float) -> None:
    returns = 0.01 * tails(np.random.default_rng(5).standard_normal((3, 500)))
    assert MonteCarloT().simulate(returns, SEED).parameters["df"] == bound


@pytest.mark.parametrize("fitted", [{"shrinkage": 0.1}, {"df": 2.0}, {"df": 201.0}, {"df": np.nan}])
def test_fitted_parameters_that_are_no_t_are_refused_by_name(fitted: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"df: expected a number from 2.1 to 200.0, was"):
        MonteCarloT().simulate(elliptical(2, 300, 6.0), SEED, fitted)


def test_with_fitted_parameters_nothing_is_fitted() -> None:
    returns = elliptical(2, 300, 6.0)
    assert MonteCarloT().simulate(returns, SEED, {"df": 17.0}).parameters["df"] == 17.0


# the draws


@BOTH
def test_draws_are_antithetic_and_their_mean_is_the_means(method: MonteCarlo) -> None:
    returns = elliptical(4, 500, 6.0)
    drawn = method.simulate(returns, SEED).returns
    centre = returns.mean(axis=1, keepdims=True)
    assert drawn.shape == (4, DRAWS)
    assert drawn[:, : DRAWS // 2] - centre == pytest.approx(centre - drawn[:, DRAWS // 2 :], abs=1e-15)


@pytest.mark.parametrize("method", [MonteCarlo(), MonteCarloT()], ids=lambda method: method.id)
def test_t_draws_are_scaled_to_the_deviation_and_not_by_it(method: MonteCarlo) -> None:
    """A t scaled by sd has a deviation of `sd sqrt(df / (df - 2))`: 22 % more at 6 degrees of freedom."""
    returns = elliptical(5, 500, 6.0)
    drawn = method.simulate(returns, SEED, {"df": 6.0}).returns
    assert drawn.std(axis=1) == pytest.approx(returns.std(axis=1, ddof=1), rel=0.05)


@pytest.mark.parametrize("df", [3.0, 6.0, 30.0])
def test_t_draws_have_the_quantiles_of_a_t_with_the_deviation_of_the_sample(df: float) -> None:
    returns = elliptical(1, 500, 6.0)
    simulation = MonteCarloT().simulate(returns, SEED, {"df": df})
    found = MonteCarloT().estimate_simulated(simulation, simulation.returns[0], LEVELS)
    scale = returns.std(ddof=1) * np.sqrt((df - 2.0) / df)
    expected = [-(returns.mean() + scale * stdtrit(df, 1.0 - level)) for level in LEVELS]
    assert found.var == pytest.approx(expected, rel=0.06)


def test_the_normal_of_one_instrument_is_the_closed_form_but_for_noise() -> None:
    for pnl in (noise(500), 1e9 * noise(700, seed=8)):
        closed, drawn = Normal().estimate(pnl, LEVELS), MonteCarlo().estimate(pnl, LEVELS)
        sigma = closed.parameters["sigma"]
        # the standard error of the 99.5 % quantile of 10,000 draws is 0.049 deviations
        assert drawn.var == pytest.approx(closed.var, abs=0.15 * sigma)
        assert drawn.es == pytest.approx(closed.es, abs=0.15 * sigma)
        assert drawn.var != closed.var


def test_a_linear_book_loses_what_the_normal_with_the_shrunk_covariance_says_but_for_noise() -> None:
    returns, exposures = up_to("2008-12-31"), np.array([1e6, -5e5, 2e6, 0.0, 1e6])
    simulation = MonteCarlo().simulate(returns, SEED)
    sizes = returns.std(axis=1, ddof=1)
    correlation, shrinkage = ledoit_wolf(standardised(returns))
    assert simulation.parameters == {"draws": 10_000.0, "shrinkage": shrinkage}
    sigma = np.sqrt(exposures @ (correlation * np.outer(sizes, sizes)) @ exposures)
    found = MonteCarlo().estimate_simulated(simulation, exposures @ simulation.returns, (0.99,))
    assert found.var[0] == pytest.approx(2.3263 * sigma - exposures @ returns.mean(axis=1), abs=0.12 * sigma)


def test_an_instrument_keeps_its_own_variance_beside_wilder_ones() -> None:
    """Shrinking the covariance of returns themselves would give a quiet instrument some of the others' variance."""
    returns = elliptical(6, 300, 6.0)
    returns[0] *= 1e-3
    drawn = MonteCarlo().simulate(returns, SEED).returns
    assert drawn[0].std() == pytest.approx(returns[0].std(ddof=1), rel=0.03)


def test_correlations_are_found_again_in_the_draws() -> None:
    returns = elliptical(5, 2_000, 8.0)
    correlation, _ = ledoit_wolf(standardised(returns))
    for method in (MonteCarlo(), MonteCarloT()):
        assert np.corrcoef(method.simulate(returns, SEED).returns) == pytest.approx(correlation, abs=0.08)


def test_large_losses_come_together_more_often_under_the_t() -> None:
    returns = elliptical(2, 1_000, 3.0)

    def together(method: MonteCarlo) -> float:
        drawn = method.simulate(returns, SEED).returns
        return float((drawn < np.quantile(drawn, 0.01, axis=1, keepdims=True)).all(axis=0).mean())

    assert together(MonteCarloT()) > 1.3 * together(MonteCarlo())


# where there is no inverse


@BOTH
def test_what_stands_still_gains_its_mean_in_every_scenario(method: MonteCarlo) -> None:
    moving = elliptical(2, 300, 6.0)
    drawn = method.simulate(np.array([moving[0], np.full(300, 0.001), np.zeros(300), moving[1]]), SEED).returns
    assert drawn[1] == pytest.approx(np.full(DRAWS, 0.001), rel=1e-12)
    assert (drawn[2] == 0.0).all()
    assert (drawn[[0, 3]] == method.simulate(moving, SEED).returns).all()


@BOTH
def test_doubles_are_drawn_with_the_shrunk_correlation(method: MonteCarlo) -> None:
    moves = elliptical(1, 500, 6.0)[0]
    simulation = method.simulate(np.array([moves, moves, -2.0 * moves]), SEED)
    kept = 1.0 - simulation.parameters["shrinkage"]
    expected = np.array([[1.0, kept, -kept], [kept, 1.0, -kept], [-kept, -kept, 1.0]])
    assert np.corrcoef(simulation.returns) == pytest.approx(expected, abs=0.01)


@BOTH
def test_more_instruments_than_periods_are_drawn_as_well(method: MonteCarlo) -> None:
    simulation = method.simulate(elliptical(300, 250, 6.0), SEED)
    assert simulation.status == "ok"
    assert np.isfinite(simulation.returns).all()
    assert 0.0 < simulation.parameters["shrinkage"] < 0.5


@BOTH
def test_no_instruments_have_scenarios_too(method: MonteCarlo) -> None:
    simulation = method.simulate(np.empty((0, 300)), SEED)
    assert simulation.returns.shape == (0, DRAWS)


@BOTH
def test_a_minimum_that_has_no_deviation_is_refused(method: MonteCarlo) -> None:
    with pytest.raises(ValueError, match="minimum_observations: expected at least 2, was 1"):
        type(method)(1)


# determinism


DIGESTS = """
import hashlib
from tailstream.quant.var.copula import Copula
from tailstream.quant.var.monte_carlo import MonteCarlo, MonteCarloT
from tests.quant.test_monte_carlo import elliptical

for method in (MonteCarlo(), MonteCarloT(), Copula()):
    print(hashlib.sha256(method.simulate(elliptical(120, 260, 6.0), 7).returns.tobytes()).hexdigest())
"""


def test_many_instruments_have_the_same_bits_with_any_number_of_threads() -> None:
    def said(threads: str) -> str:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-c", DIGESTS]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    alone = said("1")
    here = MonteCarlo().simulate(elliptical(120, 260, 6.0), SEED).returns
    assert alone.split()[0] == hashlib.sha256(here.tobytes()).hexdigest()
    assert said("2") == alone


def test_another_seed_gives_figures_that_differ_by_noise_alone() -> None:
    returns = elliptical(3, 500, 6.0)
    found = []
    for seed in range(5):
        simulation = MonteCarlo().simulate(returns, seed)
        found += MonteCarlo().estimate_simulated(simulation, simulation.returns.sum(axis=0), (0.99,)).var
    assert len(set(found)) == 5
    assert np.std(found) < 0.05 * np.mean(found)
