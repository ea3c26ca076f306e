"""The replay source: real trading days onto the bus, at a chosen speed, once or without end.

A day is its changes of the books, its slices, and its close. Sends of many days are in flight together; two things
are waited for, and with them the log alone says what a close is about:

- before a change of the books goes out, every close before it is acknowledged, so that a source which dies and comes
  back never writes an old close with a cut above a newer book;
- the cut of a close is asked of the broker after the day's changes are acknowledged.

Starting is going on after the last period of the log: the days up to it are made again and not sent.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from typing import Annotated, Literal

import structlog
from pydantic import Field, ValidationError

from contracts.market import PeriodClosed
from contracts.topics import ACTIONS, CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS, PRICES, STATUS, Topic
from tailstream.runtime.cut import CutReader
from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.failpoints import failpoint
from tailstream.runtime.outlets import Acknowledgement
from tailstream.runtime.records import Emission, Record, Shard, emission, event_of
from tailstream.runtime.restore import read_back
from tailstream.runtime.run import run
from tailstream.runtime.service import Service
from tailstream.runtime.settings import ServiceSettings
from tailstream.sources.days import TradingDay, days
from tailstream.sources.followers import Followers
from tailstream.sources.history import History, load_history
from tailstream.sources.instruments import instruments
from tailstream.sources.ledger import Changes
from tailstream.sources.pace import Pace
from tailstream.sources.passes import Plan, window

log = structlog.get_logger()

SERVICE = "source"
BATCH_RECORDS = 500
"""At full speed so many records go out together."""


class ReplaySettings(ServiceSettings):
    """What is replayed, and how fast."""

    replay_from: date = date(2007, 1, 1)
    """The first day with books; the history begins on 1990-01-02."""
    replay_to: date | None = None
    """The last day; null is the history's last."""
    replay_speed: Annotated[float, Field(gt=0)] | Literal["max"] = 1.0
    """Trading days a second."""
    replay_once: bool = False
    """Stop after the last day instead of going round."""
    replay_prepare: bool = False
    """Stop once the warm-up and the first day's books are on the bus, before that day closes."""
    replay_slices: Annotated[int, Field(ge=0, le=1_000)] = 20
    """Synthetic price slices a day."""
    replay_warm_up_closes: Annotated[int, Field(ge=0)] = 500
    """Closes before the first day, so that there is Value at Risk from the first day on."""
    replay_ahead_closes_max: Annotated[int, Field(ge=1)] | None = None
    """Wait for analytics and risk before they are further behind than this, so 1 waits for every close; null never."""
    replay_seed: Annotated[int, Field(ge=0)] = 1
    """Chooses the books and the slices."""


class Replay:
    """The source itself: a part of its service."""

    name = "replay"
    topics: tuple[Topic, ...] = (INSTRUMENTS, ACTIONS, PRICES, CLOSES, DEFINITIONS, HOLDINGS, STATUS)

    def __init__(self, service: Service, settings: ReplaySettings, history: History) -> None:
        """
        Raises
        ------
        ConfigurationError
            When the history has no day of the range.
        """
        self._service = service
        self._settings = settings
        self._history = history
        self._plan = plan_of(settings, history)
        self._cuts = CutReader(service)
        self._followers = Followers(service) if settings.replay_ahead_closes_max else None
        self._pace = Pace(None if settings.replay_speed == "max" else settings.replay_speed, time.monotonic)
        self._pending: list[Emission] = []
        self._in_flight: list[Acknowledgement] = []
        self._replayed_days = 0
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Find the log's last period and go on after it.

        Raises
        ------
        ConfigurationError
            When the log was begun with another plan.
        """
        closed = await self._closed_periods()
        left = await asyncio.to_thread(days_after, closed, days(self._history, self._plan))
        await self._cuts.start()
        if self._followers is not None:
            await self._followers.start()
        log.info("replaying", after=closed[-1] if closed else None, speed=self._settings.replay_speed)
        self._task = asyncio.create_task(self._run(left, begun=bool(closed)))

    async def stop(self) -> None:
        """Send what is under way; a day that is not closed by now is begun again at the next start."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self._cuts.stop()
        if self._followers is not None:
            await self._followers.stop()

    def waiting_for(self) -> str | None:
        """None once it replays."""
        return None if self._task else "the periods that are closed already"

    async def _closed_periods(self) -> list[str]:
        """This source's periods on the log, oldest first, each once."""
        records = await read_back(self._settings, Shard(CLOSES.name, 0))
        return list(dict.fromkeys(close.period for close in _closes(records) if close.source == self.name))

    async def _run(self, left: Iterator[TradingDay], *, begun: bool) -> None:
        try:
            if not begun:
                await self._define_instruments()
            await self._replay(left)
            await self._settle()
        except Exception as error:
            self._service.fatal("replaying", error)
        log.info("replay ends", days=self._replayed_days, stopped=self._stopping.is_set())
        self._service.stop()

    async def _define_instruments(self) -> None:
        for event in instruments(self._history):
            self._pending.append(emission(INSTRUMENTS, event, key=event.instrument_id))
        await self._settle()

    async def _replay(self, left: Iterator[TradingDay]) -> None:
        for day in left:
            if self._stopping.is_set():
                return
            if self._settings.replay_prepare and not day.warm_up:
                await self._tell(day.at_open, day.period)
                return
            await self._pass(day)

    async def _pass(self, day: TradingDay) -> None:
        await self._tell(day.at_open, day.period)
        if not day.warm_up:
            await self._quote(day)
            if not await self._reached(1.0):
                return
            self._replayed_days += 1
        await self._tell(day.at_close, day.period)
        await self._close(day)
        if not day.warm_up:
            await self._wait_for_followers()

    async def _quote(self, day: TradingDay) -> None:
        count = self._settings.replay_slices
        for number, piece in enumerate(day.slices(count, self.name), start=1):
            if not await self._reached(number / (count + 1)):
                return
            self._pending.append(emission(PRICES, piece, key=self.name))

    async def _reached(self, share_of_day: float) -> bool:
        """Wait until that moment of the day is due; false when told to stop."""
        wait = self._pace.seconds_until(self._replayed_days + share_of_day)
        if wait:
            await self._flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
        return not self._stopping.is_set()

    async def _wait_for_followers(self) -> None:
        """Every so many closes, let those who measure them come near."""
        half = (self._settings.replay_ahead_closes_max or 0) // 2
        if self._followers is None or self._replayed_days % max(half, 1):
            return
        await self._settle()
        near, told = asyncio.create_task(self._followers.within(half)), asyncio.create_task(self._stopping.wait())
        await asyncio.wait([near, told], return_when=asyncio.FIRST_COMPLETED)
        near.cancel()
        told.cancel()

    async def _tell(self, changes: Changes, period: str) -> None:
        """Publish changes of the books once all before them is acknowledged, and wait until they are, too."""
        if changes:
            await self._settle()
            self._pending += told(changes)
            await self._settle()
            failpoint("source.told", period)

    async def _close(self, day: TradingDay) -> None:
        event = PeriodClosed(
            source=self.name,
            period=day.period,
            as_of=day.as_of,
            prices=dict(day.prices),
            cut=await self._cuts.now(),
            synthetic=day.synthetic,
        )
        self._pending.append(emission(CLOSES, event, key=self.name))
        if len(self._pending) >= BATCH_RECORDS:
            await self._flush()

    async def _flush(self) -> None:
        """Send what is pending, once what was sent before is acknowledged."""
        await self._acknowledged()
        self._in_flight = await self._service.outlet.send(self._pending)
        self._service.count_out(self._pending)
        self._pending = []

    async def _settle(self) -> None:
        """Send what is pending and wait until all is acknowledged."""
        await self._flush()
        await self._acknowledged()

    async def _acknowledged(self) -> None:
        for acknowledgement in self._in_flight:
            await acknowledgement
        self._in_flight = []


def plan_of(settings: ReplaySettings, history: History) -> Plan:
    """The days that the settings ask for.

    Raises
    ------
    ConfigurationError
        When the history has none of them.
    """
    plan = Plan(
        first=settings.replay_from,
        last=settings.replay_to or history.dates[-1],
        warm_up_closes=settings.replay_warm_up_closes,
        once=settings.replay_once,
        seed=settings.replay_seed,
    )
    try:
        window(history, plan)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    return plan


def days_after(closed: Sequence[str], all_days: Iterator[TradingDay]) -> Iterator[TradingDay]:
    """The days that follow the ``closed`` periods; none when the plan ends before them.

    Raises
    ------
    ConfigurationError
        When the periods are not those that ``all_days`` begins with.
    """
    for period in closed:
        day = next(all_days, None)
        if day is not None and day.period != period:
            raise ConfigurationError(
                f"{CLOSES.name}: expected period {day.period}, was {period}: the log was begun with other dates or "
                "another warm-up; go on with those, or use another topic prefix"
            )
    return all_days


def told(changes: Changes) -> Iterator[Emission]:
    """The records of changes of the books: definitions before the holdings that need them."""
    for node in changes.definitions:
        yield emission(DEFINITIONS, node, key=node.portfolio_id, portfolio_id=node.portfolio_id)
    for name in changes.closed:
        yield Emission(DEFINITIONS, name, name, None)
    for held in changes.holdings:
        yield emission(HOLDINGS, held, key=held.portfolio_id, portfolio_id=held.portfolio_id)


def _closes(records: Iterable[Record]) -> Iterator[PeriodClosed]:
    """The closes among the records; what is no close, services refuse and nothing here depends on."""
    for record in records:
        with suppress(ValidationError):
            event = event_of(record)
            assert isinstance(event, PeriodClosed)
            yield event


def build(settings: ReplaySettings) -> Service:
    """The process: a service with the replay as its only part.

    Raises
    ------
    ConfigurationError
        When the history has no day of the range.
    """
    service = Service(SERVICE, settings, topics=Replay.topics)
    service.add(Replay(service, settings, load_history()))
    return service


def main() -> None:
    """Replay until done or told to stop."""
    run(build, ReplaySettings, name=SERVICE)


if __name__ == "__main__":
    main()
