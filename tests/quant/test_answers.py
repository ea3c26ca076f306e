"""What a method answers is one, or is told what was expected: of estimates, fits and simulations."""

import math
from typing import Any

import numpy as np
import pytest

from contracts.event import Status
from tailstream.quant.var import Estimate, Fit, Simulation
from tailstream.quant.var.answers import STATUSES, estimated, fitted, simulated

LEVELS = (0.95, 0.99)
NONE = (None, None)
NAMED = "ok, insufficient, undefined, zero_variance, no_downside, ruined, stale, unpriced, degraded"
PARAMETERS = "parameters: expected finite numbers by name, was x:"
RISING = "expected figures that rise with the level, was"
SHAPE = "returns: expected float64 (2, S) of S > 0 scenarios, was"


def failing() -> Any:
    raise FloatingPointError("no")


def test_statuses_are_those_of_the_bus_in_their_order() -> None:
    assert tuple(map(str, Status)) == STATUSES


SOUND = [
    Estimate.of({"x": 1.0}, (1.0, 2.0), (1.5, 2.0)),
    Estimate.of({}, (-2.0, -1.0), (-2.0, 0.0), "a remark"),
    Estimate.of({}, (1.0, None), (None, None), "no tail"),
    Estimate.of({}, (3.0, 0.1 + 0.2 + 3.0), (3.0, 3.3)),  # below by rounding alone
    Estimate("degraded", "in doubt", {}, (1.0, 2.0), (1.0, 2.0)),
    Estimate("ok", None, {}, (np.float64(1), np.int64(2)), (1, 2)),  # type: ignore[arg-type]
    *(Estimate.missing(status, "why", LEVELS) for status in STATUSES if status != "ok"),
]


@pytest.mark.parametrize("answer", SOUND, ids=repr)
def test_a_sound_estimate_passes_as_it_is(answer: Estimate) -> None:
    assert estimated(lambda: answer, LEVELS) is answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "expected the type Estimate, was NoneType"),
        (Estimate("fine", None, {}, (1.0, 2.0), (1.0, 2.0)), f"status: expected one of {NAMED}, was fine"),
        (Estimate("degraded", None, {}, NONE, NONE), "reason: expected a sentence with the status degraded, was None"),
        (Estimate("ok", None, {"x": None}, (1.0, 2.0), (1.0, 2.0)), f"{PARAMETERS} None"),  # type: ignore[dict-item]
        (Estimate.of({"x": math.inf}, (1.0, 2.0), (1.0, 2.0)), f"{PARAMETERS} inf"),
        (Estimate.of({}, (1.0, math.nan), (1.0, 2.0)), "var: expected finite numbers, was [1.0, nan]"),
        (Estimate.of({}, (1.0, 2.0), (1.0, math.inf)), "es: expected finite numbers, was [1.0, inf]"),
        (Estimate.of({}, (1.0,), (1.0,)), "var: expected one for each of 2 levels, was [1.0]"),
        (Estimate.of({}, (1.0, 2.0), (3.0,)), "es: expected one for each of 2 levels, was [3.0]"),
        (Estimate.of({}, (1.0, None), (2.0, None)), "reason: expected one, because a figure is missing"),
        (Estimate.of({}, (2.0, 1.0), (3.0, 3.0)), f"var: {RISING} [2.0, 1.0]"),
        (Estimate.of({}, (1.0, 2.0), (4.0, 3.0)), f"es: {RISING} [4.0, 3.0]"),
        (Estimate.of({}, (1.0, 2.0), (1.5, 1.9)), "es: expected at least VaR, [1.0, 2.0], was [1.5, 1.9]"),
    ],
)
def test_an_estimate_that_is_none_is_degraded_without_figures(answer: Any, reason: str) -> None:
    assert estimated(lambda: answer, LEVELS) == ("degraded", f"ValueError: {reason}", {}, NONE, NONE)


def test_levels_may_be_asked_for_in_any_order() -> None:
    falling = Estimate.of({}, (2.0, 1.0), (3.0, 1.5))
    assert estimated(lambda: falling, LEVELS[::-1]) is falling
    rising = estimated(lambda: Estimate.of({}, (1.0, 2.0), (2.0, 3.0)), LEVELS[::-1])
    assert (rising.status, rising.reason) == ("degraded", f"ValueError: var: {RISING} [2.0, 1.0]")


@pytest.mark.parametrize("answer", [Fit.of({"x": 1.0}), Fit.missing("insufficient", "needs 9, has few")], ids=repr)
def test_a_sound_fit_passes_as_it_is(answer: Fit) -> None:
    assert fitted(lambda: answer) is answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "expected the type Fit, was NoneType"),
        (Fit("fine", None, {}), f"status: expected one of {NAMED}, was fine"),
        (Fit("degraded", None, {}), "reason: expected a sentence with the status degraded, was None"),
        (Fit.of({"x": math.nan}), f"{PARAMETERS} nan"),
    ],
)
def test_a_fit_that_is_none_is_degraded_without_parameters(answer: Any, reason: str) -> None:
    assert fitted(lambda: answer) == ("degraded", f"ValueError: {reason}", {})


@pytest.mark.parametrize("answer", [Simulation.of({"x": 1.0}, np.zeros((2, 3))), Simulation.missing("degraded", "", 2)])
def test_a_sound_simulation_passes_as_it_is(answer: Simulation) -> None:
    assert simulated(lambda: answer, 2) is answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "expected the type Simulation, was NoneType"),
        (Simulation("fine", None, {}, np.zeros((2, 3))), f"status: expected one of {NAMED}, was fine"),
        (Simulation.of({"x": math.nan}, np.zeros((2, 3))), f"{PARAMETERS} nan"),
        (Simulation.of({}, np.zeros((3, 5))), f"{SHAPE} float64 (3, 5)"),
        (Simulation.of({}, np.zeros((2, 0))), f"{SHAPE} float64 (2, 0)"),
        (Simulation.of({}, np.zeros((2, 3), np.float32)), f"{SHAPE} float32 (2, 3)"),  # type: ignore[arg-type]
        (Simulation.of({}, np.zeros(2)), f"{SHAPE} float64 (2,)"),
        (Simulation.of({}, [[0.0], [0.0]]), f"{SHAPE} list"),  # type: ignore[arg-type]
    ],
)
def test_a_simulation_that_is_none_is_degraded_without_scenarios(answer: Any, reason: str) -> None:
    made = simulated(lambda: answer, 2)
    assert (made.status, made.reason, made.returns.shape) == ("degraded", f"ValueError: {reason}", (2, 0))


def test_a_method_that_raises_is_degraded_with_its_error() -> None:
    reason = "FloatingPointError: no"
    assert estimated(failing, LEVELS) == ("degraded", reason, {}, NONE, NONE)
    assert fitted(failing) == ("degraded", reason, {})
    assert simulated(failing, 2)[:2] == ("degraded", reason)


def test_what_warns_to_stop_is_not_held_back() -> None:
    """An interrupt is no failing of a method."""

    def interrupted() -> Any:
        raise KeyboardInterrupt

    for ask in (lambda: estimated(interrupted, LEVELS), lambda: fitted(interrupted), lambda: simulated(interrupted, 2)):
        with pytest.raises(KeyboardInterrupt):
            ask()
