"""What holds, beside all else, for a method whose model is fitted by an iteration."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import ClassVar

import pytest

from tailstream.quant.arrays import Floats
from tailstream.quant.var import Fit, FittedMethod
from tailstream.quant.var.answers import STATUSES
from tailstream.testing.var_method import LEVELS, MethodKit, expect_missing, expect_sound, figures, moved
from tailstream.testing.windows import NAMES, elsewhere, noise, windows

OTHERS = tuple(elsewhere(300))


class FittedMethodKit(MethodKit):
    """The tests of a method that is fitted: ``class TestMine(FittedMethodKit): method = Mine(250)``."""

    method: ClassVar[FittedMethod]

    @pytest.mark.parametrize("name", NAMES)
    def test_an_edge_case_is_fitted_or_there_is_a_reason_why_not(self, name: str) -> None:
        expect_sound_fit(self.method.fit(windows(self.observations)[name]))

    @pytest.mark.parametrize("name", ["10 % gaps", "an infinite return", "empty"])
    def test_nothing_is_fitted_to_what_cannot_be_measured(self, name: str) -> None:
        pnl = windows(self.observations)[name]
        fit, estimate = self.method.fit(pnl), self.method.estimate(pnl, LEVELS)
        assert (fit.status, fit.reason) == (estimate.status, estimate.reason)

    @pytest.mark.parametrize("name", NAMES)
    def test_an_estimate_is_one_with_the_fit_to_the_same_window(self, name: str) -> None:
        pnl = windows(self.observations)[name]
        with_fit = self.method.estimate_with(self.method.fit(pnl), pnl, LEVELS)
        assert repr(with_fit) == repr(self.method.estimate(pnl, LEVELS))

    @pytest.mark.parametrize("name", OTHERS)
    def test_a_start_far_away_arrives_at_the_same_figures(self, name: str) -> None:
        pnl = noise(self.observations)
        start = self._parameters(elsewhere(self.observations)[name])
        found = self.method.estimate_with(self.method.fit(pnl, start), pnl, LEVELS)
        self.expect_same(self.method.estimate(pnl, LEVELS), found)

    @pytest.mark.parametrize("name", OTHERS)
    def test_other_markets_too_are_fitted_alike_from_far_away(self, name: str) -> None:
        pnl = elsewhere(self.observations)[name]
        found = self.method.estimate_with(self.method.fit(pnl, self._parameters(noise(self.observations))), pnl, LEVELS)
        self.expect_same(self.method.estimate(pnl, LEVELS), found)

    def test_parameters_that_were_published_give_the_same_bytes(self) -> None:
        pnl = noise(self.observations)
        fit = self.method.fit(pnl)
        read_back = Fit.of(json.loads(json.dumps(dict(fit.parameters))))
        assert repr(self.method.estimate_with(read_back, pnl, LEVELS)) == repr(self.method.estimate(pnl, LEVELS))

    def test_the_shape_makes_a_difference(self) -> None:
        pnl = noise(self.observations)
        fits = [self.method.fit(window) for window in elsewhere(self.observations).values()]
        found = {self.method.estimate_with(fit, pnl, LEVELS).var for fit in fits if fit.status == "ok"}
        assert len(found) > 1, "expected other figures with another fit"

    @pytest.mark.parametrize("factor", [0.5, 3.0, 1e-6, 1e9])
    def test_a_shape_has_no_unit(self, factor: float) -> None:
        pnl = noise(self.observations)
        fit = self.method.fit(pnl)
        plain, larger = (self.method.estimate_with(fit, pnl * times, LEVELS) for times in (1.0, factor))
        self.expect_same(moved(plain, times=factor), larger)
        self.expect_same(plain, self.method.estimate_with(self.method.fit(pnl * factor), pnl, LEVELS))

    def test_a_shape_holds_for_a_book_that_was_traded_since(self) -> None:
        fit, traded = self.method.fit(noise(self.observations)), noise(self.observations, seed=8) * -2.0
        plain = self.method.estimate_with(fit, traded, LEVELS)
        expect_sound(plain, LEVELS)
        assert figures(plain), plain.reason
        self.expect_same(moved(plain, by=-0.05), self.method.estimate_with(fit, traded + 0.05, LEVELS))

    def test_without_a_fit_there_are_no_figures_and_its_reason_stands(self) -> None:
        missing = Fit.missing("degraded", "did not converge")
        estimate = self.method.estimate_with(missing, noise(self.observations), LEVELS)
        expect_missing(estimate, LEVELS)
        assert estimate[:2] == missing[:2]

    def test_fitting_reads_only_and_gives_the_same_bits_again(self) -> None:
        pnl, start = noise(self.observations), self._parameters(noise(self.observations, seed=8))
        pnl.flags.writeable = False
        first, before = self.method.fit(pnl, start), dict(start)
        self.method.fit(elsewhere(self.observations)["fat tails"])
        assert repr(self.method.fit(pnl, start)) == repr(first)
        assert dict(start) == before

    def _parameters(self, pnl: Floats) -> Mapping[str, float]:
        fit = self.method.fit(pnl)
        assert fit.status == "ok", fit.reason
        return fit.parameters


def expect_sound_fit(fit: Fit) -> None:
    """Fail unless the fit has finite parameters, or a reason for none."""
    assert fit.status in STATUSES
    if fit.status != "ok":
        assert fit.reason, f"expected the reason of {fit.status}"
        assert not fit.parameters
    for name, number in fit.parameters.items():
        assert type(number) is float, f"{name}: expected a plain number, was {number!r}"
        assert isfinite(number), f"{name}: expected a finite number, was {number}"
