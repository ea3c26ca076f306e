"""Every registered method passes its kit, and a kit tells an honest method from one with a single fault."""

import os
import subprocess
import sys
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from tailstream.quant.var import MINIMUM_OBSERVATIONS
from tailstream.runtime.plugins import OWN, methods
from tailstream.testing.fitted_method import FittedMethodKit
from tailstream.testing.market_method import MarketMethodKit
from tailstream.testing.var_method import MethodKit

pytest_plugins = ["pytester"]

REGISTERED = methods(MINIMUM_OBSERVATIONS, only=OWN)


class TestHistorical(MethodKit):
    method = REGISTERED["historical"]


class TestAgeWeighted(MethodKit):
    method = REGISTERED["age_weighted"]


class TestFiltered(MarketMethodKit):
    method = REGISTERED["filtered"]
    seeded = False


class TestNormal(MethodKit):
    method = REGISTERED["normal"]


class TestStudentT(FittedMethodKit):
    method = REGISTERED["student_t"]


class TestCornishFisher(MethodKit):
    method = REGISTERED["cornish_fisher"]


class TestMonteCarlo(MarketMethodKit):
    method = REGISTERED["monte_carlo"]


class TestMonteCarloT(MarketMethodKit):
    method = REGISTERED["monte_carlo_t"]


class TestExtremeValue(FittedMethodKit):
    method = REGISTERED["extreme_value"]


class TestCopula(MarketMethodKit):
    method = REGISTERED["copula"]


class TestCopulaGaussian(MarketMethodKit):
    method = REGISTERED["copula_gaussian"]


class TestGarch(FittedMethodKit):
    method = REGISTERED["garch"]


def test_every_registered_method_is_put_through_a_kit() -> None:
    kits = (MethodKit, FittedMethodKit, MarketMethodKit)
    tested = {test.method.id for kit in kits for test in kit.__subclasses__() if test not in kits}
    assert tested == set(REGISTERED)


FRESH = """
from tailstream.runtime.plugins import methods
from tailstream.testing.market_method import SEED
from tailstream.testing.windows import market, noise

for method in methods(250, {ids!r}).values():
    print(method.id, method.estimate(noise(1_000), (0.95, 0.99)))
    if hasattr(method, "simulate"):
        print(method.simulate(market(1_000), SEED).returns.tobytes().hex()[::97])
"""


def test_a_fresh_process_gives_the_same_bits_with_any_hash_seed_and_number_of_threads() -> None:
    def said(seed: str, threads: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", FRESH.format(ids=tuple(REGISTERED))]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first = said("1", "1")
    assert [line.split()[0] for line in first.splitlines() if "Estimate" in line] == list(REGISTERED)
    assert said("2", "2") == first


FAULTS = {
    "MethodKit": {
        "WrongSign": "a_loss_is_positive_and_a_gain_negative",
        "ShortfallBelowVar": "var_and_es_grow_with_the_level_and_es_is_never_below_var",
        "CrossingLevels": "var_and_es_grow_with_the_level",
        "SumsTheTail": "var_and_es_grow_with_the_level_and_es_is_never_below_var",
        "NanForNan": "what_is_no_number_never_becomes_one",
        "FillsGaps": "what_is_no_number_never_becomes_one",
        "ZeroForTooFew": "fewer_observations_than_the_minimum_are_insufficient",
        "OtherBitsEachTime": "the_same_window_gives_the_same_bits",
        "Remembers": "a_bad_tick_that_left_the_window_leaves_nothing_behind",
        "AbsoluteFloor": "figures_scale_with_the_position",
        "LeavesOutTheMean": "a_certain_gain_lowers_every_figure",
        "SortsInPlace": "a_window_is_only_read",
        "SortsLevels": "each_level_has_its_own_figure",
        "TakesAnyLevel": "a_level_that_is_no_confidence_is_refused",
        "NumpyNumbers": "an_edge_case_has_sound_figures",
        "MinusZero": "what_cash_may_lose_is_zero_and_not_minus_zero",
        "GivesNoReason": "fewer_observations_than_the_minimum_are_insufficient",
        "InventsAStatus": "fewer_observations_than_the_minimum_are_insufficient",
        "FiguresBesideAStatus": "an_edge_case_has_sound_figures",
        "Warns": "an_edge_case_has_sound_figures",
        "HasNoVersion": "it_has_what_a_service_asks",
        "Fitted": "it_passes_the_kit_of_all_that_it_offers",
        "LosesTheFarTail": "a_usual_window_has_every_figure",
        "TakesLossesForGains": "nothing_but_losses_has_a_positive_var",
        "CountsTheTailInFloatingPoint": "a_level_at_which_the_tail_is_a_whole_number",
        "LosesADegreeOfFreedom": "from_the_minimum_on_figures_are_sound",
        "AddsACushion": "a_certain_amount_is_its_own_var_and_es",
        "AsksForALevel": "no_levels_are_answered_with_no_figures",
    },
    "FittedMethodKit": {
        "SticksToItsStart": "a_start_far_away_arrives_at_the_same_figures",
        "ShapeWithAUnit": "a_shape_has_no_unit",
        "IgnoresTheFit": "the_shape_makes_a_difference",
        "PublishesRounded": "parameters_that_were_published_give_the_same_bytes",
        "LosesTheReason": "without_a_fit_there_are_no_figures",
        "FitsNaN": "an_edge_case_is_fitted_or_there_is_a_reason",
        "FitsGaps": "nothing_is_fitted_to_what_cannot_be_measured",
        "EstimatesItsOwnWay": "an_estimate_is_one_with_the_fit",
        "LeansOnItsStart": "other_markets_too_are_fitted_alike",
        "KeepsTheMeanOfTheFit": "a_shape_holds_for_a_book_that_was_traded_since",
        "SortsWhatItFits": "fitting_reads_only",
    },
    "MarketMethodKit": {
        "DrawsByTheClock": "the_same_seed_makes_the_same_scenarios",
        "IgnoresTheSeed": "another_seed_makes_other_scenarios",
        "FillsMissingReturns": "a_return_that_is_no_number_makes_no_scenarios",
        "OneRowForAll": "the_scenarios_of_an_instrument_come_from_its_own_past",
        "RefittedIsAnother": "parameters_that_were_published_make_the_same_scenarios",
        "LosesTheSimulationsReason": "without_scenarios_there_are_no_figures",
        "LeavesOutWhatStandsStill": "every_instrument_has_its_row",
        "ForgetsTheOldest": "the_oldest_and_the_newest_period_count",
        "DrawsFromFew": "too_few_periods_make_no_scenarios",
        "LeavesOutTheMeanOfABook": "a_certain_gain_lowers_every_figure",
        "AbsoluteFloorOfABook": "figures_of_a_book_scale_with_it",
        "WrongSignOfABook": "the_figures_of_a_book_are_sound_and_a_loss_is_positive",
        "AddsACushionToABook": "a_book_of_cash_loses_nothing",
        "FillsABook": "a_book_that_has_no_number",
        "TakesAnyLevelOfABook": "a_level_of_a_book_that_is_no_confidence",
    },
}
"""By kit: the method with the fault, and a test that has to find it."""

HONEST = {"MethodKit": "Honest", "FittedMethodKit": "Fitted", "MarketMethodKit": "Bootstrap"}
MODULES = {"MethodKit": "var_method", "FittedMethodKit": "fitted_method", "MarketMethodKit": "market_method"}


class Outcomes(NamedTuple):
    passed: list[str]
    failed: list[str]


def outcomes(
    pytester: pytest.Pytester, kit: str, methods: Iterable[str], tests: str = "", setting: str = "observations = 300"
) -> Outcomes:
    """Which tests of the kit passed and which failed, each as ``Test<method>::<test>``."""
    head = f"from tailstream.testing.{MODULES[kit]} import {kit}\nfrom tests.quant import faulty_methods\n\n"
    each = "class Test{0}({1}):\n    method = faulty_methods.{0}()\n    {2}\n\n"
    pytester.makepyfile(test_kit=head + "".join(each.format(method, kit, setting) for method in methods))
    ran = pytester.inline_run("-p", "no:cacheprovider", "-p", "no:asyncio", "--tb=no", "-k", tests)
    passed, skipped, failed = ran.listoutcomes()
    assert not skipped
    return Outcomes(*([report.nodeid.partition("::")[2] for report in reports] for reports in (passed, failed)))


@pytest.mark.parametrize("kit", HONEST)
def test_an_honest_method_passes(pytester: pytest.Pytester, kit: str) -> None:
    found = outcomes(pytester, kit, [HONEST[kit]])
    assert found.failed == []
    assert len(found.passed) > 50


@pytest.mark.parametrize("kit", FAULTS)
def test_each_fault_is_found_by_the_test_that_is_named_for_it(pytester: pytest.Pytester, kit: str) -> None:
    faults = FAULTS[kit]
    found = outcomes(pytester, kit, faults, " or ".join(f"(Test{fault} and {test})" for fault, test in faults.items()))
    missed = {
        method: test
        for method, test in faults.items()
        if not any(failed.startswith(f"Test{method}::test_{test}") for failed in found.failed)
    }
    assert missed == {}


@pytest.mark.parametrize(
    ("kit", "method", "test", "setting"),
    [
        ("MethodKit", "BurnsTime", "an_estimate_keeps_to_its_budget", "observations = 300"),
        (
            "MarketMethodKit",
            "BurnsTimeSimulating",
            "making_scenarios_keeps_to_its_budget",
            "simulation_cpu_seconds_max = 0.1",
        ),
    ],
)
def test_a_slow_method_is_over_its_budget(
    pytester: pytest.Pytester, kit: str, method: str, test: str, setting: str
) -> None:
    found = outcomes(pytester, kit, [method], test, setting)
    assert found == ([], [f"Test{method}::test_{test}_of_time"])


@pytest.mark.parametrize("kit", [MethodKit, FittedMethodKit, MarketMethodKit])
def test_every_test_of_a_kit_is_known_to_find_a_fault(kit: type) -> None:
    found = tuple(f"test_{test}" for test in FAULTS[kit.__name__].values())
    unproven = [name for name in vars(kit) if name.startswith("test_") and not name.startswith(found)]
    assert [name for name in unproven if not name.endswith("budget_of_time")] == []
