"""One subscription of one connection: what it wants, what waits to be sent, and where it stands."""

import math
from collections import deque
from typing import NamedTuple, Protocol

from contracts.gateway import (
    Subscribe,
    SubscribeAnalytics,
    SubscribeLimits,
    SubscribeRisk,
    SubscribeRiskAlerts,
)
from services.gateway.arrivals import CHANNEL_TOPICS, ChannelName, Update
from services.gateway.auth import Claims
from services.gateway.positions import Marks, Position, text_of

QUEUED_UPDATES_MAX = 1_000
QUEUED_CHARACTERS_MAX = 1024 * 1024
FLUSH_TICK_SECONDS = 0.05
FLUSHES_IN_A_ROW = 10
"""So many flushes may follow at once after a quiet time; a stream that goes on faster is flushed on the tick."""
_SEVERITIES = {"info": 0, "warning": 1, "critical": 2}


class Queued(NamedTuple):
    """An update that is to be sent next; ``conflated`` where it stands for several."""

    update: Update
    conflated: bool


class Queue(Protocol):
    """What waits to be sent to one subscription."""

    def put(self, update: Update) -> int:
        """Add an update; return how many others are not going to be sent because of it."""

    def due(self, now: float) -> float:
        """When what waits may be sent (Unix seconds): ``now`` or later."""

    def take(self, now: float) -> list[Queued]:
        """All that waits, in the order of the log."""

    def lost(self) -> int:
        """How many were dropped since this was last asked."""

    def __len__(self) -> int: ...


class Pace:
    """When flushes may happen: a burst at once, then ``rate_hz`` of them on a common tick (the GCRA algorithm)."""

    def __init__(self, max_rate_hz: float | None) -> None:
        """``max_rate_hz`` None: at once, conflated on the tick only while updates come faster than it."""
        self._interval = 1 / max_rate_hz if max_rate_hz else FLUSH_TICK_SECONDS
        self._tick = min(self._interval, FLUSH_TICK_SECONDS)
        self._tolerance = 0.0 if max_rate_hz else FLUSHES_IN_A_ROW * self._interval
        self._expected = -math.inf

    def due(self, now: float) -> float:
        """The time of the next flush: ``now``, or the tick on which all that had to wait go together."""
        earliest = self._expected - self._tolerance
        return now if earliest <= now else math.ceil(earliest / self._tick) * self._tick

    def spend(self, now: float) -> None:
        """A flush happens."""
        self._expected = max(self._expected, now) + self._interval


class MergeQueue:
    """The newest update of each group; those it replaced are conflated."""

    def __init__(self, max_rate_hz: float | None) -> None:
        self._pace = Pace(max_rate_hz)
        self._newest: dict[str, Queued] = {}

    def put(self, update: Update) -> int:
        """Replace the group's update, and move the group to the end: what is sent stays in the order of the log."""
        replaced = self._newest.pop(update.group, None)
        self._newest[update.group] = Queued(update, replaced is not None)
        return 0 if replaced is None else 1

    def due(self, now: float) -> float:
        """Now, unless updates come faster than the pace."""
        return self._pace.due(now)

    def take(self, now: float) -> list[Queued]:
        """All that waits."""
        self._pace.spend(now)
        taken, self._newest = list(self._newest.values()), {}
        return taken

    def lost(self) -> int:
        """Nothing is dropped for good: a newer value stands for what was replaced."""
        return 0

    def __len__(self) -> int:
        return len(self._newest)


class DistinctQueue:
    """Every update, up to a limit; past it all that waits is dropped and counted."""

    def __init__(self) -> None:
        self._waiting: deque[Update] = deque()
        self._characters = 0
        self._lost = 0

    def put(self, update: Update) -> int:
        """Add an update, and drop what waits where it is too much."""
        self._waiting.append(update)
        self._characters += len(update.payload or "")
        if len(self._waiting) <= QUEUED_UPDATES_MAX and self._characters <= QUEUED_CHARACTERS_MAX:
            return 0
        dropped = len(self._waiting)
        self._lost += dropped
        self._waiting.clear()
        self._characters = 0
        return dropped

    def due(self, now: float) -> float:
        """Always now."""
        return now

    def take(self, now: float) -> list[Queued]:
        """All that waits."""
        taken = [Queued(update, conflated=False) for update in self._waiting]
        self._waiting.clear()
        self._characters = 0
        return taken

    def lost(self) -> int:
        """How many were dropped since this was last asked."""
        lost, self._lost = self._lost, 0
        return lost

    def __len__(self) -> int:
        return len(self._waiting) + self._lost


class Choice(NamedTuple):
    """What a ``subscribe_*`` message asks for."""

    channel: ChannelName
    portfolio_id: str
    metrics: frozenset[str] | None = None
    distinct: bool = False
    max_rate_hz: float | None = None
    alert_types: frozenset[str] | None = None
    severity_level: str = "info"

    def wants(self, update: Update) -> bool:
        """Whether an update of the chosen portfolio is of the chosen kind."""
        if update.alert is None:
            return True
        severe = _SEVERITIES[update.alert.severity] >= _SEVERITIES[self.severity_level]
        return severe and (self.alert_types is None or update.alert.type in self.alert_types)


def choice_of(message: Subscribe) -> Choice:
    """What the message asks for; two that ask for the same are equal."""
    match message:
        case SubscribeAnalytics() | SubscribeRisk():
            channel = ChannelName.ANALYTICS if isinstance(message, SubscribeAnalytics) else ChannelName.RISK
            metrics = None if message.metrics is None else frozenset(message.metrics)
            return Choice(channel, message.portfolio_id, metrics, message.mode == "distinct", message.max_rate_hz)
        case SubscribeLimits():
            return Choice(ChannelName.LIMITS, message.portfolio_id, max_rate_hz=message.max_rate_hz)
        case SubscribeRiskAlerts():
            types = None if "all" in message.alert_types else frozenset(message.alert_types)
            return Choice(
                ChannelName.ALERTS, message.portfolio_id, distinct=True,
                alert_types=types, severity_level=message.severity_level,
            )  # fmt: skip


class Subscription:
    """A choice, what waits for it, its place in the log and the count of its frames."""

    def __init__(self, session_id: str, sub_id: str, choice: Choice, claims: Claims, partition: int | None) -> None:
        """``partition`` None: all of them."""
        self.session_id = session_id
        self.sub_id = sub_id
        self.choice = choice
        self.claims = claims
        self.partition = partition
        self.seq = 0
        self.queue: Queue = DistinctQueue() if choice.distinct else MergeQueue(choice.max_rate_hz)
        self._marks: dict[int, Marks] = {}
        self._event_id = ""

    def wants(self, update: Update) -> bool:
        """Whether an update of the channel and portfolio is to be sent."""
        return self.choice.wants(update) and self.claims.allows(update.portfolio_id)

    def stand_at(self, position: Position) -> None:
        """Everything up to there was sent, or is in the snapshot."""
        self._marks = dict(position.marks)
        self._event_id = position.event_id

    @property
    def position(self) -> str:
        """Where the client stands once it has what was taken."""
        return text_of(Position(self._marks, self._event_id))

    def count(self, frames: int = 1) -> int:
        """So many more frames; the ``seq`` of the last of them."""
        self.seq += frames
        return self.seq

    def advance(self, update: Update) -> None:
        """The client stands where this update is."""
        nothing = (-1,) * len(CHANNEL_TOPICS[update.channel])
        marks = [*self._marks.get(update.partition, nothing)]
        marks[update.topic_index] = update.offset
        self._marks[update.partition] = tuple(marks)
        self._event_id = update.event_id
