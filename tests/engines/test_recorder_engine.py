"""What of a batch goes into history: one record for each key, the first or the newest of them."""

from hypothesis import given
from hypothesis import strategies as some

from contracts.event import Event
from contracts.topics import ALERTS, HOLDINGS, METRICS, STATES, Topic
from services.recorder.decode import Accepted
from services.recorder.engine import step
from services.recorder.tables import BY_TOPIC
from tailstream.runtime.records import Record
from tests.recorded import alert_of, holdings_of, metrics_of, state_of


def entry(topic: Topic, event: Event, offset: int) -> Accepted:
    return Accepted(Record(topic.name, 0, offset, "book-1", event.to_json(), 0), event)


def offsets(topic: Topic, entries: list[Accepted]) -> list[int]:
    """The offsets that are written to the topic's table."""
    return [each.record.offset for each in step(entries).get(BY_TOPIC[topic.name], ())]


def test_nothing_in_is_nothing_out() -> None:
    assert step([]) == {}


def test_of_a_close_that_comes_twice_the_first_is_kept() -> None:
    twice = [entry(METRICS, metrics_of(0, "book-1"), offset) for offset in (3, 9)]
    assert offsets(METRICS, twice) == [3]


def test_closes_that_differ_in_one_part_of_their_key_are_all_kept() -> None:
    closes = [
        metrics_of(0, "book-1"),
        metrics_of(0, "book-2"),
        metrics_of(1, "book-1"),
        metrics_of(0, "book-1", "risk"),
    ]
    closes.append(closes[0].model_copy(update={"revision": 1}))
    assert offsets(METRICS, [entry(METRICS, close, n) for n, close in enumerate(closes)]) == [0, 1, 2, 3, 4]


def test_every_step_of_an_alert_and_every_version_of_a_book_is_kept_once() -> None:
    steps = [alert_of("book-1"), alert_of("book-1", "resolved"), alert_of("book-1")]
    assert offsets(ALERTS, [entry(ALERTS, alert, n) for n, alert in enumerate(steps)]) == [0, 1]
    versions = [holdings_of("book-1", version) for version in (1, 2, 1)]
    assert offsets(HOLDINGS, [entry(HOLDINGS, book, n) for n, book in enumerate(versions)]) == [0, 1]


def test_the_state_of_a_limit_that_was_never_evaluated_is_left_out() -> None:
    assert offsets(STATES, [entry(STATES, state_of("book-1", 0.5, as_of=None), 0)]) == []


@given(some.lists(some.tuples(some.sampled_from(["a", "b", "c"]), some.floats(0, 2)), max_size=30))
def test_of_the_states_of_one_limit_at_one_time_the_newest_is_kept(states: list[tuple[str, float]]) -> None:
    entries = [entry(STATES, state_of(book, utilisation), n) for n, (book, utilisation) in enumerate(states)]
    newest = {book: n for n, (book, _) in enumerate(states)}
    assert sorted(offsets(STATES, entries)) == sorted(newest.values())
