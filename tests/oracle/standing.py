"""What is there: the closing events on the log and the rows of history."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from flat import figures_of
from log import Raw, read_table
from rows import Row
from truth import VALUED

Event = dict[str, Any]


class Key(NamedTuple):
    """What may stand on a closing topic once; ``analyzer`` is empty where there is one event for all."""

    portfolio_id: str
    period: str
    revision: int
    analyzer: str


class Standing(NamedTuple):
    """A closing topic: how many records, what each of them says by what it is about, and the events to compare."""

    count: int
    marks: dict[Key, int]
    """Of the text of each: equal texts have equal marks, and take less room."""
    events: list[Event]
    gists: dict[Key, Any]
    """What is needed of every event, by what it is about."""


def standing_on(records: Sequence[Raw], periods: Container[str], gist: Callable[[Event], Any] | None) -> Standing:
    """What stands on a closing topic; only the events of ``periods`` are kept whole, because all would be too many."""
    marks: dict[Key, int] = {}
    events: list[Event] = []
    gists: dict[Key, Any] = {}
    for record in records:
        event = record.value
        marks[_key_of(event)] = hash(record.text)
        if gist is not None:
            gists[_key_of(event)] = gist(event)
        if event["period"] in periods:
            events.append(event)
    return Standing(len(records), marks, events, gists)


def _key_of(event: Event) -> Key:
    return Key(event["portfolio_id"], event["period"], event["revision"], event.get("analyzer", ""))


def faults(
    topic: str, standing: Standing, table: str, recorded: list[tuple[Key, int]], expected: set[Key]
) -> list[str]:
    """What is wrong with a closing topic or its table: missing, unexpected, doubled, or not the same in both."""
    return [
        *_miscounted(topic, standing.count, set(standing.marks), expected),
        *_miscounted(table, len(recorded), {key for key, _ in recorded}, expected),
        *(f"{table}: {key} is not what the log says" for key, mark in recorded if mark != standing.marks.get(key)),
    ]


def _miscounted(where: str, count: int, found: set[Key], expected: set[Key]) -> Iterator[str]:
    if count != len(found):
        yield f"{where}: expected every event once, {count - len(found)} stand there again"
    yield from (f"{where}: {key} is missing" for key in sorted(expected - found))
    yield from (f"{where}: {key} was not expected" for key in sorted(found - expected))


def recorded_in(postgres: str, table: str, *, with_analyzer: bool) -> list[tuple[Key, int]]:
    """Every row of a table of history: what it is about, and the mark of the event's text."""
    analyzer = "analyzer" if with_analyzer else "''"
    rows = read_table(postgres, table, "portfolio_id", "period", "revision", analyzer, "event::text")
    return [(Key(*key), hash(text)) for *key, text in rows]


def price_rows(closes: Iterable[Event]) -> Iterator[Row]:
    """The prices of every close."""
    return (Row("price", name, close["period"], price) for close in closes for name, price in close["prices"].items())


def valuation_rows(events: Iterable[Event]) -> Iterator[Row]:
    """The figures of valuations."""
    for event in events:
        yield from (Row(name, event["portfolio_id"], event["period"], event[name]["value"]) for name in VALUED)


def history_rows(postgres: str, table: str) -> Iterator[Row]:
    """The figures of valuations that have columns of their own in history."""
    for portfolio_id, period, *values in read_table(postgres, table, "portfolio_id", "period", *VALUED):
        yield from (Row(name, portfolio_id, period, value) for name, value in zip(VALUED, values, strict=True))


def metric_rows(events: Iterable[Event]) -> Iterator[Row]:
    """The figures of every analyzer."""
    for event in events:
        figures = {name: figure["value"] for name, figure in event["figures"].items()}
        figures[f"n_obs {event['analyzer']}"] = event["n_obs"]
        yield from (Row(name, event["portfolio_id"], event["period"], value) for name, value in figures.items())


def risk_rows(events: Iterable[Event]) -> Iterator[Row]:
    """All that risk says."""
    for event in events:
        yield from figures_of(event)
