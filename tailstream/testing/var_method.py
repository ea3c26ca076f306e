"""What holds for every method of VaR, as tests that a plug-in derives from.

::

    from tailstream.testing.var_method import MethodKit

    class TestMine(MethodKit):
        method = Mine(250)
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from math import copysign, isfinite
from typing import ClassVar

import numpy as np
import pytest

from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, FittedMethod, MarketMethod, Method
from tailstream.quant.var.answers import ROUNDING, STATUSES
from tailstream.runtime.plugins import fault_of
from tailstream.testing.windows import NAMES, noise, windows

LEVELS = (0.95, 0.975, 0.99, 0.995, 0.999)
WORST_TICK = 1e12
"""Beyond all else that a kit measures: even a method that remembers its worst day has not seen it before."""

REPETITIONS = 3


@pytest.mark.filterwarnings("error")
class MethodKit:
    """The tests of a method of VaR and ES; a warning of numpy's fails them too."""

    method: ClassVar[Method]
    observations: ClassVar[int] = 1_000
    """The length of a usual window, on which the method has all its figures."""
    tolerance: ClassVar[float] = 1e-6
    """Of the largest figure: how far figures may be apart that are the same but for rounding and convergence."""
    cpu_seconds_max: ClassVar[float] = 0.25
    """What one estimate of a usual window may take, of any core."""

    # -- what it is ------------------------------------------------------------------------------------------------

    def test_it_has_what_a_service_asks_of_a_method(self) -> None:
        assert fault_of(self.method) is None

    def test_it_passes_the_kit_of_all_that_it_offers(self) -> None:
        assert isinstance(self.method, FittedMethod) == hasattr(
            self, "test_a_start_far_away_arrives_at_the_same_figures"
        )
        assert isinstance(self.method, MarketMethod) == hasattr(self, "test_the_same_seed_makes_the_same_scenarios")

    # -- what a figure means ---------------------------------------------------------------------------------------

    def test_a_usual_window_has_every_figure(self) -> None:
        estimate = self.method.estimate(noise(self.observations), LEVELS)
        assert estimate.status == "ok", estimate.reason
        assert None not in estimate.var + estimate.es, estimate.reason

    def test_a_loss_is_positive_and_a_gain_negative(self) -> None:
        losing = self.method.estimate(noise(self.observations) - 1.0, LEVELS)
        gaining = self.method.estimate(noise(self.observations) + 1.0, LEVELS)
        assert all(figure > 0.0 for figure in figures(losing)), f"expected losses as positive figures, was {losing}"
        assert all(figure < 0.0 for figure in gaining.var if figure is not None), f"expected gains, was {gaining}"

    def test_nothing_but_losses_has_a_positive_var(self) -> None:
        estimate = self.method.estimate(windows(self.observations)["all losses"], LEVELS)
        assert all(figure > 0.0 for figure in figures(estimate)), f"expected losses as positive figures, was {estimate}"

    @pytest.mark.parametrize("shift", [0.05, -0.05, 1.0])
    def test_a_certain_gain_lowers_every_figure_by_itself(self, shift: float) -> None:
        pnl = noise(self.observations)
        plain, shifted = self.method.estimate(pnl, LEVELS), self.method.estimate(pnl + shift, LEVELS)
        self.expect_same(moved(plain, by=-shift), shifted)

    @pytest.mark.parametrize("factor", [0.5, 3.0, 1e-6, 1e9])
    def test_figures_scale_with_the_position(self, factor: float) -> None:
        pnl = noise(self.observations)
        plain, scaled = self.method.estimate(pnl, LEVELS), self.method.estimate(pnl * factor, LEVELS)
        self.expect_same(moved(plain, times=factor), scaled)

    @pytest.mark.parametrize("seed", range(5))
    def test_var_and_es_grow_with_the_level_and_es_is_never_below_var(self, seed: int) -> None:
        levels = [thousandths / 1_000 for thousandths in range(900, 1_000)]
        expect_sound(self.method.estimate(noise(self.observations, seed), levels), levels)

    def test_a_level_at_which_the_tail_is_a_whole_number_lies_between_its_neighbours(self) -> None:
        levels = (0.9499, 0.95, 0.9501)
        expect_sound(self.method.estimate(noise(self.observations // 20 * 20), levels), levels)

    # -- windows that are not usual --------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", NAMES)
    def test_an_edge_case_has_sound_figures_or_a_reason_for_none(self, name: str) -> None:
        pnl = windows(self.observations)[name]
        expect_sound(self.method.estimate(pnl, LEVELS), LEVELS)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_no_number_never_becomes_one(self, bad: float) -> None:
        pnl = noise(self.observations)
        pnl[[3, 7]] = bad
        expect_missing(self.method.estimate(pnl, LEVELS), LEVELS)

    def test_fewer_observations_than_the_minimum_are_insufficient_and_both_numbers_named(self) -> None:
        minimum = self.method.minimum_observations
        for count in {0, min(1, minimum - 1), minimum - 1}:
            estimate = self.method.estimate(noise(count), LEVELS)
            expect_missing(estimate, LEVELS)
            assert estimate.status == "insufficient"
            assert str(minimum) in str(estimate.reason), f"expected {minimum} and {count}, was {estimate.reason}"
            assert str(count) in str(estimate.reason), f"expected {minimum} and {count}, was {estimate.reason}"

    def test_from_the_minimum_on_figures_are_sound(self) -> None:
        for count in range(self.method.minimum_observations, self.method.minimum_observations + 3):
            expect_sound(self.method.estimate(noise(count), LEVELS), LEVELS)

    @pytest.mark.parametrize("zero", [0.0, -0.0])
    def test_what_cash_may_lose_is_zero_and_not_minus_zero(self, zero: float) -> None:
        for figure in figures(self.method.estimate(np.full(self.observations, zero), LEVELS)):
            assert figure == 0.0
            assert copysign(1.0, figure) == 1.0, "expected 0.0, was -0.0"

    @pytest.mark.parametrize("amount", [0.1, -0.1, 1e6])
    def test_a_certain_amount_is_its_own_var_and_es(self, amount: float) -> None:
        for figure in figures(self.method.estimate(np.full(self.observations, amount), LEVELS)):
            assert figure == pytest.approx(-amount, rel=self.tolerance)

    # -- what a caller relies on -----------------------------------------------------------------------------------

    def test_a_bad_tick_that_left_the_window_leaves_nothing_behind(self) -> None:
        pnl = np.concatenate([[WORST_TICK], noise(self.observations)])
        before = self.method.estimate(pnl[1:], LEVELS)
        self.method.estimate(pnl[:-1], LEVELS)
        assert repr(self.method.estimate(pnl[1:], LEVELS)) == repr(before)

    def test_the_same_window_gives_the_same_bits_whatever_was_measured_between(self) -> None:
        pnl = noise(self.observations)
        first = self.method.estimate(pnl, LEVELS)
        self.method.estimate(noise(self.observations, seed=8), LEVELS[:1])
        assert repr(self.method.estimate(pnl.copy(), LEVELS)) == repr(first)

    def test_a_window_is_only_read_and_may_be_a_view(self) -> None:
        block = np.random.default_rng(2).standard_t(4, (self.observations, 3))
        before = block.copy()
        of_view = self.method.estimate(block[:, 1], LEVELS)
        assert (block == before).all(), "expected the P&L as it was, was changed"
        alone = block[:, 1].copy()
        alone.flags.writeable = False
        assert repr(self.method.estimate(alone, LEVELS)) == repr(of_view)

    def test_each_level_has_its_own_figure_in_the_order_asked(self) -> None:
        pnl = noise(self.observations)
        together = self.method.estimate(pnl, LEVELS)
        backwards = self.method.estimate(pnl, LEVELS[::-1])
        alone = [self.method.estimate(pnl, (level,)) for level in LEVELS]
        for found in (backwards.var[::-1], tuple(estimate.var[0] for estimate in alone)):
            assert found == together.var
        for found in (backwards.es[::-1], tuple(estimate.es[0] for estimate in alone)):
            assert found == together.es

    def test_no_levels_are_answered_with_no_figures(self) -> None:
        estimate = self.method.estimate(noise(self.observations), ())
        assert (estimate.var, estimate.es) == ((), ())

    @pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 99.0, np.nan])
    def test_a_level_that_is_no_confidence_is_refused_by_name(self, level: float) -> None:
        with pytest.raises(ValueError, match=rf"level\b.*{level}"):
            self.method.estimate(noise(self.observations), [0.95, level])

    def test_an_estimate_keeps_to_its_budget_of_time(self) -> None:
        pnl = noise(self.observations)
        seconds = min(self._cpu_seconds(pnl) for _ in range(REPETITIONS))
        assert seconds <= self.cpu_seconds_max

    def _cpu_seconds(self, pnl: Floats) -> float:
        start = time.process_time()
        self.method.estimate(pnl, LEVELS)
        return time.process_time() - start

    def expect_same(self, expected: Estimate, found: Estimate) -> None:
        """Fail unless status and figures are the same, the latter within the tolerance."""
        assert found.status == expected.status, found.reason
        largest = max(map(abs, figures(expected)), default=0.0)
        for theirs, ours in zip(expected.var + expected.es, found.var + found.es, strict=True):
            same = (
                ours is theirs
                if theirs is None
                else ours == pytest.approx(theirs, rel=0.0, abs=self.tolerance * largest)
            )
            assert same, f"expected {theirs}, was {ours}"


def figures(estimate: Estimate) -> list[float]:
    """Every VaR and ES that is there."""
    return [figure for figure in estimate.var + estimate.es if figure is not None]


def moved(estimate: Estimate, *, times: float = 1.0, by: float = 0.0) -> Estimate:
    """The estimate with every figure multiplied, then shifted."""

    def each(before: Sequence[float | None]) -> tuple[float | None, ...]:
        return tuple(None if figure is None else figure * times + by for figure in before)

    return estimate._replace(var=each(estimate.var), es=each(estimate.es))


def expect_sound(estimate: Estimate, levels: Sequence[float]) -> None:
    """Fail unless the estimate is one that may be published: its own words, finite and ordered figures, or none."""
    assert estimate.status in STATUSES
    assert len(estimate.var) == len(estimate.es) == len(levels)
    if estimate.status != "ok":
        expect_missing(estimate, levels)
        return
    for number in (*figures(estimate), *estimate.parameters.values()):
        assert type(number) is float, f"expected plain numbers, was {number!r}"
        assert isfinite(number), f"expected finite numbers, was {estimate}"
    assert set(estimate.var) != {None}, "expected a figure where the status is ok"
    assert None not in estimate.var + estimate.es or estimate.reason, "expected a reason for a figure that is missing"
    _expect_ordered(estimate)


def expect_missing(estimate: Estimate, levels: Sequence[float]) -> None:
    """Fail unless the estimate has a status other than ok, a reason, and no figure at any level."""
    says_why_not = estimate.status in STATUSES and estimate.status != "ok"
    assert says_why_not, f"expected a status that says why not, was {estimate}"
    assert estimate.reason, f"expected the reason of {estimate.status}"
    assert estimate.var == estimate.es == (None,) * len(levels)


def _expect_ordered(estimate: Estimate) -> None:
    for var, es in zip(estimate.var, estimate.es, strict=True):
        assert es is None or (var is not None and es >= var), f"expected ES of at least {var}, was {es}"
    rounding = ROUNDING * max(map(abs, figures(estimate)), default=0.0)
    for column in (estimate.var, estimate.es):
        for lower, higher in pairwise(figure for figure in column if figure is not None):
            assert higher >= lower - rounding, f"expected at least {lower} at the higher level, was {higher}"
