"""Filtered historical simulation: by hand, against pandas, and where an instrument does not move."""

import numpy as np
import pytest

from tailstream.quant.var.filtered import Filtered
from tailstream.quant.var.historical import Historical

from .cases import LEVELS, noise
from .stock_windows import references, up_to

pytestmark = pytest.mark.filterwarnings("error")

SEED = 1


def rescaled(returns: np.ndarray) -> np.ndarray:
    simulation = Filtered(minimum_observations=1).simulate(np.atleast_2d(returns), SEED)
    assert simulation.status == "ok"
    return simulation.returns


def sigma_next(returns: np.ndarray) -> float:
    """From the first scenario, whose volatility is the mean square of the first 20."""
    return float(rescaled(returns)[0, 0] / returns[0, 0] * np.sqrt(np.mean(returns[0, :20] ** 2)))


@pytest.mark.parametrize("row", references("sigma_next"), ids=lambda row: row["date"])
def test_the_volatility_of_tomorrow_agrees_with_pandas(row: dict[str, str]) -> None:
    assert sigma_next(up_to(row["date"])) == pytest.approx(float(row["value"]), rel=1e-12)


@pytest.mark.parametrize("row", references("filtered_return"), ids=lambda row: row["date"])
def test_a_scenario_agrees_with_pandas(row: dict[str, str]) -> None:
    assert rescaled(up_to(row["date"]))[1, 250] == pytest.approx(float(row["value"]), rel=1e-12)


@pytest.mark.parametrize("row", references("filtered_var_0.99"), ids=lambda row: row["date"])
def test_var_agrees_with_pandas_and_numpy(row: dict[str, str]) -> None:
    assert Filtered().estimate(up_to(row["date"])[2], (0.99,)).var[0] == pytest.approx(float(row["value"]), rel=1e-12)


def test_scenarios_by_hand() -> None:
    found = Filtered(minimum_observations=1, decay=0.5).simulate(np.array([[0.1, -0.2]]), SEED)
    # mean square 0.025, then 0.5 * 0.025 + 0.5 * 0.01 = 0.0175, then 0.5 * 0.0175 + 0.5 * 0.04 = 0.02875
    assert found.returns == pytest.approx(
        np.array([[0.1 * (0.02875 / 0.025) ** 0.5, -0.2 * (0.02875 / 0.0175) ** 0.5]])
    )
    assert found.parameters == {"decay": 0.5}


def test_a_return_does_not_tell_its_own_volatility_or_an_earlier_one() -> None:
    returns = noise(300)
    before = rescaled(returns)[0]
    returns[200] *= 3.0
    after = rescaled(returns)[0]
    assert after[:200] / after[0] == pytest.approx(before[:200] / before[0], rel=1e-12)
    assert after[200] / after[0] == pytest.approx(3.0 * before[200] / before[0], rel=1e-12)


def test_a_market_that_grew_wild_is_worse_than_its_history_and_one_that_grew_calm_better() -> None:
    wild = np.concatenate([noise(400), 4.0 * noise(100, seed=8)])
    plain = Historical().estimate(wild, LEVELS)
    assert Filtered().estimate(wild, LEVELS).var[2] > 1.3 * plain.var[2]
    assert Filtered().estimate(wild[::-1], LEVELS).var[2] < 0.5 * plain.var[2]


def test_where_volatility_never_changed_history_stays_as_it_is() -> None:
    steady = np.where(np.arange(300) % 2 == 0, 0.01, -0.01)
    assert rescaled(steady)[0] == pytest.approx(steady, rel=1e-12)


def test_an_instrument_that_never_moved_stays_still_beside_those_that_do() -> None:
    returns = np.array([noise(300), np.zeros(300), np.full(300, 0.001)])
    found = rescaled(returns)
    assert (found[1] == 0.0).all()
    assert found[2] == pytest.approx(returns[2], rel=1e-12)


def test_a_first_move_has_no_volatility_before_it_and_stays_as_it_is() -> None:
    returns = np.zeros(300)
    returns[100:] = noise(200)
    found = rescaled(returns)[0]
    assert found[100] == returns[100]
    assert found[101] != returns[101]
    assert np.isfinite(found).all()


def test_a_bad_tick_in_one_instrument_is_its_own() -> None:
    returns = np.array([noise(300), noise(300, seed=8)])
    before = rescaled(returns)[0].copy()
    returns[1, 150] = 1e4
    assert (rescaled(returns)[0] == before).all()


def test_an_instrument_has_the_same_bits_alone_as_among_others() -> None:
    returns = np.random.default_rng(3).standard_t(4, (40, 300))
    together = rescaled(returns)
    for row, alone in zip(together, returns, strict=True):
        assert (rescaled(alone)[0] == row).all()


def test_what_cannot_be_rescaled_says_why() -> None:
    few = Filtered().simulate(np.ones((3, 249)), SEED)
    assert few[:3] == ("insufficient", "needs 250 observations, has 249", {})
    assert few.returns.shape == (3, 0)
    returns = np.ones((3, 250))
    returns[1, [3, 7]] = np.nan
    assert Filtered().simulate(returns, SEED)[:2] == ("undefined", "2 of 750 observations are not finite amounts")


@pytest.mark.parametrize("before", [1e-162, 1e-160, 1e-100, 1e-13])
def test_moves_that_are_nothing_beside_later_ones_are_no_volatility_to_divide_by(before: float) -> None:
    returns = np.concatenate([np.full(100, before), np.full(200, 1.0)])
    assert rescaled(returns)[0, 100] == 1.0
    assert np.abs(rescaled(returns)).max() < 10.0


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, np.nan])
def test_a_decay_that_weights_nothing_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="decay: expected a factor strictly between 0 and 1"):
        Filtered(decay=decay)


def test_a_minimum_of_no_observation_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum_observations: expected at least 1, was 0"):
        Filtered(minimum_observations=0)
