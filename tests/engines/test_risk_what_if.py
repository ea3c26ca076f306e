"""What-if: the risk of a book before and after some trades, by hand; and why there is no answer."""

from typing import Any

import pytest

from contracts.event import Status
from contracts.risk import RiskMeasured, WhatIfMeasured
from tailstream.runtime.plugins import methods
from tests.engines import log
from tests.engines.log import Log, Replica

pytestmark = pytest.mark.filterwarnings("error")

PRICES = (100.0, 110.0, 88.0, 92.4, 90.0)
"""Of A; the worst of its returns is -20 %."""
OTHERS = (50.0, 49.0, 50.0, 51.0, 50.0)
"""Of B; the worst of its returns is -2 %."""


def market() -> Log:
    of = Log()
    of.instruments("A", "B", "fx:EURUSD")
    of.instruments("E", currency="EUR")
    of.instruments("M", multiplier=10.0)
    of.portfolio("x")
    of.portfolio("a", parent="x")
    of.portfolio("b", parent="x")
    of.hold("a", {"A": 10.0}, USD=1_000.0)
    of.hold("b", {"B": 20.0})
    for a, b in zip(PRICES, OTHERS, strict=True):
        of.close_at({"A": a, "B": b, "E": a, "M": b, "fx:EURUSD": 1.25})
    return of


def replica(of: Log, **asked: Any) -> Replica:
    return log.measured(log.risk(**asked), of)


def closing(read: Replica, name: str) -> RiskMeasured:
    return log.risked(read, name)[-1]


def tail(answer: WhatIfMeasured, when: str, method: str = "historical") -> tuple[float | None, ...]:
    """VaR and ES at 99 %, in money and as fractions."""
    told = getattr(answer, when)[method]
    figures = told["0.99"] if when == "difference" else told.levels["0.99"]
    return figures.var, figures.es, figures.var_fraction, figures.es_fraction


def test_before_the_first_close_there_is_no_answer() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    answer = replica(of).ask("a", A=1.0)
    assert (answer.status, answer.reason) == (Status.INSUFFICIENT, "no close is there yet")
    assert (answer.before, answer.after, answer.difference, answer.nav) == ({}, {}, {}, None)


def test_a_portfolio_that_nobody_knows_or_that_holds_nothing_has_none() -> None:
    of = market()
    of.portfolio("empty")
    read = replica(of)
    for name in ("nobody", "empty"):
        answer = read.ask(name, A=1.0)
        assert answer.status == Status.UNDEFINED
        assert answer.reason == f"portfolio_id: expected one that holds something, was {name}"


@pytest.mark.parametrize(
    ("name", "quantity", "status", "reason"),
    [
        ("nothing", 1.0, Status.UNPRICED, "expected an instrument that is defined, was nothing"),
        ("fx:EURUSD", 1.0, Status.UNDEFINED, "expected an instrument that is held, was an exchange rate"),
        ("young", 1.0, Status.UNPRICED, "expected an instrument with a price, was one without"),
        ("P", 1.0, Status.UNPRICED, "expected a currency with a rate to USD, was GBP"),
        ("B", -1e149, Status.UNDEFINED, "expected less than 1e+150 USD, was -5e+150"),
        ("B", 1e308, Status.UNDEFINED, "expected less than 1e+150 USD, was inf"),
    ],
    ids=["unknown", "a rate", "no price", "no rate", "huge", "overflow"],
)
def test_what_has_no_cost_cannot_be_traded_and_the_answer_says_why(
    name: str, quantity: float, status: Status, reason: str
) -> None:
    of = market()
    of.instruments("young")
    of.instruments("P", currency="GBP")
    of.close_at({"A": 90.0, "B": 50.0, "P": 7.0})
    answer = replica(of).ask("a", **{"A": 1.0, name: quantity})
    assert (answer.status, answer.reason) == (status, f"trades.{name}: {reason}")
    assert (answer.before, answer.after, answer.difference, answer.nav, answer.coverage) == ({}, {}, {}, None, None)


def test_a_price_that_is_too_old_costs_nothing_that_is_known() -> None:
    of = market()
    for _ in range(3):
        of.close(A=90.0)
    assert replica(of).ask("a", B=1.0).reason == "trades.B: expected an instrument with a price, was one without"


def test_no_quantity_changes_nothing() -> None:
    answer = replica(market()).ask("a", B=0.0)
    assert (answer.before, tail(answer, "difference")) == (answer.after, (0.0,) * 4)


def test_what_figures_say_nothing_of_is_listed_and_a_large_part_of_it_degrades_them() -> None:
    of = market()
    of.instruments("new")
    of.close_at({"A": 90.0, "B": 50.0, "new": 1.0, "fx:EURUSD": 1.25})
    little, much = (replica(of).ask("a", new=quantity) for quantity in (9.0, 900.0))
    assert (little.uncovered, little.coverage, little.after["historical"].status) == (("new",), 900 / 909, "ok")
    assert (much.uncovered, much.coverage, much.after["historical"].status) == (("new",), 0.5, "degraded")
    assert much.after["historical"].reason == "coverage: expected at least 0.95, was 0.5000"


def test_a_position_without_a_price_leaves_the_nav_unknown_and_is_listed() -> None:
    of = market()
    of.hold("a", {"A": 10.0, "ghost": 1.0}, USD=1_000.0)
    answer = replica(of).ask("a", A=10.0)
    assert (answer.nav, answer.coverage, answer.uncovered) == (None, None, ("ghost",))
    assert answer.after["historical"].reason == "coverage: unknown, because a position has no price"
    assert tail(answer, "difference") == pytest.approx((180.0, 180.0, None, None))


def test_the_answer_names_the_question() -> None:
    answer = replica(market()).ask("a", A=1.0)
    assert (answer.request_id, answer.portfolio_id, answer.currency, answer.status) == ("r1", "a", "USD", "ok")
    assert answer.as_of == log.FIRST_DAY.replace(day=5)


def test_before_the_trades_figures_are_those_of_the_close() -> None:
    read = replica(market())
    answer = read.ask("a", A=1.0)
    methods = closing(read, "a").methods
    assert methods == answer.before
    assert tuple(answer.before) == tuple(answer.after) == tuple(answer.difference) == (*log.methods(), "average")


def test_buying_what_is_held_doubles_its_risk_and_leaves_the_nav() -> None:
    read = replica(market())
    answer = read.ask("a", A=10.0)
    nav = 10 * 90.0 + 1_000
    assert tail(answer, "before") == pytest.approx((180.0, 180.0, 180 / nav, 180 / nav))
    assert tail(answer, "after") == pytest.approx((360.0, 360.0, 360 / nav, 360 / nav))
    assert tail(answer, "difference") == pytest.approx((180.0, 180.0, 180 / nav, 180 / nav))
    assert answer.nav == closing(read, "a").nav.value == nav
    assert answer.coverage == 1.0


def test_the_average_is_that_of_the_methods_by_the_weights_of_the_last_close() -> None:
    read = replica(market())
    answer, weights = read.ask("a", B=20.0), log.backtested(read, "a")[-1].weights
    assert tail(answer, "after", "average")[0] == pytest.approx(
        sum(weight * (tail(answer, "after", name)[0] or 0.0) for name, weight in weights.items())
    )


def test_before_a_portfolio_was_ever_measured_its_average_has_equal_weights() -> None:
    of = market()
    of.book("c", {"A": 10.0})
    answer = replica(of).ask("c", B=20.0)
    mean = sum(tail(answer, "after", name)[0] or 0.0 for name in log.methods()) / 3
    assert tail(answer, "after", "average")[0] == pytest.approx(mean)


def test_selling_all_of_it_leaves_no_risk() -> None:
    answer = replica(market()).ask("a", A=-10.0)
    assert tail(answer, "after")[:2] == (0.0, 0.0)
    assert tail(answer, "difference")[:2] == pytest.approx((-180.0, -180.0))


def test_another_instrument_is_added_scenario_by_scenario() -> None:
    """In the worst scenario of A, B gained 1 in 49."""
    answer = replica(market()).ask("a", B=20.0)
    assert tail(answer, "after")[0] == pytest.approx(180 - 20 * 50 / 49)
    assert tail(answer, "difference")[0] == pytest.approx(-20 * 50 / 49)


def test_a_multiplier_counts_in_what_is_paid_and_in_what_is_exposed() -> None:
    read = replica(market())
    answer = read.ask("a", M=2.0)
    assert answer.nav == closing(read, "a").nav.value
    assert tail(answer, "after")[0] == pytest.approx(180 - 2 * 10 * 50 / 49)


def test_what_is_quoted_abroad_is_paid_in_its_own_money() -> None:
    """The rate never moved: the stock alone is at risk, and the money that is owed is not."""
    read = replica(market())
    answer = read.ask("a", E=4.0)
    assert answer.nav == pytest.approx(closing(read, "a").nav.value)
    assert tail(answer, "difference")[0] == pytest.approx(4 * 90 * 1.25 * 0.2)


def test_a_desk_is_asked_about_as_a_whole() -> None:
    answer = replica(market()).ask("x", A=-10.0)
    assert tail(answer, "after")[0] == pytest.approx(20.0)


def test_prices_and_holdings_are_those_of_this_moment() -> None:
    of = market()
    of.hold("a", {"A": 20.0}, USD=100.0)
    of.slice({"A": 45.0}, hours=2.0)
    answer = replica(of).ask("a", A=20.0)
    assert answer.nav == 1_000.0
    assert answer.as_of == log.FIRST_DAY.replace(day=5, hour=23)
    assert tail(answer, "before")[0] == pytest.approx(0.2 * 900)
    assert tail(answer, "after")[0] == pytest.approx(0.2 * 1_800)


def test_nothing_is_traded_and_closes_go_on_the_same() -> None:
    """Whoever asks, and however often, the bytes of the closes are the same."""
    of = market()
    asked, calm = Replica(log.risk()).adopt(), Replica(log.risk()).adopt()
    for arrival in of.arrivals:
        asked.read([arrival]).measure().ask("a", A=5.0, B=-1.0)
        calm.read([arrival]).measure()
    assert log.by_shard(asked.events) == log.by_shard(calm.events)
    assert asked.ask("a", A=5.0).before == asked.ask("a", B=5.0).before


def test_a_replica_that_does_not_own_the_shard_of_the_portfolio_answers_the_same_but_for_what_is_fitted_to_it() -> None:
    of = market()
    (owner, other), shard = (Replica(log.risk()), Replica(log.risk())), log.partition_of("a")
    other.shards = tuple(p for p in range(log.PARTITIONS) if p != shard)
    answers = [each.adopt().read(of.arrivals).measure().ask("a", A=1.0) for each in (owner, other)]
    assert answers[0] == answers[1]


def test_every_installed_method_answers_with_the_fit_of_the_last_close() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 10.0})
    for day in range(70):
        of.close(A=100.0 + 3 * ((day * 37) % 11) - day % 5)
    read = replica(of, measured_by=methods(60), minimum=60, window=64, history=90)
    answer, close = read.ask("a", A=10.0), closing(read, "a")
    for name, told in answer.before.items():
        if told.status == "ok":
            assert told == close.methods[name]
            after, before = tail(answer, "after", name)[0], tail(answer, "before", name)[0]
            assert after == pytest.approx(2 * (before or 0.0), rel=1e-6)
    assert sum(told.status == "ok" for told in answer.before.values()) >= 7
