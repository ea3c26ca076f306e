"""Frames: what is alike for all subscribers is written once, and no frame is longer than clients take."""

import json

from hypothesis import given
from hypothesis import strategies as st

from contracts import topics
from services.gateway import encode
from services.gateway.arrivals import Update
from services.gateway.decode import decode
from tests.gateway_log import PARTITIONS, Log

HALF = "x" * (encode.FRAME_CHARACTERS_MAX // 2 - 1)


def update(number: int = 1) -> Update:
    found = decode(Log().computed("A", number), PARTITIONS)
    assert isinstance(found, Update)
    return found


def test_nothing_makes_no_frame_and_one_item_is_no_batch() -> None:
    assert encode.batches([]) == []
    assert encode.batches(['{"a":1}']) == ['{"a":1}']


def test_items_that_do_not_fit_one_frame_are_split_in_order() -> None:
    items = [json.dumps(f"{number}{HALF}") for number in range(5)]
    frames = encode.batches(items)
    assert len(frames) > 1
    assert all(len(frame) <= encode.FRAME_CHARACTERS_MAX + 100 for frame in frames)
    found = [json.loads(frame) for frame in frames]
    assert [item for frame in found for item in (frame["items"] if isinstance(frame, dict) else [frame])] == [
        json.loads(item) for item in items
    ]


@given(st.lists(st.integers(1, encode.FRAME_CHARACTERS_MAX), max_size=12))
def test_no_item_is_lost_whatever_their_lengths(lengths: list[int]) -> None:
    items = [f'"{number}{"x" * length}"' for number, length in enumerate(lengths)]
    found = [json.loads(frame) for frame in encode.batches(items)]
    flat = [item for frame in found for item in (frame["items"] if isinstance(frame, dict) else [frame])]
    assert flat == [json.loads(item) for item in items]


def test_the_body_of_an_update_is_written_once_for_all_of_its_subscribers() -> None:
    one = update()
    assert encode.body(one, None) is encode.body(one, None)
    assert encode.body(one, frozenset({"nav"})) is encode.body(one, frozenset({"nav"}))


def test_a_chosen_figure_is_all_that_is_left_of_the_figures() -> None:
    body = encode.body(update(7), frozenset({"nav", "nothing"}))
    data = json.loads(f"{{{body}}}")["data"]
    assert data["figures"] == {"nav": {"value": 7.0, "status": "ok"}}
    assert data["portfolio_id"] == "A"
    assert encode.body(update(), frozenset({"nothing"})) is None


def test_a_valuation_is_sent_whole_where_one_of_its_figures_is_chosen() -> None:
    found = decode(Log().valued("A", 1), PARTITIONS)
    assert isinstance(found, Update)
    assert found.payload is not None
    assert found.payload in (encode.body(found, frozenset({"nav"})) or "")
    assert encode.body(found, frozenset({"volatility"})) is None


def test_risk_is_chosen_by_method() -> None:
    found = decode(Log().measured("A", 1), PARTITIONS)
    assert isinstance(found, Update)
    data = json.loads(f"{{{encode.body(found, frozenset({'historical'}))}}}")["data"]
    assert set(data["methods"]) == {"historical"}
    assert encode.body(found, frozenset({"normal"})) is None


def test_a_tombstone_is_sent_whatever_was_chosen() -> None:
    found = decode(Log().append(topics.RISK_LIVE, None, "A"), PARTITIONS)
    assert isinstance(found, Update)
    assert json.loads(f"{{{encode.body(found, frozenset({'normal'}))}}}") == {
        "full": True, "group": "risk/live", "basis": "live", "as_of": None, "data": None,
    }  # fmt: skip


def test_an_instant_is_written_in_utc_to_the_millisecond() -> None:
    assert encode.instant(1_200_000_000.0125) == "2008-01-10T21:20:00.012Z"
