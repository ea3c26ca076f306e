"""Snapshot, delta, conflation and resume: a client ends in the state of the log, however it got there."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import topics
from contracts.event import Basis
from contracts.gateway import AnalyticsUpdate, Gap, RiskAlert, SubscriptionConfirmed
from services.gateway.subscriptions import FLUSHES_IN_A_ROW, QUEUED_UPDATES_MAX
from tailstream.client.updates import Snapshot, Update
from tailstream.runtime.records import Record
from tests.gateway_desk import NOW, Desk, Watcher, alerts, analytics, limits, risk, say, state_of, taken, token
from tests.gateway_log import Log

BOOKS = ("A", "B", "C")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def desk(log: Log) -> Desk:
    desk = Desk()
    desk.read(*(log.defined(book) for book in BOOKS))
    return desk


def nav(message: Any) -> float:
    value: float = message.data.figures["nav"].value
    return value


def test_a_client_of_a_portfolio_without_figures_gets_an_empty_snapshot(desk: Desk) -> None:
    session = desk.connected()
    say(session, analytics())
    (confirmed,) = taken(session)
    assert isinstance(confirmed, SubscriptionConfirmed)
    assert (confirmed.seq, confirmed.recovered, confirmed.snapshot) == (0, False, ())


def test_a_late_client_gets_the_snapshot_and_then_every_delta_in_order(desk: Desk, log: Log) -> None:
    for number in range(3):
        desk.read(log.computed("A", number), log.computed("A", number, "risk", Basis.CLOSE), log.computed("B", number))
    session = desk.connected()
    say(session, analytics())
    desk.read(log.computed("A", 3))
    desk.read(log.computed("B", 3))
    confirmed, first = taken(session)
    desk.read(log.computed("A", 4))
    (second,) = taken(session)
    assert [(entry.group, nav(entry)) for entry in confirmed.snapshot] == [("basic/live", 2.0), ("risk/close", 2.0)]
    assert [(u.seq, u.group, u.conflated, nav(u)) for u in (first, second)] == [
        (1, "basic/live", False, 3.0),
        (2, "basic/live", False, 4.0),
    ]


def test_a_live_figure_never_hides_the_close_before_it(desk: Desk, log: Log) -> None:
    desk.read(log.computed("A", 1, basis=Basis.CLOSE), log.computed("A", 2, basis=Basis.LIVE))
    session = desk.connected()
    say(session, analytics())
    (confirmed,) = taken(session)
    assert {entry.group: nav(entry) for entry in confirmed.snapshot} == {"basic/close": 1.0, "basic/live": 2.0}


def test_each_channel_delivers_its_own_events_whole(desk: Desk, log: Log) -> None:
    session = desk.connected()
    for asked in (analytics(), risk(), limits(), alerts("A")):
        say(session, asked)
    taken(session)
    records = [log.valued("A", 1), log.measured("A", 1, Basis.CLOSE), log.state("A", 1), log.alert("A", 1)]
    desk.read(*records)
    valued, measured, state, alert = taken(session)
    assert [m.type for m in (valued, measured, state, alert)] == [
        "analytics_update", "risk_update", "limit_update", "risk_alert",
    ]  # fmt: skip
    sent = [valued.data, measured.data, state.data, alert.alert]
    assert [event.to_json() for event in sent] == [record.value for record in records]


def test_a_blocked_client_gets_the_newest_value_of_each_group_marked_as_conflated(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, analytics())
    taken(session)
    for number in range(5):
        desk.read(log.computed("A", number, "basic"))
    desk.read(log.computed("A", 9, "risk"))
    updates = taken(session)
    assert [(u.seq, u.group, nav(u), u.conflated) for u in updates] == [
        (1, "basic/live", 4.0, True),
        (2, "risk/live", 9.0, False),
    ]
    assert desk.engine.counts.conflated == 4


def test_what_waited_is_sent_in_the_order_of_the_log_so_that_every_position_holds(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, analytics())
    taken(session)
    desk.read(log.computed("A", 1, "basic"), log.computed("A", 2, "risk"), log.computed("A", 3, "basic"))
    updates = taken(session)
    assert [nav(update) for update in updates] == [2.0, 3.0]
    back = desk.connected()
    say(back, analytics(recover={"position": updates[0].position}))
    confirmed, missed = taken(back)
    assert (confirmed.recovered, nav(missed)) == (True, 3.0)


def test_a_ping_does_not_pass_over_what_still_waits(desk: Desk, log: Log) -> None:
    watcher = Watcher()
    watcher.join(desk)
    subscription = watcher.subscribe(analytics(max_rate_hz=0.01))
    watcher.take()
    desk.read(log.computed("A", 1))
    watcher.take()
    desk.read(log.computed("A", 2))
    assert [message.type for message in watcher.take(seconds=30)] == ["ping"]
    watcher.join(desk)
    watcher.take()
    assert state_of(subscription)["basic/live"]["figures"]["nav"]["value"] == 2.0


def test_updates_faster_than_the_tick_are_sent_at_once_and_then_conflated_on_the_tick(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, analytics())
    taken(session)
    received: list[tuple[float, float]] = []
    for step in range(2_000):  # one update a millisecond, for two seconds
        now = NOW + step / 1000
        desk.read(log.computed("A", step))
        received += [(now, nav(update)) for update in taken(session, now)]
    at_once = [now for now, _ in received if now < NOW + 0.02]
    assert len(at_once) >= FLUSHES_IN_A_ROW
    assert FLUSHES_IN_A_ROW + 35 <= len(received) <= FLUSHES_IN_A_ROW + 45
    numbers = [number for _, number in received]
    assert numbers == sorted(numbers)
    assert session.due() <= NOW + 2.05
    (last,) = taken(session, NOW + 2.05)
    assert nav(last) == 1999.0


def test_updates_slower_than_the_tick_are_never_held_back(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, analytics())
    taken(session)
    for step in range(100):
        now = NOW + step * 0.06
        desk.read(log.computed("A", step))
        assert [nav(update) for update in taken(session, now)] == [step]


def test_a_rate_that_was_asked_for_is_kept(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, analytics(max_rate_hz=2))
    taken(session)
    count = 0
    for step in range(500):
        desk.read(log.computed("A", step))
        count += len(taken(session, NOW + step / 100))
    assert 9 <= count <= 11


def test_a_distinct_subscription_gets_every_single_value(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, analytics(mode="distinct"))
    taken(session)
    desk.read(*(log.computed("A", number) for number in range(50)))
    assert [nav(update) for update in taken(session)] == list(range(50))


def test_figures_can_be_chosen_by_name_and_an_update_without_any_of_them_is_not_sent(desk: Desk, log: Log) -> None:
    desk.read(log.computed("A", 1))
    session = desk.connected()
    say(session, analytics(metrics=("nav",)))
    say(session, analytics(metrics=("nothing",), id="none"))
    chosen, none = taken(session)
    assert [set(entry.data.figures) for entry in chosen.snapshot] == [{"nav"}]
    assert none.snapshot == ()
    desk.read(log.computed("A", 2), log.valued("A", 1))
    updates = taken(session)
    assert [(u.sub_id, u.group) for u in updates] == [("s1", "basic/live"), ("s1", "valuation/close")]
    assert set(updates[0].data.figures) == {"nav"}


def test_a_tombstone_tells_that_a_group_is_no_more(desk: Desk, log: Log) -> None:
    desk.read(log.computed("A", 1))
    watcher = Watcher()
    watcher.join(desk)
    subscription = watcher.subscribe(analytics())
    watcher.take()
    assert state_of(subscription).keys() == {"basic/live"}
    desk.read(log.append(topics.ANALYTICS_LIVE, None, "A/basic"))
    (update,) = watcher.take()
    assert isinstance(update, AnalyticsUpdate)
    assert update.data is None
    assert state_of(subscription) == {}


def test_alerts_of_all_portfolios_reach_only_those_that_may_see_them(desk: Desk, log: Log) -> None:
    session = desk.connected(token(["A"]))
    say(session, alerts("*"))
    taken(session)
    desk.read(log.alert("A", 1), log.alert("B", 1))
    assert [message.alert.portfolio_id for message in taken(session)] == ["A"]


def test_alerts_can_be_chosen_by_severity_and_type(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, alerts(severity_level="warning", id="severe"))
    say(session, alerts(alert_types=("data_stale",), id="stale"))
    taken(session)
    desk.read(log.alert("A", 1, severity="info"), log.alert("A", 2, severity="warning"))
    assert [(m.sub_id, m.alert.severity) for m in taken(session)] == [("s1", "warning")]


def test_the_snapshot_of_alerts_holds_those_that_are_open(desk: Desk, log: Log) -> None:
    desk.read(log.alert("A", 1), log.alert("B", 2), log.alert("A", 3, "resolved", alert=1))
    session = desk.connected()
    say(session, alerts())
    (confirmed,) = taken(session)
    assert [entry.data.portfolio_id for entry in confirmed.snapshot] == ["B"]


def test_an_alert_that_is_published_again_is_sent_once(desk: Desk, log: Log) -> None:
    session = desk.connected()
    say(session, alerts())
    taken(session)
    desk.read(log.alert("A", 1), log.alert("A", 1), log.alert("A", 2))
    assert len(taken(session)) == 2
    assert desk.engine.counts.repeats == 1


def test_a_client_that_leaves_a_thousand_alerts_unread_is_told_which_are_lost(desk: Desk, log: Log) -> None:
    watcher = Watcher()
    watcher.join(desk)
    watcher.subscribe(alerts())
    watcher.take()
    desk.read(*(log.alert("A", number) for number in range(QUEUED_UPDATES_MAX + 3)))
    (batch,) = watcher.take()
    gap, *rest = batch.items
    assert isinstance(gap, Gap)
    assert (gap.from_seq, gap.to_seq) == (1, QUEUED_UPDATES_MAX + 1)
    assert [alert.seq for alert in rest] == [QUEUED_UPDATES_MAX + 2, QUEUED_UPDATES_MAX + 3]
    assert desk.engine.counts.dropped == QUEUED_UPDATES_MAX + 1


def resumed(desk: Desk, position: str) -> tuple[SubscriptionConfirmed, list[Any]]:
    session = desk.connected()
    say(session, alerts(recover={"position": position}))
    confirmed, *rest = taken(session)
    assert isinstance(confirmed, SubscriptionConfirmed)
    return confirmed, rest


def position_after(desk: Desk, log: Log, numbers: range) -> str:
    session = desk.connected()
    say(session, alerts())
    taken(session)
    desk.read(*(log.alert(BOOKS[number % 3], number) for number in numbers))
    last = taken(session)[-1]
    assert isinstance(last, RiskAlert)
    return last.position


def test_a_client_that_comes_back_gets_every_alert_it_missed(desk: Desk, log: Log) -> None:
    position = position_after(desk, log, range(5))
    desk.read(*(log.alert(BOOKS[number % 3], number) for number in range(5, 15)))
    confirmed, missed = resumed(desk, position)
    assert (confirmed.recovered, confirmed.snapshot, confirmed.replayed) == (True, None, 10)
    assert [alert.seq for alert in missed] == list(range(1, 11))
    assert len({alert.alert.event_id for alert in missed}) == 10


def test_another_replica_that_read_the_partitions_in_another_order_resumes_the_same(desk: Desk, log: Log) -> None:
    records = [log.alert(BOOKS[number % 3], number) for number in range(15)]
    session = desk.connected()
    say(session, alerts())
    taken(session)
    desk.read(*records[:6])
    position = taken(session)[-1].position
    other = Desk()
    other.read(*sorted(records, key=lambda record: (record.partition, record.offset)))
    confirmed, missed = resumed(other, position)
    assert confirmed.recovered
    assert {str(alert.alert.event_id) for alert in missed} == {event_id_of(record) for record in records[6:]}


def event_id_of(record: Record) -> str:
    event_id: str = json.loads(record.value or b"")["event_id"]
    return event_id


def test_a_position_that_fell_out_of_the_ring_gets_a_snapshot(log: Log) -> None:
    desk = Desk(ring_updates_max=4)
    desk.read(log.defined("A"))
    position = position_after(desk, log, range(0, 3, 3))
    desk.read(*(log.alert("A", number) for number in range(5, 15)))
    confirmed, missed = resumed(desk, position)
    assert not confirmed.recovered
    assert confirmed.snapshot is not None
    assert len(confirmed.snapshot) == 11
    assert missed == []


def test_a_topic_that_was_made_anew_is_noticed(desk: Desk, log: Log) -> None:
    position = position_after(desk, log, range(6))
    anew, fresh = Desk(), Log()
    anew.read(*(fresh.alert(BOOKS[number % 3], number) for number in range(100, 120)))
    confirmed, _ = resumed(anew, position)
    assert not confirmed.recovered


@pytest.mark.parametrize("position", ["", "nonsense", "9:5~x", "0:1.2.3~x", "999999999:1~", "0:99999999999999~x"])
def test_a_position_that_no_gateway_wrote_gets_a_snapshot(desk: Desk, log: Log, position: str) -> None:
    desk.read(log.alert("A", 1))
    confirmed, _ = resumed(desk, position)
    assert not confirmed.recovered
    assert confirmed.snapshot is not None
    assert len(confirmed.snapshot) == 1


def test_a_replica_that_has_not_read_so_far_gives_a_snapshot(desk: Desk, log: Log) -> None:
    records = [log.alert("A", number) for number in range(6)]
    session = desk.connected()
    say(session, alerts())
    taken(session)
    desk.read(*records)
    position = taken(session)[-1].position
    behind = Desk()
    behind.read(*records[:3])
    assert not resumed(behind, position)[0].recovered


def test_a_ping_brings_silent_subscriptions_to_where_the_log_is(desk: Desk, log: Log) -> None:
    watcher = Watcher()
    watcher.join(desk)
    subscription = watcher.subscribe(alerts("A", severity_level="critical"))
    watcher.take()
    before = subscription.position
    desk.read(*(log.alert("A", number, severity="info") for number in range(3)))
    watcher.take(seconds=30)
    assert subscription.position != before


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_happens_a_client_ends_in_the_state_of_the_log(data: st.DataObject) -> None:
    log = Log()
    definitions = [log.defined(book) for book in BOOKS]
    desks = [Desk(ring_updates_max=data.draw(st.sampled_from([2, 8, 1_000]))) for _ in range(2)]
    unread: list[dict[tuple[str, int], list[Record]]] = [{}, {}]
    truth: dict[str, dict[str, Any]] = {book: {} for book in BOOKS}
    for desk in desks:
        desk.read(*definitions)

    def publish(number: int) -> None:
        book = data.draw(st.sampled_from(BOOKS))
        kind = data.draw(st.sampled_from(["basic", "risk", "close", "valuation", "gone"]))
        record = {
            "basic": lambda: log.computed(book, number),
            "risk": lambda: log.computed(book, number, "risk"),
            "close": lambda: log.computed(book, number, "basic", Basis.CLOSE),
            "valuation": lambda: log.valued(book, number),
            "gone": lambda: log.append(topics.ANALYTICS_LIVE, None, f"{book}/basic"),
        }[kind]()
        group = {"basic": "basic/live", "risk": "risk/live", "close": "basic/close", "valuation": "valuation/close"}
        if kind == "gone":
            truth[book].pop("basic/live", None)
        else:
            truth[book][group[kind]] = json.loads(record.value or b"")
        for shards in unread:
            shards.setdefault((record.topic, record.partition), []).append(record)

    def read(desk: int, count: int) -> None:
        """Each replica reads the partitions in an order of its own."""
        if unread[desk]:
            shard = data.draw(st.sampled_from(sorted(unread[desk])))
            desks[desk].read(*unread[desk][shard][:count])
            del unread[desk][shard][:count]
            if not unread[desk][shard]:
                del unread[desk][shard]

    watcher = Watcher()
    watcher.join(desks[0])
    subscriptions = {
        book: watcher.subscribe(analytics(book, mode="distinct" if book == "B" else "merge")) for book in BOOKS
    }
    here = 0
    for number in range(data.draw(st.integers(0, 40))):
        match data.draw(st.sampled_from(["publish", "publish", "publish", "read", "take", "leave"])):
            case "publish":
                publish(number)
            case "read":
                read(data.draw(st.integers(0, 1)), data.draw(st.integers(1, 5)))
            case "take":
                watcher.take(data.draw(st.sampled_from([0.0, 0.01, 0.06, 1.0])))
            case "leave":
                here = data.draw(st.integers(0, 1))
                watcher.join(desks[here])
    for number in range(2):
        while unread[number]:
            read(number, 100)
    watcher.take(5.0)
    assert {book: state_of(subscription) for book, subscription in subscriptions.items()} == truth


@given(st.lists(st.tuples(st.sampled_from(BOOKS), st.sampled_from(["take", "leave", "stay", "stay"])), max_size=60))
@settings(max_examples=100, deadline=None)
def test_no_alert_is_lost_or_out_of_order_through_any_number_of_reconnects(steps: list[tuple[str, str]]) -> None:
    log, desk, watcher = Log(), Desk(), Watcher()
    watcher.join(desk)
    watcher.subscribe(alerts())
    watcher.take()
    published: list[str] = []
    for number, (book, then) in enumerate(steps):
        record = log.alert(book, number)
        published.append(event_id_of(record))
        desk.read(record)
        if then == "take":
            watcher.take(0.01)
        elif then == "leave":
            watcher.join(desk)
    watcher.take()
    snapshots = [item for item in watcher.items if isinstance(item, Snapshot)]
    assert [len(snapshot.updates) for snapshot in snapshots] == [0]
    received = [item.data["event_id"] for item in watcher.items if isinstance(item, Update) and item.data]
    assert sorted(received) == sorted(published)
