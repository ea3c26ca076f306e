"""Methods at a close: each failing for itself and coming back, fitted in turns, drawn once for all books."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from contracts.risk import MethodRisk, RiskMeasured
from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Fit, Simulation
from tailstream.runtime.plugins import methods
from tests.engines import log
from tests.engines.log import Log
from tests.engines.scripted_methods import Fitted, OfMarket, Plain, always, failing, of_ids, worst

pytestmark = pytest.mark.filterwarnings("error")

LEVELS = ("0.95", "0.99")
NONE = (None, None)
MINIMUM = 6
"""The fewest observations that every method can be asked to be content with."""


def moving(closes: int = 8, *names: str) -> Log:
    """So many closes of A and B, and books of them."""
    of = Log()
    of.instruments("A", "B")
    for name in names or ("a",):
        of.book(name, {"A": 10.0, "B": 5.0})
    random = np.random.default_rng(11)
    for _ in range(closes):
        a, b = 100 * np.exp(0.02 * random.standard_normal(2))
        of.close(A=float(a), B=float(b))
    return of


def risks(of: Log, *scripted: Any, name: str = "a", **asked: Any) -> list[RiskMeasured]:
    """The risk at every close by the usual methods and ``scripted`` ones."""
    return log.risked(log.measured(log.risk(measured_by=log.methods() | of_ids(*scripted), **asked), of), name)


def figures(method: MethodRisk) -> list[tuple[float | None, float | None]]:
    """VaR and ES at each level."""
    return [(method.levels[level].var, method.levels[level].es) for level in LEVELS]


def assert_failed(event: RiskMeasured, name: str, reason: str, status: str = "degraded") -> None:
    """The method has no figures and says why; the others are there, and their average without it."""
    method = event.methods[name]
    assert (method.status, method.reason, figures(method)) == (status, reason, [NONE, NONE])
    for other in log.methods():
        assert event.methods[other].status == "ok"
    assert event.methods["average"].status == "ok"
    assert event.averaging is not None
    assert event.averaging.weights == pytest.approx(dict.fromkeys(log.methods(), 1 / 3))


def test_every_close_has_every_method_and_the_average_from_the_first_on() -> None:
    every = methods(MINIMUM)
    asked = log.risk(measured_by=every, minimum=MINIMUM, window=8)
    for event in log.risked(log.measured(asked, moving(9)), "a"):
        assert tuple(event.methods) == (*every, "average")
        for method in event.methods.values():
            assert tuple(method.levels) == LEVELS
            assert method.status == "ok" or method.reason


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (Plain("scripted", failing("no")), "FloatingPointError: no"),
        (Fitted("scripted", worst, fitting=failing("no fit")), "FloatingPointError: no fit"),
        (Fitted("scripted", worst, fitting=lambda pnl: Fit.missing("degraded", "was lost")), "was lost"),
        (Fitted("scripted", failing("no use")), "FloatingPointError: no use"),
        (OfMarket("scripted", worst, simulating=failing("no draw")), "FloatingPointError: no draw"),
        (OfMarket("scripted", worst, simulating=lambda r: Simulation.missing("degraded", "lost", 2)), "lost"),
        (OfMarket("scripted", failing("no tail")), "FloatingPointError: no tail"),
        (OfMarket("scripted", worst, redrawn=False, simulating=failing("no draw")), "FloatingPointError: no draw"),
    ],
    ids=["plain", "fit raises", "fit degraded", "fit of no use", "simulation raises", "simulation degraded",
         "simulated tail raises", "drawn once raises"],
)  # fmt: skip
def test_a_failing_method_is_degraded_with_its_reason_and_the_others_are_published(method: Any, reason: str) -> None:
    for event in risks(moving(), method)[4:]:
        assert_failed(event, "scripted", reason)


def test_a_fit_that_has_too_few_observations_says_so_itself() -> None:
    few = Fitted("scripted", worst, fitting=lambda pnl: Fit.missing("insufficient", "needs 9, has few"))
    assert_failed(risks(moving(), few)[-1], "scripted", "needs 9, has few", status="insufficient")


def says(answer: Any) -> Plain:
    return Plain("scripted", lambda _: answer)


def fits(answer: Any) -> Fitted:
    return Fitted("scripted", worst, fitting=lambda _: answer)


def simulates(answer: Any, *, redrawn: bool = True) -> OfMarket:
    return OfMarket("scripted", worst, redrawn=redrawn, simulating=lambda _: answer)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (says(None), "expected the type Estimate, was NoneType"),
        (
            says(Estimate.of({}, (2.0, 1.0), (3.0, 3.0))),
            "var: expected figures that rise with the level, was [2.0, 1.0]",
        ),
        (fits(None), "expected the type Fit, was NoneType"),
        (fits(Fit.of({"x": math.nan})), "parameters: expected finite numbers by name, was x: nan"),
        (simulates(None), "expected the type Simulation, was NoneType"),
        (
            simulates(Simulation.of({}, np.zeros((3, 5)))),
            "returns: expected float64 (2, S) of S > 0 scenarios, was float64 (3, 5)",
        ),
        (
            simulates(Simulation.of({"x": math.nan}, np.zeros((2, 3))), redrawn=False),
            "parameters: expected finite numbers by name, was x: nan",
        ),
    ],
)
def test_an_answer_that_is_none_is_degraded_and_told_what_was_expected(method: Any, reason: str) -> None:
    assert_failed(risks(moving(), method)[-1], "scripted", f"ValueError: {reason}")


def test_where_no_method_is_averaged_there_is_no_average_and_the_reason_is_told() -> None:
    noise = Plain("noise", always((1.0, 2.0), (1.0, 2.0)), averaged=False)
    replica = log.measured(log.risk(measured_by=of_ids(noise)), moving())
    event = log.risked(replica, "a")[-1]
    average = event.methods["average"]
    assert event.methods["noise"].status == "ok"
    assert (average.status, average.reason) == ("undefined", "none of the methods is averaged")
    assert (figures(average), event.averaging) == ([NONE, NONE], None)
    assert log.backtested(replica, "a")[-1].weights == {}


def late(pnl: Floats) -> Fit:
    """A fit that comes off with four observations."""
    return Fit.of({"size": float(pnl.size)}) if pnl.size >= 4 else Fit.missing("degraded", "does not converge")


def test_a_fit_that_did_not_come_off_is_tried_at_every_close_until_it_does_and_then_in_its_turn() -> None:
    method = Fitted("scripted", worst, fitting=late)
    events = risks(moving(10), method, window=20, refit_every=3)
    assert [event.methods["scripted"].status for event in events] == ["degraded"] * 4 + ["ok"] * 6
    tries, turns = method.asked[:5], method.asked[4:]
    assert tries == [(0, None), (0, None), (2, None), (3, None), (4, None)]
    assert turns[1][0] in (5, 6, 7)
    assert all(after[0] - before[0] == 3 for before, after in pairwise(turns[1:]))
    assert all(start == {"size": float(size)} for (size, _), (_, start) in pairwise(turns))


def test_between_fits_the_parameters_stay_and_the_log_has_the_close_they_are_of() -> None:
    method = Fitted("scripted", worst)
    replica = log.measured(log.risk(measured_by=of_ids(method), window=20, refit_every=4), moving(9))
    measured, tested = log.risked(replica, "a"), log.backtested(replica, "a")
    fitted = [event.fits["scripted"] for event in tested]
    assert [event.methods["scripted"].parameters for event in measured[1:]] == [fit.parameters for fit in fitted[1:]]
    for day, fit in enumerate(fitted):
        assert fit.period <= log.period(day)
        assert fit.parameters == {"size": float(scenarios_at(fit.period))}
    assert len({fit.period for fit in fitted}) == len(method.asked)


def scenarios_at(period: str) -> int:
    """How many there are at the close; a single one is not enough for an instrument to be covered."""
    day = next(day for day in range(99) if log.period(day) == period)
    return day if day >= 2 else 0


def test_portfolios_take_turns_with_their_fits() -> None:
    """By a hash of their names, so that not all of them fit at one close."""
    names = tuple(f"p{i}" for i in range(9))
    replica = log.measured(log.risk(measured_by=of_ids(Fitted("scripted", worst)), refit_every=4), moving(7, *names))
    fitted_last = {name: log.backtested(replica, name)[-1].fits["scripted"].period for name in names}
    assert len(set(fitted_last.values())) == 4


def test_what_is_drawn_of_the_market_is_drawn_once_for_all_books_of_a_currency() -> None:
    method = OfMarket("scripted", worst)
    risks(moving(5, "a", "b", "c"), method)
    assert [shape for shape, _, _ in method.asked] == [(2, 2), (2, 3), (2, 4)]


def test_the_seed_is_told_and_is_that_of_the_currency_and_the_close() -> None:
    method = OfMarket("scripted", worst)
    events = risks(moving(5), method)
    seeds = [event.inputs.seed for event in events if event.inputs is not None]
    assert len(set(seeds)) == 5
    assert [seed for _, seed, _ in method.asked] == seeds[-len(method.asked) :]


def test_figures_are_of_the_book_in_the_scenarios_that_the_method_made() -> None:
    event = risks(moving(8), OfMarket("scripted", worst))[-1]
    assert figures(event.methods["scripted"])[1][0] == pytest.approx(
        2 * (event.methods["historical"].levels["0.99"].var or 0.0), rel=1e-12
    )


def test_scenarios_that_are_drawn_once_serve_as_many_closes_as_a_fit_does() -> None:
    every = 4
    method = OfMarket("scripted", worst, redrawn=False, simulating=lambda r: Simulation.of({"x": 1.5}, r[:, -2:]))
    replica = log.measured(log.risk(measured_by=of_ids(method), refit_every=every, window=20), moving(11))
    fits = [event.fits.get("scripted") for event in log.backtested(replica, "a")]
    assert [fit and fit.period for fit in fits[every:]] == [
        log.period(day - day % every) for day in range(every, len(fits))
    ]
    assert [known for _, _, known in method.asked] == [None] * len(method.asked)


def test_a_method_of_the_fit_window_looks_back_further_than_one_of_the_scenario_window() -> None:
    short, long = Plain("short", worst), Fitted("long", worst)
    wide = Fitted("wide", worst, window=type(long.window).FIT)
    log.measured(log.risk(measured_by=of_ids(short, long, wide), window=4, fit_window=6, history=10), moving(12))
    assert max(size for size, _ in long.asked) == 4
    assert max(size for size, _ in wide.asked) == 6


def test_a_method_that_calls_itself_the_average_is_refused() -> None:
    with pytest.raises(ValueError, match="average"):
        log.risk(measured_by=of_ids(Plain("average", always((1.0, 2.0), (1.0, 2.0)))))
