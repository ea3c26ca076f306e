"""One bad record costs one record, one bad price one price: all else is as if it had never been there."""

import json

from contracts.event import Event
from contracts.market import PeriodClosed
from contracts.portfolio import HoldingsReplaced
from contracts.system import RecordQuarantined
from contracts.topics import CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS, PRICES, QUARANTINE, Topic
from tailstream.runtime.records import Shard, partition_of
from tailstream.runtime.restore import read_back
from tests.simulation.story import Log, digest, tell
from tests.simulation.system import System
from tests.simulation.test_faults import live_through

PARTITIONS = 4
CLOSES_TOLD = 6
BOOK = "concentrated-01"
HOME = partition_of(BOOK, PARTITIONS)
NEIGHBOUR = next(n for n in map("x-{}".format, range(99)) if partition_of(n, PARTITIONS) == (HOME + 1) % PARTITIONS)

Refusals = dict[tuple[str, int, int, str | None], str]
"""Topic, partition, offset and field of what must be in quarantine, and what its reason must say."""


class Spoiler:
    """Puts every kind of bad record onto a log, and remembers what must become of each."""

    def __init__(self) -> None:
        self.refused: Refusals = {}

    def spoil(self, log: Log, number: int, close: PeriodClosed) -> PeriodClosed:
        """Before the close of a day with books, one bad record of each kind; return what is left of the close."""
        if number == 1:
            self._unreadable(log)
            self._wrong(log, close)
        if number == 2:
            return self._bad_prices(log, close)
        return close

    def _unreadable(self, log: Log) -> None:
        for topic in (CLOSES, PRICES, INSTRUMENTS, HOLDINGS, DEFINITIONS):
            self._refuse(log, topic, b"\x00\xff garbage", "Invalid JSON")
            self._refuse(log, topic, b"[]", "Input should be an object")
            self._refuse(
                log, topic, b'{"pad": "' + b"x" * 2_000_000 + b'"}', "expected at most 900000 bytes, was 2000011"
            )

    def _wrong(self, log: Log, close: PeriodClosed) -> None:
        held = HoldingsReplaced(
            portfolio_id=BOOK, version=1_000, effective_at=close.as_of, positions={"AAPL": 1.0}, cash={}
        )
        self._refuse(
            log, HOLDINGS, _changed(held, version="one"), "version: Input should be a valid integer, was 'one'"
        )
        self._refuse(log, HOLDINGS, _without(held, "cash"), "cash: Field required")
        self._refuse(log, HOLDINGS, held.to_json().replace(b"1.0", b"NaN"), "positions.AAPL: Input should be a finite")
        self._refuse(
            log, HOLDINGS, held.to_json().replace(b"1.0", b"1e999"), "positions.AAPL: Input should be a finite"
        )
        self._refuse(log, HOLDINGS, held.to_json(), f"partition: expected {HOME}", lives=NEIGHBOUR)
        self._refuse(log, HOLDINGS, held.to_json(), f"key: expected {BOOK}", field="key", key="another")
        late = close.model_copy(update={"period": "1999-01-01"})
        self._refuse(log, CLOSES, late.to_json(), "expected one after", field="period")
        narrow = close.model_copy(
            update={"period": "2031-01-01", "cut": close.cut.model_copy(update={"holdings": (1,)})}
        )
        self._refuse(log, CLOSES, narrow.to_json(), f"expected {PARTITIONS} offsets, was 1", field="cut.holdings")

    def _bad_prices(self, log: Log, close: PeriodClosed) -> PeriodClosed:
        """A close of which three prices are wrong and one is of nothing that is known; the rest of it counts."""
        body = json.loads(close.to_json())
        body["prices"] |= {"AAPL": -1.0, "AMD": "12", "BAC": float("nan"), "NOPE": 1.0}
        body["from_the_future"] = {"accepted": True}
        self._expect(log, CLOSES, 0, "prices.AAPL", "greater than 0, was -1")
        self._expect(log, CLOSES, 0, "prices.AMD", "valid number, was '12'")
        self._expect(log, CLOSES, 0, "prices.BAC", "finite number, was nan")
        self._expect(log, CLOSES, 0, "prices.NOPE", "expected a defined instrument, was NOPE")
        log.raw = json.dumps(body).encode()
        bad = ("AAPL", "AMD", "BAC")
        return close.model_copy(update={"prices": {n: p for n, p in close.prices.items() if n not in bad}})

    def _refuse(
        self,
        log: Log,
        topic: Topic,
        value: bytes,
        reason: str,
        *,
        field: str | None = None,
        key: str = BOOK,
        lives: str = BOOK,
    ) -> None:
        partition = log.append_raw(topic, key, value, lives)
        self.refused[topic.name, partition, log.end(topic, partition) - 1, field] = reason

    def _expect(self, log: Log, topic: Topic, partition: int, field: str, reason: str) -> None:
        self.refused[topic.name, partition, log.end(topic, partition), field] = reason


def _changed(event: Event, **fields: object) -> bytes:
    return json.dumps(json.loads(event.to_json()) | fields).encode()


def _without(event: Event, field: str) -> bytes:
    return json.dumps({name: value for name, value in json.loads(event.to_json()).items() if name != field}).encode()


async def test_every_bad_record_costs_itself_only_and_is_found_in_quarantine(system: System) -> None:
    spoiler = Spoiler()
    story = tell(partitions=PARTITIONS, closes=CLOSES_TOLD, slices=2, spoil=spoiler.spoil)
    system.create()
    outcome = await live_through(system, story)
    assert digest(outcome.outputs) == digest(story.expected)
    found = await quarantined(system)
    assert {place: reason for place, reason in found.items() if place not in spoiler.refused} == {}
    for place, reason in spoiler.refused.items():
        assert reason in found.get(place, "nothing"), place


async def quarantined(system: System) -> dict[tuple[str, int, int, str | None], str]:
    """What is in quarantine, each refusal once, by where it stood."""
    records = await read_back(system.settings, Shard(QUARANTINE.name, 0))
    events = [RecordQuarantined.from_json(record.value or b"") for record in records]
    return {(e.topic, e.partition, e.offset, e.field): e.reason for e in events}
