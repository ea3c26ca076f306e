"""What holds, beside all else, for a method that remakes the scenarios of all instruments together."""

import json
import time
from math import isfinite
from typing import ClassVar

import numpy as np
import pytest

from tailstream.quant.arrays import Floats
from tailstream.quant.var import MarketMethod, Simulation
from tailstream.quant.var.answers import STATUSES
from tailstream.testing.var_method import (
    LEVELS,
    REPETITIONS,
    MethodKit,
    expect_missing,
    expect_sound,
    figures,
    moved,
)
from tailstream.testing.windows import market

SEED = 5
EXPOSURES = np.array([1.0, -0.5, 2.0, 0.3, 1.0])


class MarketMethodKit(MethodKit):
    """The tests of a method for all instruments: ``class TestMine(MarketMethodKit): method = Mine(250)``."""

    method: ClassVar[MarketMethod]
    seeded: ClassVar[bool] = True
    """Whether anything is drawn; what only transforms the past does not depend on the seed."""
    simulation_cpu_seconds_max: ClassVar[float] = 1.0
    """What making the scenarios of five instruments may take, of any core."""

    # -- scenarios -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("instruments", [0, 1, 2, 5])
    def test_every_instrument_has_its_row_of_scenarios(self, instruments: int) -> None:
        simulation = self._simulate(market(self.observations)[:instruments])
        expect_sound_simulation(simulation, instruments)
        assert simulation.status == "ok" or instruments == 0, simulation.reason

    def test_the_same_seed_makes_the_same_scenarios(self) -> None:
        returns = market(self.observations)
        first, before = self._simulate(returns), returns.copy()
        self.method.simulate(market(self.observations, seed=4), SEED + 1)
        returns.flags.writeable = False
        again = self._simulate(returns)
        assert same_bits(again.returns, first.returns)
        assert repr(again[:3]) == repr(first[:3])
        assert (returns == before).all(), "expected the returns as they were, was changed"

    def test_another_seed_makes_other_scenarios_where_anything_is_drawn(self) -> None:
        returns = market(self.observations)
        one, other = self._simulate(returns), self.method.simulate(returns, SEED + 1)
        assert same_bits(one.returns, other.returns) is not self.seeded

    @pytest.mark.parametrize("instrument", range(3))
    def test_the_scenarios_of_an_instrument_come_from_its_own_past(self, instrument: int) -> None:
        returns = market(self.observations)
        before = self._simulate(returns).returns[instrument]
        returns[instrument] *= 2.0
        assert np.std(self._simulate(returns).returns[instrument]) > 1.5 * np.std(before)

    @pytest.mark.parametrize("period", [0, -1])
    def test_the_oldest_and_the_newest_period_count(self, period: int) -> None:
        returns = market(self.observations)
        before = self._simulate(returns).returns.copy()
        returns[:3, period] = -0.2
        assert not same_bits(self._simulate(returns).returns, before)

    def test_parameters_that_were_published_make_the_same_scenarios(self) -> None:
        returns = market(self.observations)
        fitted = self._simulate(returns)
        again = self.method.simulate(returns, SEED, json.loads(json.dumps(dict(fitted.parameters))))
        assert same_bits(again.returns, fitted.returns)
        assert repr(again[:3]) == repr(fitted[:3])

    @pytest.mark.parametrize("missing", [1, None], ids=["one too few", "all"])
    def test_too_few_periods_make_no_scenarios(self, missing: int | None) -> None:
        few = 0 if missing is None else self.method.minimum_observations - missing
        simulation = self._simulate(market(self.observations)[:, :few])
        expect_sound_simulation(simulation, 5)
        assert simulation.status == "insufficient"

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_return_that_is_no_number_makes_no_scenarios(self, bad: float) -> None:
        returns = market(self.observations)
        returns[1, 7] = bad
        simulation = self._simulate(returns)
        expect_sound_simulation(simulation, 5)
        assert simulation.status != "ok"

    def test_making_scenarios_keeps_to_its_budget_of_time(self) -> None:
        returns = market(self.observations)
        seconds = min(self._simulation_cpu_seconds(returns) for _ in range(REPETITIONS))
        assert seconds <= self.simulation_cpu_seconds_max

    # -- books -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("shift", [0.05, -0.05, 1.0])
    def test_a_certain_gain_lowers_every_figure_by_itself(self, shift: float) -> None:
        """Of a book: the scenarios that an instrument makes need not shift with its past."""
        simulation, pnl = self._book()
        plain = self.method.estimate_simulated(simulation, pnl, LEVELS)
        self.expect_same(moved(plain, by=-shift), self.method.estimate_simulated(simulation, pnl + shift, LEVELS))

    @pytest.mark.parametrize("factor", [0.5, 3.0, 1e-6, 1e9])
    def test_figures_of_a_book_scale_with_it(self, factor: float) -> None:
        simulation, pnl = self._book()
        plain = self.method.estimate_simulated(simulation, pnl, LEVELS)
        self.expect_same(moved(plain, times=factor), self.method.estimate_simulated(simulation, pnl * factor, LEVELS))

    def test_the_figures_of_a_book_are_sound_and_a_loss_is_positive(self) -> None:
        simulation, pnl = self._book()
        before = pnl.copy()
        estimate = self.method.estimate_simulated(simulation, pnl, LEVELS)
        expect_sound(estimate, LEVELS)
        assert figures(estimate), estimate.reason
        assert min(figures(estimate)) > 0.0
        assert (pnl == before).all(), "expected the P&L as it was, was changed"

    def test_a_book_of_cash_loses_nothing_in_any_scenario(self) -> None:
        simulation, pnl = self._book()
        estimate = self.method.estimate_simulated(simulation, np.zeros_like(pnl), LEVELS)
        assert set(figures(estimate)) <= {0.0}

    def test_a_book_that_has_no_number_in_some_scenario_has_no_figures(self) -> None:
        simulation, pnl = self._book()
        pnl[3] = np.nan
        expect_missing(self.method.estimate_simulated(simulation, pnl, LEVELS), LEVELS)

    def test_without_scenarios_there_are_no_figures_and_their_reason_stands(self) -> None:
        missing = Simulation.missing("degraded", "did not converge", 5)
        estimate = self.method.estimate_simulated(missing, np.empty(0), LEVELS)
        expect_missing(estimate, LEVELS)
        assert estimate[:2] == missing[:2]

    @pytest.mark.parametrize("level", [0.0, 1.0, np.nan])
    def test_a_level_of_a_book_that_is_no_confidence_is_refused_by_name(self, level: float) -> None:
        simulation, pnl = self._book()
        with pytest.raises(ValueError, match=rf"level\b.*{level}"):
            self.method.estimate_simulated(simulation, pnl, [level])

    def _book(self) -> tuple[Simulation, Floats]:
        simulation = self._simulate(market(self.observations))
        assert simulation.status == "ok", simulation.reason
        return simulation, EXPOSURES @ simulation.returns

    def _simulate(self, returns: Floats) -> Simulation:
        return self.method.simulate(returns, SEED)

    def _simulation_cpu_seconds(self, returns: Floats) -> float:
        start = time.process_time()
        self._simulate(returns)
        return time.process_time() - start


def same_bits(one: Floats, other: Floats) -> bool:
    """Whether arrays are the same to the last bit. Their bytes side by side in an assertion would be compared for
    minutes where it fails: a CI's report is not cut short.
    """
    return one.tobytes() == other.tobytes()


def expect_sound_simulation(simulation: Simulation, instruments: int) -> None:
    """Fail unless there are finite scenarios of every instrument, or a reason for none."""
    assert simulation.status in STATUSES
    assert simulation.returns.shape[0] == instruments
    assert np.isfinite(simulation.returns).all()
    assert all(type(number) is float and isfinite(number) for number in simulation.parameters.values())
    if simulation.status != "ok":
        assert simulation.reason, f"expected the reason of {simulation.status}"
        assert simulation.returns.shape[1] == 0
