"""Risk at closes: VaR and ES of the current holdings by hand, windows, coverage, cash, failing methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.event import Arrival
from contracts.risk import MethodRisk, RiskMeasured
from services.risk.pasts import SLACK_CLOSES
from services.risk.stress import StressBook
from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Window
from tailstream.runtime.plugins import methods
from tests.engines import log
from tests.engines.drawn import DESKS, LEAVES, logs, quantities
from tests.engines.log import Log

pytestmark = pytest.mark.filterwarnings("error")

RETURNS = [0.10, -0.20, 0.05, -0.01]
"""Of A in the hand-made cases, oldest first."""
MINIMUM = 250
STRESSES = StressBook.model_validate(
    {
        "scenarios": [
            {"name": "past", "window": {"first": log.period(1), "last": log.period(3)}},
            {"name": "shock", "shocks": {"kinds": {"equity": -0.2}, "currencies": {"USD": 0.1}}},
        ]
    }
)
PLAIN = methods(MINIMUM, only=("historical", "age_weighted", "normal"))


def path(returns: Sequence[float], start: float = 100.0) -> list[float]:
    """Prices with these returns."""
    return list(accumulate(returns, lambda price, r: price * (1 + r), initial=start))


def four_days(positions: Mapping[str, float] | None = None, **cash: float) -> Log:
    """Four returns of A, and a book."""
    of = Log()
    of.instruments("A")
    of.book("a", positions, **cash)
    for price in path(RETURNS):
        of.close(A=price)
    return of


def long_log(closes: int, *, seed: int = 3, gaps: Sequence[int] = ()) -> Log:
    """So many closes of A, of B in the last half, and of G that has gaps; a book of each."""
    of = Log()
    of.instruments("A", "B", "G")
    of.book("a", {"A": 1.0})
    random = np.random.default_rng(seed)
    for day, price in enumerate(path(list(0.01 * random.standard_t(4, closes - 1)))):
        prices = {"A": price, "G": 2 * price}
        if day in gaps:
            del prices["G"]
        if day >= closes // 2:
            prices["B"] = 3 * price
        of.close_at(prices)
    return of


def last(of: Log, name: str = "a", **settings: Any) -> RiskMeasured:
    """The newest risk of ``name``."""
    return log.risked(log.measured_last(log.risk(**settings), of), name)[-1]


def real(**settings: Any) -> dict[str, Any]:
    """The settings of production."""
    return {"window": 500, "minimum": MINIMUM, "measured_by": PLAIN} | settings


def worst(event: RiskMeasured, method: str = "historical", level: str = "0.95") -> tuple[float | None, ...]:
    """VaR and ES in money, and as fractions."""
    tail = event.methods[method].levels[level]
    return tail.var, tail.es, tail.var_fraction, tail.es_fraction


def statuses(event: RiskMeasured) -> set[str]:
    """Of the methods, without their average."""
    return {method.status for name, method in event.methods.items() if name != "average"}


def test_a_portfolio_that_holds_nothing_yet_is_not_measured() -> None:
    of = Log()
    of.portfolio("a")
    of.close()
    assert log.measured(log.risk(), of).events == []


def test_the_first_close_has_no_scenario_and_says_so() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    of.close(A=100.0)
    event = last(of)
    assert (event.n_obs, event.nav.value, statuses(event)) == (0, 100.0, {"insufficient"})
    assert worst(event) == (None, None, None, None)
    assert event.methods["historical"].reason == "needs 2 observations, has 0"


def test_the_worst_of_four_days_by_hand() -> None:
    event = last(four_days({"A": 10.0}, USD=500.0))
    exposure = 10 * path(RETURNS)[-1]
    nav = exposure + 500.0
    assert event.gross.value == exposure
    assert event.n_obs == 4
    assert (event.coverage, event.uncovered) == (1.0, ())
    expected = (0.2 * exposure, 0.2 * exposure, 0.2 * exposure / nav, 0.2 * exposure / nav)
    assert worst(event) == pytest.approx(expected, rel=1e-12)
    loss = event.methods["normal"].parameters
    assert loss["mean"] == pytest.approx(exposure * sum(RETURNS) / 4, rel=1e-12)
    assert loss["sigma"] == pytest.approx(exposure * float(np.std(RETURNS, ddof=1)), rel=1e-12)


def test_a_short_position_loses_on_the_best_day() -> None:
    event = last(four_days({"A": -10.0}, USD=5000.0))
    assert worst(event)[0] == pytest.approx(0.1 * 10 * path(RETURNS)[-1], rel=1e-12)


def test_scenarios_are_of_the_current_holdings() -> None:
    of = four_days({"A": 10.0})
    of.hold("a", {"A": 1.0})
    of.close(A=100.0)
    assert last(of, window=10).gross.value == 100.0
    assert worst(last(of, window=10))[0] == pytest.approx(20.0, rel=1e-12)


def test_a_desk_is_measured_and_not_added_up() -> None:
    of = Log()
    of.instruments("A", "B")
    of.portfolio("x")
    for name, held in (("a", "A"), ("b", "B")):
        of.portfolio(name, parent="x")
        of.hold(name, {held: 1.0})
    for a, b in zip(path([-0.1, 0.1]), path([0.1, -0.1]), strict=True):
        of.close(A=a, B=b)
    measured = log.measured(log.risk(), of)
    alone = [worst(log.risked(measured, name)[-1])[0] for name in ("a", "b")]
    assert alone == pytest.approx([0.1 * 99, 0.1 * 99], rel=1e-12)
    assert worst(log.risked(measured, "x")[-1])[0] == pytest.approx(0.0, abs=1e-12)


def test_a_euro_book_has_the_risk_of_its_currency() -> None:
    of = Log()
    of.instruments("A", "fx:EURUSD")
    of.portfolio("a", base="EUR")
    of.hold("a", {"A": 1.0}, USD=50.0, EUR=7.0)
    for price, rate in ((100.0, 1.0), (110.0, 1.25), (99.0, 1.1)):
        of.close_at({"A": price, "fx:EURUSD": rate})
    event = last(of)
    stock, cash = 99 / 1.1, 50 / 1.1
    assert event.nav.value == pytest.approx(stock + cash + 7)
    assert event.gross.value == pytest.approx(stock)
    pnl = [stock * (1.1 * 0.8 - 1) - 0.2 * cash, stock * (0.9 * 1.25 / 1.1 - 1) + cash * (1.25 / 1.1 - 1)]
    assert worst(event)[0] == pytest.approx(-min(pnl), rel=1e-12)


def test_money_in_another_currency_is_covered_by_the_returns_of_its_rate() -> None:
    of = Log()
    of.instruments("fx:EURUSD")
    of.book("a", EUR=100.0)
    for rate in (1.0, 1.25, 1.0):
        of.close_at({"fx:EURUSD": rate})
    event = last(of)
    assert (event.coverage, event.gross.value, event.n_obs) == (1.0, 0.0, 2)
    assert worst(event)[0] == pytest.approx(20.0)


@pytest.mark.parametrize(("cash", "fraction"), [({"USD": 100.0}, 0.0), ({}, None)], ids=["cash", "empty"])
def test_cash_of_its_own_and_an_empty_book_cannot_lose(cash: dict[str, float], fraction: float | None) -> None:
    event = last(four_days(**cash))
    assert statuses(event) == {"ok"}
    assert (event.coverage, event.n_obs, event.nav.value) == (1.0, 4, cash.get("USD", 0.0))
    assert {worst(event, method) for method in log.methods()} == {(0.0, 0.0, fraction, fraction)}


@pytest.mark.parametrize("cash", [-1000.0, -2000.0])
def test_without_wealth_there_is_no_fraction_and_the_money_is_reported(cash: float) -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 10.0}, USD=cash)
    for price in (50.0, 125.0, 100.0):
        of.close(A=price)
    var, _, var_fraction, es_fraction = worst(last(of))
    assert var == pytest.approx(200.0)
    assert var_fraction is es_fraction is None


@pytest.mark.parametrize(
    ("closes", "n_obs", "status"),
    [(MINIMUM, MINIMUM - 1, "insufficient"), (MINIMUM + 1, MINIMUM, "ok"), (MINIMUM + 2, MINIMUM + 1, "ok")],
)
def test_at_the_edge_of_enough_scenarios(closes: int, n_obs: int, status: str) -> None:
    event = last(long_log(closes), **real())
    assert event.n_obs == (n_obs if status == "ok" else 0)
    assert statuses(event) == {status}
    assert event.uncovered == (() if status == "ok" else ("A",))


def test_the_window_forgets_the_scenario_that_leaves_it() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    for price in path([-0.5] + [0.01] * MINIMUM):
        of.close(A=price)
    before, after = log.risked(log.measured(log.risk(**real(window=MINIMUM)), of), "a")[-2:]
    assert before.n_obs == after.n_obs == MINIMUM
    exposures = [e.gross.value or 0.0 for e in (before, after)]
    assert before.methods["normal"].parameters["sigma"] > 0.01 * exposures[0]
    assert worst(after, level="0.99")[0] == pytest.approx(-0.01 * exposures[1], rel=1e-9)


def test_var_is_the_order_statistic_and_es_the_integral_beyond_it() -> None:
    of = long_log(MINIMUM + 1)
    prices = [a.event.prices["A"] for a in of.arrivals if a.topic == log.CLOSES.name]  # type: ignore[union-attr]
    losses = np.sort(-np.diff(prices) / prices[:-1] * prices[-1])
    at = ceil(MINIMUM * 0.99)
    tail = (losses[-2:].sum() + 0.5 * losses[-3]) / 2.5
    assert worst(last(of, **real()), level="0.99")[:2] == pytest.approx((losses[at - 1], tail), rel=1e-12)


def test_gaps_leave_their_scenarios_out_and_fill_none() -> None:
    of = long_log(400, gaps=[100, 101, 200])
    of.hold("a", {"A": 1.0, "G": 1.0})
    of.close(A=1.0, G=2.0)
    event = last(of, **real())
    assert event.n_obs == 400 - 3 - 2
    assert (event.coverage, statuses(event)) == (1.0, {"ok"})


def test_gaps_of_what_is_not_held_cost_nothing() -> None:
    assert last(long_log(400, gaps=[100, 101, 200]), **real()).n_obs == 399


def test_each_window_has_its_own_scenarios_and_coverage() -> None:
    """B has one return of the last three, and four of the last six."""
    of = Log()
    of.instruments("A", "B")
    of.book("a", {"A": 3.0, "B": 1.0})
    for day in range(9):
        of.close_at({"A": 100.0 + day} | ({} if day == 6 else {"B": 100.0 + day}))
    event = last(of, window=3, fit_window=6, history=8, minimum=3)
    assert (event.n_obs, event.coverage, event.uncovered) == (3, 0.75, ("B",))
    assert (event.fit_n_obs, event.fit_coverage) == (4, 1.0)


def test_too_many_gaps_leave_too_few_scenarios() -> None:
    of = long_log(260, gaps=range(1, 11, 2))
    of.hold("a", {"A": 1.0, "G": 1.0})
    of.close(A=1.0, G=2.0)
    event = last(of, **real())
    assert (event.n_obs, statuses(event)) == (250, {"ok"})
    of = long_log(258, gaps=range(1, 9, 2))
    of.hold("a", {"A": 1.0, "G": 1.0})
    of.close(A=1.0, G=2.0)
    assert last(of, **real()).n_obs == 250


@pytest.mark.parametrize(("covered", "status"), [(95.0, "ok"), (94.9, "degraded")])
def test_below_its_minimum_coverage_a_figure_is_degraded_with_a_reason(covered: float, status: str) -> None:
    of = long_log(300)
    of.hold("a", {"A": covered, "B": 100.0 - covered})
    of.close(A=1.0, B=1.0)
    event = last(of, **real())
    assert event.coverage == pytest.approx(covered / 100)
    assert event.uncovered == ("B",)
    assert statuses(event) == {status}
    reason = None if status == "ok" else "coverage: expected at least 0.95, was 0.9490"
    assert {method.reason for method in event.methods.values()} == {reason}


def test_what_is_uncovered_is_left_out_and_never_scaled_up() -> None:
    of = long_log(300)
    of.close(A=1.0, B=1.0)
    of.hold("a", {"A": 1.0, "B": 1.0})
    cut = of.cut()
    of.close(A=1.0, B=1.0, cut=cut)
    partly = last(of, **real())
    of.hold("a", {"A": 1.0})
    of.close(A=1.0, B=1.0)
    alone = last(of, **real(window=501))
    assert partly.coverage == 0.5
    assert partly.methods["historical"].levels["0.99"].var is not None
    assert partly.nav.value == 2.0
    assert worst(partly, level="0.99")[0] == pytest.approx(worst(alone, level="0.99")[0], rel=0.02)


@pytest.mark.parametrize("held", ["B", "unknown", "never"])
def test_a_book_of_which_nothing_is_covered_has_no_var_rather_than_none_to_lose(held: str) -> None:
    of = long_log(300)
    of.instruments("never")
    of.hold("a", {held: 1.0}, USD=10.0)
    of.close(A=1.0, B=1.0)
    event = last(of, **real())
    assert (event.n_obs, event.uncovered, statuses(event)) == (0, (held,), {"insufficient"})
    assert event.coverage == (0.0 if held == "B" else None)
    assert worst(event) == (None, None, None, None)


def test_an_unpriced_position_leaves_coverage_and_fractions_unknown_and_the_figures_degraded() -> None:
    event = last(four_days({"A": 10.0, "unknown": 1.0}))
    assert (event.nav.status, event.gross.status, event.coverage) == ("unpriced", "degraded", None)
    assert (event.uncovered, statuses(event)) == (("unknown",), {"degraded"})
    assert worst(event)[0] == pytest.approx(0.2 * 10 * path(RETURNS)[-1], rel=1e-12)
    assert worst(event)[2:] == (None, None)
    assert event.methods["normal"].reason == "coverage: unknown, because a position has no price"


def test_a_missing_rate_leaves_money_uncovered_and_never_worth_one() -> None:
    event = last(four_days({"A": 1.0}, EUR=100.0))
    assert (event.nav.status, event.uncovered) == ("unpriced", ("cash:EUR",))


@dataclass(frozen=True)
class Answering:
    """A method that answers what it is told to, or raises it."""

    answer: Any
    id: ClassVar[str] = "answering"
    version: ClassVar[str] = "1"
    window: ClassVar[Window] = Window.SCENARIOS
    averaged: ClassVar[bool] = True
    minimum_observations: int = 2

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "answer",
    [
        FloatingPointError("underflow"),
        Estimate("ok", None, {}, (float("nan"), 1.0), (1.0, 1.0)),
        Estimate("ok", None, {"x": float("inf")}, (1.0, 1.0), (1.0, 1.0)),
        Estimate("splendid", None, {}, (1.0, 1.0), (1.0, 1.0)),
        Estimate("ok", None, {}, (1.0,), (1.0,)),
        None,
    ],
    ids=["raises", "NaN", "infinity", "no status", "a level missing", "nothing"],
)
def test_a_failing_method_is_its_own_degraded_status_and_the_others_are_published(answer: Any) -> None:
    methods = {"answering": Answering(answer)} | log.methods()
    event = last(four_days({"A": 1.0}), measured_by=methods)
    failed: MethodRisk = event.methods["answering"]
    assert (failed.status, bool(failed.reason)) == ("degraded", True)
    assert worst(event, "answering") == (None, None, None, None)
    assert {event.methods[name].status for name in log.methods()} == {"ok"}


def test_a_return_that_overflows_is_missing_and_one_beyond_all_money_is_undefined() -> None:
    for bad, n_obs, status in ((5e-324, 3, "ok"), (1e-200, 4, "undefined")):
        of = Log()
        of.instruments("A")
        of.book("a", {"A": 1.0})
        for price in (1.0, bad, 1e10, 1.0, 1.1):
            of.close(A=price)
        event = last(of)
        assert (event.n_obs, statuses(event)) == (n_obs, {status})
        assert (worst(event)[0] is None) == (status == "undefined")


def test_inputs_name_the_close_and_what_was_measured() -> None:
    of = four_days({"A": 1.0})
    of.skip(log.CLOSES)
    closed = of.close(A=5.0)
    first, second = log.risked(log.measured(log.risk(), of), "a")[-2:]
    assert first.inputs is not None
    assert second.inputs is not None
    assert (second.inputs.close_offset, second.inputs.cut) == (closed.offset, of.cut())
    assert second.inputs.models == {"historical": "1", "age_weighted": "1", "normal": "1"}
    assert first.inputs.book == second.inputs.book
    assert first.inputs.market != second.inputs.market
    assert first.event_id != second.event_id


def test_enough_is_what_backtests_look_back_on_and_the_last_period_is_found_in_any_order() -> None:
    of = four_days({"A": 1.0})
    for day in range(80):
        of.close(A=100.0 + day % 7)
    published = all_published(log.measured(log.risk(), of))
    backtest_window = 3
    fewest = 2 * (backtest_window + SLACK_CLOSES + 2)
    engine = log.risk()
    assert not engine.enough([])
    assert not engine.enough(published[-fewest + 2 :])
    assert engine.enough(published[-fewest:])
    assert engine.restore(0, []) is None
    for order in (published[-fewest:], published[-fewest:][::-1]):
        assert engine.restore(1, order) == log.period(84)


def all_published(replica: log.Replica) -> list[Arrival]:
    """Every closing output as a record, in the order of publishing."""
    return [Arrival(log.topic_of(e).name, 1, i, e.portfolio_id, e) for i, e in enumerate(replica.events)]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(of=logs())
def test_whatever_the_log_says_a_figure_has_a_value_or_a_reason(of: Log) -> None:
    asked = log.risk(window=3, stale=1, history=6, horizons=(2,), stress=STRESSES)
    for event in log.measured(asked, of).events:
        if not isinstance(event, RiskMeasured):
            continue
        assert (event.nav.value is None) == (event.nav.status == "unpriced") == (event.coverage is None)
        for method in event.methods.values():
            found = [tail.var is not None and tail.es is not None for tail in method.levels.values()]
            assert all(found) == any(found) == (method.status in ("ok", "degraded"))
            assert (method.reason is None) == (method.status == "ok")
            assert all(t.es >= t.var for t in method.levels.values() if t.es is not None and t.var is not None)
        for stressed in (*event.stress.values(), *event.horizons["2"].values(), event.stressed):
            assert stressed is not None
            assert (stressed.reason is None) == (stressed.status == "ok")
        for stressed in event.stress.values():
            assert (stressed.loss is None) == (stressed.status == "insufficient")
        if (parts := event.contributions) is not None:
            assert set(parts.positions).isdisjoint(event.uncovered)
            assert parts.es == pytest.approx(sum(part.component_es for part in parts.positions.values()), abs=1e-9)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(of=logs(), name=st.sampled_from([*LEAVES, *DESKS]), trades=quantities.filter(bool))
def test_whatever_the_log_says_a_question_has_figures_or_a_reason(of: Log, name: str, trades: dict[str, float]) -> None:
    answer = log.measured(log.risk(window=3, stale=1), of).ask(name, **trades)
    assert (answer.reason is None) == (answer.status == "ok") == bool(answer.after)
    assert answer.before.keys() == answer.after.keys() == answer.difference.keys()
    for method in answer.after.values():
        assert (method.reason is None) == (method.status == "ok")
    if answer.after:
        assert (answer.nav is None) == (answer.coverage is None)
        assert answer.coverage == 1.0 or answer.uncovered
