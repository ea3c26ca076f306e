"""The protocol of one connection: tokens, nonsense, limits, timers; whatever is wrong gets a clear answer."""

import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.gateway import (
    CLIENT_TYPES,
    Ack,
    CloseCode,
    Connect,
    Connected,
    Draining,
    Error,
    ErrorCode,
    Ping,
    Pong,
    Refresh,
    ServerMessage,
    SubscriptionRevoked,
    TokenExpiring,
    UnsubscribeAnalytics,
    UnsubscribeRisk,
)
from services.gateway.session import Session
from tests.gateway_desk import NOW, SECRET, TERMS, Desk, alerts, analytics, limits, risk, say, taken, token
from tests.gateway_log import Log


@pytest.fixture
def desk() -> Desk:
    desk, log = Desk(), Log()
    desk.read(*(log.defined(book) for book in ("A", "B")))
    return desk


def refused(session: Session, message: Any, now: float = NOW) -> Error:
    say(session, message, now)
    (error,) = taken(session, now)
    assert isinstance(error, Error)
    assert session.closing is None
    return error


def closed_with(session: Session) -> CloseCode:
    assert session.closing is not None
    return session.closing.code


def payload(**changes: Any) -> dict[str, Any]:
    return {"sub": "ann", "exp": NOW + 60, "roles": ["viewer"], "portfolios": "*", **changes}


BAD_TOKENS = {
    "missing": None,
    "empty": "",
    "no token": "nonsense",
    "expired": token(ttl=60, now=NOW - 61),
    "expires now": token(ttl=60, now=NOW - 60),
    "another secret": jwt.encode(payload(), "another secret, which is long enough too", "HS256"),
    "unsigned": jwt.encode(payload(), None, "none"),
    "another algorithm": jwt.encode(payload(), SECRET * 2, "HS512"),
    "no expiry": jwt.encode({k: v for k, v in payload().items() if k != "exp"}, SECRET, "HS256"),
    "no roles": jwt.encode(payload(roles=[]), SECRET, "HS256"),
    "unknown role": jwt.encode(payload(roles=["king"]), SECRET, "HS256"),
    "no portfolios": jwt.encode({k: v for k, v in payload().items() if k != "portfolios"}, SECRET, "HS256"),
    "infinite": jwt.encode(payload(exp="Infinity"), SECRET, "HS256"),
}


@pytest.mark.parametrize("bad", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_a_bad_token_gets_nothing(desk: Desk, bad: str | None) -> None:
    session = desk.session()
    say(session, Connect(token=bad))
    say(session, analytics())
    assert taken(session) == []
    assert closed_with(session) is CloseCode.TOKEN


def test_a_good_token_is_told_the_terms(desk: Desk) -> None:
    session = desk.session()
    say(session, Connect(token=token(ttl=600)))
    (connected,) = taken(session)
    assert isinstance(connected, Connected)
    assert (connected.token_ttl_s, connected.limits.max_msg_bytes) == (600, 65_536)
    assert connected.server_id == "gateway-test"


def test_the_token_of_the_upgrade_request_is_as_good(desk: Desk) -> None:
    session = desk.session()
    session.authorise(token(), NOW)
    say(session, Connect())
    assert [message.type for message in taken(session)] == ["connected"]
    refused_session = desk.session()
    refused_session.authorise("nonsense", NOW)
    assert closed_with(refused_session) is CloseCode.TOKEN


@pytest.mark.parametrize("early", [analytics(), Refresh(token=token()), Pong()], ids=lambda message: message.type)
def test_whoever_asks_before_connecting_gets_nothing(desk: Desk, early: Any) -> None:
    session = desk.session()
    say(session, early)
    assert taken(session) == []
    assert closed_with(session) is CloseCode.TOKEN


NONSENSE = {
    "no JSON": ("garbage", "message: Invalid JSON"),
    "no object": ("[1]", "message: Input should be an object"),
    "no type": ('{"id": "x"}', "type: expected one, was missing"),
    "unknown type": ('{"type": "sudo", "id": "x"}', "type: expected one of connect, refresh"),
    "type of another kind": ('{"type": 7}', "type: expected one of"),
    "missing field": ('{"type": "subscribe_risk", "id": "x"}', "portfolio_id: Field required"),
    "wrong type": ('{"type": "subscribe_risk", "id": "x", "portfolio_id": 7}', "portfolio_id: Input should be a valid"),
    "bad name": ('{"type": "subscribe_risk", "id": "x", "portfolio_id": "a b"}', "was 'a b'"),
    "rate of nought": (
        analytics().model_dump_json()[:-1] + ',"max_rate_hz":0}',
        "max_rate_hz: Input should be greater",
    ),
    "rate not a number": ('{"type":"subscribe_limits","id":"x","portfolio_id":"A","max_rate_hz":NaN}', "max_rate_hz"),
    "all portfolios": ('{"type": "subscribe_risk", "id": "x", "portfolio_id": "*"}', "portfolio_id"),
    "lone surrogate": ('{"type": "\\ud800"}', "Invalid JSON"),
    "deep": ("[" * 50_000, "Invalid JSON"),
}


@pytest.mark.parametrize(("text", "reason"), NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_told_why_and_stays_connected(desk: Desk, text: str, reason: str) -> None:
    session = desk.connected()
    error = refused(session, text)
    assert error.code == ErrorCode.BAD_REQUEST
    assert reason in error.message
    assert not error.retryable
    say(session, analytics())
    assert [message.type for message in taken(session)] == ["subscription_confirmed"]


def test_the_answer_to_nonsense_repeats_its_id_where_it_can(desk: Desk) -> None:
    session = desk.connected()
    found = [
        refused(session, json.dumps({"type": "sudo", "id": name})).id for name in ("x", 7, True, None, "x" * 65, [])
    ]
    assert found == ["x", 7, None, None, None, None]


def test_a_long_value_is_not_repeated_whole(desk: Desk) -> None:
    error = refused(desk.connected(), json.dumps({"type": "subscribe_risk", "id": "x", "portfolio_id": "x" * 60_000}))
    assert len(error.message) < 500


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
@settings(max_examples=100, deadline=None)
def test_nothing_that_a_client_says_breaks_the_session(text: str) -> None:
    session = Desk().connected()
    say(session, text)
    assert [message.type for message in taken(session)] == ["error"]


@given(
    st.sampled_from(CLIENT_TYPES),
    st.dictionaries(
        st.sampled_from(["id", "token", "portfolio_id", "sub_id", "mode", "recover"]),
        st.none() | st.integers() | st.text(max_size=5) | st.just({"position": "0:1~x"}),
    ),
)
@settings(max_examples=100, deadline=None)
def test_no_mixture_of_fields_breaks_the_session(kind: str, fields: dict[str, Any]) -> None:
    session = Desk().connected()
    say(session, json.dumps({"type": kind, **fields}))
    assert {message.type for message in taken(session)} <= {"error", "ack", "subscription_confirmed"}


def test_a_binary_message_is_refused(desk: Desk) -> None:
    session = desk.connected()
    session.refuse_binary()
    (error,) = taken(session)
    assert isinstance(error, Error)
    assert error.message == "message: expected text, was binary"


def test_unknown_fields_are_ignored(desk: Desk) -> None:
    session = desk.connected()
    say(session, analytics().model_dump_json()[:-1] + ', "colour": "red"}')
    assert [message.type for message in taken(session)] == ["subscription_confirmed"]


def test_what_may_not_be_subscribed_to_is_told_apart(desk: Desk) -> None:
    session = desk.connected(token(["A", "C"]))
    assert refused(session, analytics("B")).code == ErrorCode.FORBIDDEN
    assert refused(session, alerts("B")).code == ErrorCode.FORBIDDEN
    assert refused(session, risk("C")).code == ErrorCode.UNKNOWN_PORTFOLIO
    say(session, analytics("A"))
    taken(session)
    again = refused(session, analytics("A", id="again"))
    assert (again.code, again.id) == (ErrorCode.ALREADY_SUBSCRIBED, "again")


def test_a_connection_has_only_so_many_subscriptions(desk: Desk) -> None:
    desk.terms = replace(TERMS, subscriptions_max=2)
    session = desk.connected()
    for asked in (analytics(), risk()):
        say(session, asked)
    taken(session)
    assert refused(session, limits()).code == ErrorCode.LIMIT


def test_after_unsubscribing_nothing_more_comes(desk: Desk) -> None:
    log = Log()
    session = desk.connected()
    say(session, analytics())
    taken(session)
    desk.read(log.computed("A", 1))
    say(session, UnsubscribeAnalytics(id="u", sub_id="s1"))
    desk.read(log.computed("A", 2))
    assert taken(session) == [Ack(id="u")]
    assert refused(session, UnsubscribeAnalytics(id="u", sub_id="s1")).code == ErrorCode.BAD_REQUEST


def test_a_subscription_is_ended_only_by_the_message_of_its_kind(desk: Desk) -> None:
    session = desk.connected()
    say(session, analytics())
    taken(session)
    assert "sub_id: expected a subscription that unsubscribe_risk ends" in refused(
        session, UnsubscribeRisk(id="u", sub_id="s1")
    ).message  # fmt: skip


def test_messages_that_come_too_fast_are_refused_and_in_the_end_close(desk: Desk) -> None:
    desk.terms = replace(TERMS, messages_per_second=10, messages_at_once_max=5, refusals_max=3)
    session = desk.connected()
    for _ in range(4):
        say(session, Pong())
    error = refused(session, analytics(id="late"))
    assert (error.code, error.retryable, error.retry_after_ms, error.id) == (ErrorCode.RATE, True, 101, "late")
    say(session, analytics(), now=NOW + 0.101)
    assert [message.type for message in taken(session, NOW + 0.101)] == ["subscription_confirmed"]
    for _ in range(4):
        say(session, Pong(), now=NOW + 0.101)
    assert closed_with(session) is CloseCode.RATE


def test_whoever_does_not_connect_in_time_is_closed(desk: Desk) -> None:
    session = desk.session()
    assert session.due() == NOW + 10
    assert taken(session, NOW + 9.9) == []
    assert session.closing is None
    taken(session, NOW + 10)
    assert closed_with(session) is CloseCode.CONNECT_TIMEOUT


def test_a_client_that_does_not_answer_a_ping_is_closed(desk: Desk) -> None:
    session = desk.connected()
    assert session.due() == NOW + 25
    assert taken(session, NOW + 25) == [Ping(positions={})]
    say(session, Pong(), now=NOW + 26)
    assert taken(session, NOW + 50) == [Ping(positions={})]
    taken(session, NOW + 60)
    assert closed_with(session) is CloseCode.NO_PONG


def test_a_token_that_runs_out_is_announced_and_then_ends_the_connection(desk: Desk) -> None:
    desk.terms = replace(TERMS, ping_seconds=10_000)
    session = desk.connected(token(ttl=600))
    log = Log()
    say(session, analytics())
    taken(session)
    assert session.due() == NOW + 540
    assert taken(session, NOW + 540) == [TokenExpiring(expires_in_s=60)]
    assert session.due() == NOW + 600
    desk.read(log.computed("A", 1))
    assert taken(session, NOW + 600) == []
    assert closed_with(session) is CloseCode.TOKEN_EXPIRED


def test_a_refreshed_token_keeps_the_connection(desk: Desk) -> None:
    desk.terms = replace(TERMS, ping_seconds=10_000)
    session = desk.connected(token(ttl=600))
    say(session, Refresh(token=token(ttl=6_000), id="r"), now=NOW + 590)
    assert taken(session, NOW + 590) == [Ack(id="r")]
    assert taken(session, NOW + 700) == []
    assert session.closing is None


def test_a_refresh_that_is_no_good_changes_nothing(desk: Desk) -> None:
    session = desk.connected()
    assert refused(session, Refresh(token="nonsense")).code == ErrorCode.UNAUTHORISED
    assert refused(session, Refresh(token=token(now=NOW - 9_999))).code == ErrorCode.TOKEN_EXPIRED
    assert refused(session, Refresh(token=token(subject="bob"))).code == ErrorCode.FORBIDDEN


def test_a_refresh_revokes_what_the_newer_token_does_not_allow(desk: Desk) -> None:
    log = Log()
    session = desk.connected()
    for asked in (analytics("A"), analytics("B"), alerts("*")):
        say(session, asked)
    taken(session)
    say(session, Refresh(token=token(["A"])))
    ack, revoked = taken(session)
    assert isinstance(revoked, SubscriptionRevoked)
    assert (ack.type, revoked.sub_id) == ("ack", "s2")
    desk.read(log.computed("A", 1), log.computed("B", 1), log.alert("A", 1), log.alert("B", 1))
    assert sorted(message.type for message in taken(session)) == ["analytics_update", "risk_alert"]
    assert refused(session, UnsubscribeAnalytics(id="u", sub_id="s2")).code == ErrorCode.BAD_REQUEST


def test_a_second_connect_is_refused(desk: Desk) -> None:
    assert refused(desk.connected(), Connect(token=token())).code == ErrorCode.BAD_REQUEST


def test_a_draining_replica_says_when_to_come_back(desk: Desk) -> None:
    session = desk.connected()
    say(session, analytics())
    taken(session)
    session.drain(1234)
    messages: list[ServerMessage] = taken(session)
    assert messages == [Draining(reconnect_after_ms=1234)]
    assert closed_with(session) is CloseCode.DRAINING


def test_a_message_that_is_too_long_closes(desk: Desk) -> None:
    session = desk.connected()
    session.refuse_size(65_537)
    assert closed_with(session) is CloseCode.TOO_BIG


def test_a_session_that_ended_is_watched_for_no_more(desk: Desk) -> None:
    session = desk.connected()
    say(session, analytics())
    taken(session)
    session.end()
    assert list(desk.engine.fold([])) == []
    desk.read(Log().computed("A", 1))
    assert session.updates_waiting == 0
