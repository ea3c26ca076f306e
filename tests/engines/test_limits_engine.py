"""The limit engine: events in, events out."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.alerts import AlertChanged
from contracts.event import Arrival, Basis, Status
from contracts.limits import LimitCommandDecided, LimitState
from services.limits.book import book_from_json, book_to_json
from services.limits.engine import CommandKey, Decision, Engine, Step
from tests import limits_log as log

STALE_AFTER = 3
BREACHING = [0.010, 0.016, 0.016, 0.025, 0.018, 0.018, 0.018, 0.005, 0.005, 0.005]
"""99 % VaR by day: with a limit of 0.02 a warning, a breach, back to the warning, and all clear."""


class Desk:
    """An engine fed in batches, with all that it announced, and the decisions that a store would keep."""

    def __init__(self, *, batch: int = 500) -> None:
        self.engine = Engine(stale_after=STALE_AFTER)
        self.batch = batch
        self.log = log.Log()
        self.steps: list[Step] = []
        self.decided: dict[CommandKey, Decision] = {}
        self.waiting: dict[Any, Arrival] = {}

    def feed(self, published: Iterable[log.Published]) -> "Desk":
        self.read(self.log.arrivals(published))
        return self

    def read(self, arrivals: Sequence[Arrival]) -> None:
        for start in range(0, len(arrivals), self.batch):
            self._step(arrivals[start : start + self.batch])

    def _step(self, arrivals: Sequence[Arrival]) -> None:
        step = self.engine.step(arrivals, self.decided)
        self.steps.append(step)
        self.decided |= {decision.key: decision for decision in step.decisions}
        places = {arrival[:3]: arrival for arrival in arrivals}
        self.waiting |= {place: places[place] for place in step.waiting}
        for place in step.consumed:
            del self.waiting[place]

    def restart(self) -> None:
        """Go on with what a store would have: the newest document of each book, and the waiting records."""
        newest = {book.portfolio_id: book_to_json(book) for step in self.steps for book in step.books}
        self.engine = Engine(stale_after=STALE_AFTER)
        self.engine.restore([book_from_json(b) for b in newest.values()], sorted(self.waiting.values()))

    def told(self, kind: type) -> list[Any]:
        return [a.event for step in self.steps for a in step.announcements if isinstance(a.event, kind)]

    def alerts(self, basis: Basis = Basis.CLOSE) -> list[AlertChanged]:
        return [alert for alert in self.told(AlertChanged) if alert.basis == basis]

    @property
    def state(self) -> LimitState:
        return self.told(LimitState)[-1]


def spoken(alerts: Iterable[AlertChanged]) -> list[tuple[str, str, str | None]]:
    return [(alert.type.removeprefix("limit_"), alert.state, alert.period) for alert in alerts]


def days(values: Sequence[float | None], **parts: Any) -> list[log.Published]:
    return [part for day, value in enumerate(values) for part in log.close(day, var_99=value, **parts)]


def test_a_limit_goes_through_warning_breach_and_back_with_one_alert_for_each_step() -> None:
    desk = Desk().feed([*log.define(log.var_limit(0.02)), *days(BREACHING)])
    assert spoken(desk.alerts()) == [
        ("warning", "raised", log.period(2)),
        ("breach", "raised", log.period(3)),
        ("breach", "resolved", log.period(6)),
        ("warning", "resolved", log.period(9)),
    ]


def test_nothing_at_all_changes_nothing() -> None:
    step = Engine(stale_after=STALE_AFTER).step([], {})
    assert step == Step()


def test_a_close_is_not_evaluated_before_its_last_part_has_arrived() -> None:
    desk = Desk(batch=1).feed(log.define(log.var_limit()))
    *first, last = log.close(0)
    desk.feed(first)
    assert desk.state.evaluations == 0
    desk.feed([last])
    assert desk.state.evaluations == 1


def test_a_part_that_never_comes_costs_its_limits_only_once_the_next_close_shows_it() -> None:
    desk = Desk().feed(
        [*log.define(log.var_limit()), *log.define(log.var_limit(limit_id="vol", metric="volatility", base=0.5))]
    )
    desk.feed(log.close(0, without=["tail_risk"]))
    assert desk.state.evaluations == 0
    desk.feed(log.close(1))
    states = {state.limit_id: state for state in desk.told(LimitState)}
    assert states["var"].evaluations == states["vol"].evaluations == 2
    assert states["vol"].utilisation == pytest.approx(0.2)


def test_closes_are_evaluated_in_order_whatever_the_order_of_the_topics() -> None:
    published = days(BREACHING)
    by_topic = [part for topic in sorted({t.name for t, _ in published}) for part in published if part[0].name == topic]
    straight = Desk().feed([*log.define(log.var_limit()), *published])
    crossed = Desk().feed([*log.define(log.var_limit()), *by_topic])
    assert straight.state.chain == crossed.state.chain
    assert straight.alerts() == crossed.alerts()


def test_a_repeated_close_changes_nothing() -> None:
    desk = Desk().feed([*log.define(log.var_limit()), *log.close(0, var_99=0.015)])
    chain = desk.state.chain
    for _ in range(3):
        desk.feed(log.close(0, var_99=0.015))
    assert desk.steps[-1] == Step()
    assert desk.state.chain == chain


def test_a_close_of_an_older_period_comes_too_late() -> None:
    desk = Desk().feed([*log.define(log.var_limit()), *log.close(5), *log.close(4, var_99=0.5)])
    assert desk.state.period == log.period(5)
    assert desk.alerts() == []


def test_a_revision_of_the_newest_period_is_an_evaluation_of_its_own() -> None:
    desk = Desk().feed([*log.define(log.var_limit()), *log.close(0), *log.close(0, var_99=0.5, revision=1)])
    assert desk.state.evaluations == 2
    assert desk.state.level == "breach"


def test_missing_figures_hold_the_level_and_are_told_after_some_closes() -> None:
    desk = Desk().feed([*log.define(log.var_limit()), *days([0.03, None, None, None, None, 0.03])])
    assert spoken(desk.alerts()) == [
        ("breach", "raised", log.period(0)),
        ("data_stale", "raised", log.period(3)),
        ("data_stale", "resolved", log.period(5)),
    ]
    assert desk.state.level == "breach"


@pytest.mark.parametrize("status", [Status.DEGRADED, Status.STALE, Status.UNPRICED])
def test_a_figure_in_doubt_is_shown_and_holds_the_level_although_it_has_a_value(status: Status) -> None:
    desk = Desk().feed([*log.define(log.var_limit()), *log.close(0, var_99=0.03)])
    for day in range(1, 8):
        desk.feed(log.close(day, var_99=0.0001, status=status))
    assert desk.state.level == "breach"
    assert (desk.state.value, desk.state.status, desk.state.utilisation) == (0.0001, status, None)


def test_a_young_book_has_too_little_history_and_that_is_no_alert() -> None:
    desk = Desk().feed(log.define(log.var_limit()))
    for day in range(10):
        desk.feed(log.close(day, var_99=None, status=Status.INSUFFICIENT))
    assert desk.alerts() == []
    assert desk.state.status == Status.INSUFFICIENT


def test_too_little_history_after_there_was_enough_is_stale_data() -> None:
    desk = Desk().feed([*log.define(log.var_limit()), *log.close(0)])
    for day in range(1, 5):
        desk.feed(log.close(day, var_99=None, status=Status.INSUFFICIENT))
    assert spoken(desk.alerts()) == [("data_stale", "raised", log.period(3))]


def test_a_method_that_nobody_publishes_is_stale_data() -> None:
    desk = Desk().feed([*log.define(log.var_limit(method="tea_leaves")), *days([0.01] * 3)])
    assert spoken(desk.alerts()) == [("data_stale", "raised", log.period(2))]


def test_an_exception_in_one_limit_is_its_own_alert_and_the_others_go_on() -> None:
    tiny = log.var_limit(5e-324, limit_id="tiny")
    desk = Desk().feed([*log.define(tiny), *log.define(log.var_limit())])
    desk.feed([*log.close(0, var_99=0.03), *log.close(1, var_99=0.03), *log.close(2, var_99=0.0)])
    of_tiny = [alert for alert in desk.alerts() if alert.limit_id == "tiny"]
    assert spoken(of_tiny) == [("engine_error", "raised", log.period(0)), ("engine_error", "resolved", log.period(2))]
    assert "utilisation: expected a finite number" in of_tiny[0].message
    assert spoken(a for a in desk.alerts() if a.limit_id == "var") == [("breach", "raised", log.period(0))]


def test_a_limit_in_another_currency_than_its_portfolio_is_an_engine_error() -> None:
    desk = Desk().feed([*log.define(log.var_limit(2.0, currency="EUR")), *log.close(0)])
    assert spoken(desk.alerts()) == [("engine_error", "raised", log.period(0))]
    assert "expected USD, the portfolio's, was EUR" in desk.alerts()[0].message


@pytest.mark.parametrize(
    ("limit", "figures", "value", "utilisation"),
    [
        ({"metric": "var_99", "base": 0.02}, {"var_99": 0.01}, 0.01, 0.5),
        ({"metric": "var_99", "base": 2.0, "currency": "USD"}, {"var_99": 0.01}, 1.0, 0.5),
        ({"metric": "es_975", "base": 0.02}, {"var_99": 0.01}, 0.012, 0.6),
        ({"metric": "volatility", "base": 0.4}, {"volatility": 0.1}, 0.1, 0.25),
        ({"metric": "drawdown", "base": 0.2}, {"drawdown": 0.1}, 0.1, 0.5),
        ({"metric": "gross", "base": 8.0, "currency": "USD"}, {"gross": 2.0}, 2.0, 0.25),
        ({"metric": "net", "base": 8.0, "currency": "USD"}, {"net": -6.0}, -6.0, 0.75),
        ({"metric": "leverage", "base": 2.0}, {"leverage": 1.5}, 1.5, 0.75),
        ({"metric": "concentration_hhi", "base": 0.5}, {"concentration_hhi": 0.2}, 0.2, 0.4),
        ({"metric": "leverage", "base": 2.0, "direction": "min"}, {"leverage": 2.0}, 2.0, 1.0),
        ({"metric": "leverage", "base": 2.0, "direction": "min"}, {"leverage": 1.0}, 1.0, 1.5),
        ({"metric": "leverage", "base": 2.0, "direction": "min"}, {"leverage": -1.0}, -1.0, 2.5),
    ],
)
def test_each_metric_is_held_against_its_figure(
    limit: dict[str, Any], figures: dict[str, float], value: float, utilisation: float
) -> None:
    desk = Desk().feed([*log.define(log.var_limit(**limit)), *log.close(0, **figures)])  # type: ignore[arg-type]
    assert desk.state.value == pytest.approx(value)
    assert desk.state.utilisation == pytest.approx(utilisation)


def test_a_command_is_decided_once_and_answered_as_often_as_it_is_given() -> None:
    desk = Desk(batch=2)
    for _ in range(3):
        desk.feed(log.define(log.var_limit(), key="k"))
    outcomes = desk.told(LimitCommandDecided)
    assert [outcome.outcome for outcome in outcomes] == ["accepted"] * 3
    assert len({outcome.to_json() for outcome in outcomes}) == 1
    assert len([definition for step in desk.steps for definition in step.definitions]) == 1


def test_a_key_used_for_another_command_is_refused_and_the_limit_stays() -> None:
    desk = Desk().feed([*log.define(log.var_limit(0.02), key="k"), *log.define(log.var_limit(0.9), key="k")])
    first, second = desk.told(LimitCommandDecided)
    assert (second.outcome, second.reason) == ("rejected", "key_reused")
    assert first.event_id != second.event_id
    assert desk.state.base == 0.02


def test_a_limit_on_another_portfolio_than_the_command_is_refused() -> None:
    desk = Desk().feed(log.define(log.var_limit(book="book-02"), portfolio_id="book-01"))
    (outcome,) = desk.told(LimitCommandDecided)
    assert (outcome.outcome, outcome.reason) == ("rejected", "wrong_portfolio")
    assert "expected book-01, the command's, was book-02" in outcome.message


def test_a_limit_in_another_currency_is_refused_once_the_portfolio_s_is_known() -> None:
    desk = Desk().feed([*log.close(0, currency="EUR"), *log.define(log.var_limit(1.0, currency="USD"))])
    (outcome,) = desk.told(LimitCommandDecided)
    assert outcome.reason == "currency_mismatch"


def test_a_redefinition_keeps_the_level_and_counts_anew_against_the_new_base() -> None:
    desk = Desk().feed([*log.define(log.var_limit(0.02)), *days([0.03, 0.001, 0.001])])
    desk.feed(log.define(log.var_limit(0.04)))
    assert (desk.state.version, desk.state.level, desk.state.base) == (2, "breach", 0.04)
    for day, level in ((3, "breach"), (4, "breach"), (5, "ok")):
        desk.feed(log.close(day, var_99=0.001))
        assert desk.state.level == level


def test_a_redefinition_of_the_owner_alone_keeps_the_counts() -> None:
    desk = Desk().feed([*log.define(log.var_limit(0.02)), *days([0.03, 0.001, 0.001])])
    desk.feed(log.define(log.var_limit(0.02, owner="somebody else"), key="new owner"))
    desk.feed(log.close(3, var_99=0.001))
    assert (desk.state.version, desk.state.level) == (2, "ok")


def test_the_same_definition_again_makes_no_new_version() -> None:
    desk = Desk().feed([*log.define(log.var_limit(), key="a"), *log.define(log.var_limit(), key="b")])
    assert [outcome.version for outcome in desk.told(LimitCommandDecided)] == [1, 1]


def test_live_figures_warn_early_and_the_close_that_agrees_raises_its_own_alert() -> None:
    desk = Desk(batch=1).feed([*log.define(log.var_limit(0.02)), *log.close(0)])
    desk.feed(log.live(1, 30, var_99=0.03))
    assert (desk.state.level, desk.state.live_level, desk.state.basis) == ("ok", "breach", "live")
    (early,) = desk.alerts(Basis.LIVE)
    assert (early.type, early.state, early.period) == ("limit_breach", "raised", None)
    desk.feed(log.close(1, var_99=0.025))
    assert (desk.state.level, desk.state.live_level) == ("breach", "breach")
    closing, resolved = [a for a in desk.told(AlertChanged) if a.period == log.period(1)]
    assert (closing.basis, closing.state) == ("close", "raised")
    assert (resolved.basis, resolved.state, resolved.alert_id) == ("live", "resolved", early.alert_id)
    assert closing.alert_id != early.alert_id


def test_an_early_warning_gets_worse_but_never_better_before_the_close() -> None:
    desk = Desk(batch=1).feed([*log.define(log.var_limit(0.02)), *log.close(0)])
    for minutes, var_99, level in ((40, 0.019, "warn"), (30, 0.03, "breach"), (20, 0.001, "breach")):
        desk.feed(log.live(1, minutes, var_99=var_99))
        assert desk.state.live_level == level
    desk.feed(log.close(1, var_99=0.001))
    assert (desk.state.level, desk.state.live_level) == ("ok", "ok")
    assert [a.state for a in desk.alerts(Basis.LIVE)] == ["raised", "raised", "resolved", "resolved"]
    assert desk.alerts() == []


def test_a_live_figure_from_before_the_last_close_is_old_news() -> None:
    desk = Desk(batch=1).feed([*log.define(log.var_limit()), *log.close(1), *log.live(1, 5, var_99=0.9)])
    assert desk.alerts(Basis.LIVE) == []


def test_a_close_does_not_overrule_what_live_figures_say_of_the_time_after_it() -> None:
    desk = Desk(batch=1).feed([*log.define(log.var_limit(0.02)), *log.live(1, 5, var_99=0.03), *log.close(0)])
    assert (desk.state.level, desk.state.live_level) == ("ok", "breach")
    desk.feed(log.close(1))
    assert desk.state.live_level == "ok"


def test_a_close_without_a_figure_leaves_the_early_warning_standing() -> None:
    desk = Desk(batch=1).feed([*log.define(log.var_limit(0.02)), *log.live(0, 5, var_99=0.03)])
    desk.feed(log.close(0, var_99=None))
    assert desk.state.live_level == "breach"


def test_live_figures_that_hardly_move_are_no_news() -> None:
    desk = Desk(batch=1).feed([*log.define(log.var_limit(0.02)), *log.live(0, 30, var_99=0.01)])
    desk.feed(log.live(0, 20, var_99=0.0101))
    assert desk.steps[-1] == Step()
    desk.feed(log.live(0, 10, var_99=0.0105))
    assert desk.state.value == 0.0105


def test_live_figures_of_a_batch_are_conflated_to_the_newest() -> None:
    desk = Desk().feed(log.define(log.var_limit(0.02)))
    desk.feed([*log.live(0, 30, var_99=0.5), *log.live(0, 20, var_99=0.011)])
    assert (desk.state.value, desk.state.live_level) == (0.011, "ok")


def test_states_are_conflated_to_the_newest_of_a_batch_and_numbered() -> None:
    desk = Desk().feed([*log.define(log.var_limit()), *days(BREACHING)])
    assert [state.sequence for state in desk.told(LimitState)] == [1]
    assert desk.state.evaluations == len(BREACHING)
    desk.feed(log.close(20))
    assert desk.state.sequence == 2


def test_a_restart_between_the_parts_of_a_close_goes_on_as_if_nothing_had_been() -> None:
    straight, restarted = Desk(batch=1), Desk(batch=1)
    for part in [*log.define(log.var_limit()), *days(BREACHING), *log.live(11, 3, var_99=0.03)]:
        straight.feed([part])
        restarted.feed([part])
        restarted.restart()
    assert restarted.told(object) == straight.told(object)
    assert restarted.waiting == {}


def closing_history(desk: Desk) -> dict[str, Any]:
    """What must not depend on how the log was read."""
    alerts = defaultdict(list)
    for alert in desk.alerts():
        alerts[alert.portfolio_id, alert.limit_id].append(alert.to_json())
    states = {(s.portfolio_id, s.limit_id): (s.chain, s.evaluations, s.level) for s in desk.told(LimitState)}
    return {"alerts": dict(alerts), "states": states}


values = st.one_of(st.none(), st.floats(-0.01, 0.05))
missing_parts = st.sets(st.sampled_from(["valuation", "basic", "risk", "drawdown", "tail_risk"]), max_size=3)
market = st.lists(st.tuples(values, missing_parts), min_size=1, max_size=8)
whole = log.close(99)  # settles whatever was incomplete before it


def commands() -> list[log.Published]:
    limits = [log.var_limit(), log.var_limit(limit_id="draw", metric="drawdown", base=0.01)]
    limits += [log.var_limit(limit_id="tiny", base=5e-324), log.var_limit(book="book-02")]
    return [part for limit in limits for part in log.define(limit)]


def story(closes: Sequence[tuple[float | None, set[str]]]) -> list[log.Published]:
    parts = [
        part
        for day, (value, without) in enumerate(closes)
        for book in ("book-01", "book-02")
        for part in log.close(day, book=book, var_99=value, drawdown=value, without=sorted(without))
    ]
    return [*parts, *whole, *log.close(99, book="book-02")]


def interleaved(published: Sequence[log.Published], chance: random.Random) -> list[log.Published]:
    """Any order that keeps each topic's own."""
    queues: dict[str, list[log.Published]] = defaultdict(list)
    for part in published:
        queues[part[0].name].append(part)
    mixed = []
    while queues:
        name = chance.choice(sorted(queues))
        mixed.append(queues[name].pop(0))
        if not queues[name]:
            del queues[name]
    return mixed


@settings(max_examples=60, deadline=None)
@given(market, st.randoms(use_true_random=False), st.sampled_from([1, 3, 500]))
def test_any_interleaving_and_batch_size_leads_to_the_same_closing_history(
    closes: Sequence[tuple[float | None, set[str]]], chance: random.Random, batch: int
) -> None:
    published = story(closes)
    expected = closing_history(Desk().feed([*commands(), *published]))
    assert closing_history(Desk(batch=batch).feed([*commands(), *interleaved(published, chance)])) == expected


@settings(max_examples=40, deadline=None)
@given(market, st.randoms(use_true_random=False), st.data())
def test_live_figures_change_nothing_that_closes_decide(
    closes: Sequence[tuple[float | None, set[str]]], chance: random.Random, data: st.DataObject
) -> None:
    published = story(closes)
    expected = closing_history(Desk().feed([*commands(), *published]))
    moments = data.draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 99), st.floats(-0.01, 0.1)), max_size=20))
    figures = [part for day, minutes, value in moments for part in log.live(day, minutes, var_99=value)]
    assert closing_history(Desk(batch=2).feed([*commands(), *interleaved([*published, *figures], chance)])) == expected


@settings(max_examples=40, deadline=None)
@given(market, st.data())
def test_records_read_twice_change_nothing(
    closes: Sequence[tuple[float | None, set[str]]], data: st.DataObject
) -> None:
    published = [*commands(), *story(closes)]
    expected = closing_history(Desk().feed(published))
    again = data.draw(st.lists(st.integers(0, len(published) - 1), max_size=10))
    repeated = [part for place, part in enumerate(published) for part in (part,) * (1 + again.count(place))]
    assert closing_history(Desk(batch=5).feed(repeated)) == expected


@settings(max_examples=40, deadline=None)
@given(market, st.randoms(use_true_random=False), st.data())
def test_restarts_at_any_record_change_nothing(
    closes: Sequence[tuple[float | None, set[str]]], chance: random.Random, data: st.DataObject
) -> None:
    published = [*commands(), *interleaved(story(closes), chance)]
    expected = closing_history(Desk().feed(published))
    crashes = data.draw(st.sets(st.integers(0, len(published)), max_size=5))
    desk = Desk(batch=1)
    for place, part in enumerate(published):
        if place in crashes:
            desk.restart()
        desk.feed([part])
    assert closing_history(desk) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-0.01, 0.05), min_size=1, max_size=12), st.data())
def test_missing_figures_never_loosen_and_never_open(measured: list[float], data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(0, 3), min_size=len(measured), max_size=len(measured)))
    with_gaps = [v for value, gap in zip(measured, gaps, strict=True) for v in (value, *[None] * gap)]
    gapless = Desk().feed([*log.define(log.var_limit()), *days(measured)])
    gappy = Desk().feed([*log.define(log.var_limit()), *days(with_gaps)])
    assert gappy.state.level == gapless.state.level
    kinds = ("limit_warning", "limit_breach")
    assert [(a.type, a.state) for a in gappy.alerts() if a.type in kinds] == [
        (a.type, a.state) for a in gapless.alerts()
    ]
