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


@pytest.mark.parametrize("name", ["nothing", "fx:EURUSD", "young"])
def test_what_is_unknown_or_no_holding_or_has_no_price_cannot_be_traded(name: str) -> None:
    of = market()
    of.instruments("young")
    answer = replica(of).ask("a", **{"A": 1.0, name: 1.0})
    assert answer.status == Status.UNPRICED
    assert answer.reason == f"trades.{name}: expected an instrument that is held by quantity and has a price"
    assert (answer.before, answer.after) == ({}, {})


def test_the_answer_names_the_question() -> None:
    answer = replica(market()).ask("a", A=1.0)
    assert (answer.request_id, answer.portfolio_id, answer.currency, answer.status) == ("r1", "a", "USD", "ok")
    assert answer.as_of == log.FIRST_DAY.replace(day=5)


def test_before_the_trades_figures_are_those_of_the_close() -> None:
    read = replica(market())
    answer = read.ask("a", A=1.0)
    methods = closing(read, "a").methods
    assert {name: methods[name] for name in answer.before} == answer.before
    assert set(answer.before) == set(answer.after) == set(answer.difference) >= set(log.methods())


def test_buying_what_is_held_doubles_its_risk_and_leaves_the_nav() -> None:
    read = replica(market())
    answer = read.ask("a", A=10.0)
    nav = 10 * 90.0 + 1_000
    assert tail(answer, "before") == pytest.approx((180.0, 180.0, 180 / nav, 180 / nav))
    assert tail(answer, "after") == pytest.approx((360.0, 360.0, 360 / nav, 360 / nav))
    assert tail(answer, "difference") == pytest.approx((180.0, 180.0, 180 / nav, 180 / nav))
    assert answer.nav == closing(read, "a").nav.value == nav
    assert answer.coverage == 1.0


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
