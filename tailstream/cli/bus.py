"""What the demo reads from the bus itself: who is defined, how time goes by, how services do, what was refused."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from contracts.market import PeriodClosed, PricesObserved
from contracts.portfolio import PortfolioDefined
from contracts.system import RecordQuarantined, ServiceStatus
from contracts.topics import CLOSES, DEFINITIONS, PRICES, QUARANTINE, STATUS, Topic
from tailstream.cli.board import Board
from tailstream.runtime.inlets import Beginning, End, Start
from tailstream.runtime.records import Record, event_of

STARTS: Mapping[Topic, Start] = {
    DEFINITIONS: Beginning(),
    QUARANTINE: Beginning(),
    STATUS: End(),
    CLOSES: Beginning(),
    PRICES: End(),
}
"""What the demo reads, and from where."""

_INSTANTS_REMEMBERED = 10_000


class Bus:
    """Takes in records as they come; the board learns of portfolios from here."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.records: Counter[str] = Counter()
        """Records seen, by topic."""
        self.periods: set[str] = set()
        """The closed periods."""
        self.newest_period: str | None = None
        self.refused: dict[str, RecordQuarantined] = {}
        """What stands in quarantine, by its event id."""
        self.statuses: dict[str, ServiceStatus] = {}
        """The newest word of each replica."""
        self._published_ms: dict[datetime, int] = {}

    def apply(self, records: Sequence[Record]) -> None:
        """Take in records; one that cannot be read is left to the services, who quarantine it."""
        for record in records:
            self.records[record.topic] += 1
            if record.topic == DEFINITIONS.name and record.value is None:
                self._board.close(record.key or "")
            else:
                self._read(record)

    def published_ms(self, as_of: datetime) -> int | None:
        """When the prices seen ``as_of`` were published, in Unix milliseconds; None when that is too long ago."""
        return self._published_ms.get(as_of)

    @property
    def closes_behind(self) -> int:
        """Closes that are known but not yet measured, of the replica that is furthest behind."""
        return max((status.closes_behind for status in self.statuses.values()), default=0)

    def _read(self, record: Record) -> None:
        try:
            event = event_of(record)
        except ValidationError:
            return
        match event:
            case PricesObserved():
                self._remember(event.as_of, record.timestamp_ms)
            case PeriodClosed():
                self.periods.add(event.period)
                self.newest_period = max(event.period, self.newest_period or "")
                self._remember(event.as_of, record.timestamp_ms)
            case PortfolioDefined():
                self._board.define(event)
            case ServiceStatus():
                self.statuses[event.replica] = event
            case RecordQuarantined():
                self.refused[str(event.event_id)] = event

    def _remember(self, as_of: datetime, published_ms: int) -> None:
        self._published_ms[as_of] = published_ms
        if len(self._published_ms) > _INSTANTS_REMEMBERED:
            del self._published_ms[next(iter(self._published_ms))]
