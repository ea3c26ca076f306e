"""A service's life: wait for the bus, start the parts, say how it is, stop in the reverse order."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol, TypeVar

import structlog
import uvicorn
from faststream.kafka import KafkaBroker

from contracts.system import ServiceStatus
from contracts.topics import QUARANTINE, STATUS, Topic
from tailstream.runtime.admin import wait_for_topics
from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.probes import ASGIApp, Endpoints, LoopTicks, ServiceMetrics
from tailstream.runtime.quarantine import Quarantine
from tailstream.runtime.records import Emission, emission, logical
from tailstream.runtime.settings import ServiceSettings

log = structlog.get_logger()

EXIT_FATAL = 70
"""The exit code of a process that leaves because it cannot go on; whoever owns its shards next recovers."""


class Part(Protocol):
    """Something with a life inside a service: a reader, a store, a server."""

    async def start(self) -> None:
        """Come to life."""

    async def stop(self) -> None:
        """Finish what is in flight, then let go."""

    def waiting_for(self) -> str | None:
        """None when ready, else what it waits for, in words."""


P = TypeVar("P", bound=Part)


class Service:
    """One replica of one service."""

    def __init__(
        self, name: str, settings: ServiceSettings, *, topics: Sequence[Topic], http: ASGIApp | None = None
    ) -> None:
        """``topics`` are all that it reads or writes, checked at the start; ``http`` is served beside the probes."""
        self.name = name
        self.settings = settings
        self.metrics = ServiceMetrics()
        self.broker = KafkaBroker(
            settings.kafka,
            logger=None,
            allow_auto_create_topics=False,
            graceful_timeout=settings.stop_timeout_seconds,
        )
        self.partitions = 0
        self.outlet = Outlet(settings, name, partitions=lambda: self.partitions)
        self.quarantine = Quarantine(name, self.outlet, self.metrics)
        self._topics = tuple({topic.name: topic for topic in (*topics, STATUS, QUARANTINE)}.values())
        self._http = http
        self._parts: list[Part] = []
        self._started = False
        self._stopping = asyncio.Event()
        self._totals: Counter[str] = Counter()
        self._ticks: LoopTicks | None = None

    def add(self, part: P) -> P:
        """Make ``part`` live with the service: started in the order added, stopped in reverse."""
        self._parts.append(part)
        return part

    def stop(self) -> None:
        """Ask the service to stop; ``run`` returns when it has."""
        self._stopping.set()

    def fatal(self, why: str, error: BaseException) -> NoReturn:
        """Leave at once and without a word to the bus: the next owner fences this process and recovers."""
        log.critical("leaving; the next owner recovers", why=why, error=repr(error), exc_info=error)
        logging.shutdown()
        os._exit(EXIT_FATAL)

    def count_in(self, raw: Sequence[Any]) -> None:
        """Count records read; ``raw`` has a ``topic`` each."""
        for name, count in Counter(record.topic for record in raw).items():
            self.metrics.records_in.labels(logical(name, self.settings.topic_prefix)).inc(count)
        self._totals["in"] += len(raw)

    def count_out(self, emissions: Iterable[Emission]) -> None:
        """Count records published."""
        for name, count in Counter(e.topic.name for e in emissions).items():
            self.metrics.records_out.labels(name).inc(count)
            self._totals["out"] += count

    def not_alive(self) -> list[str]:
        """Why this replica should be killed; empty when it is alive."""
        age = self._ticks.age_seconds() if self._ticks else 0.0
        stalled = age > self.settings.loop_stall_seconds_max
        return [f"event loop: last ticked {age:.1f} s ago"] if stalled else []

    def not_ready(self) -> list[str]:
        """What this replica waits for; empty when it is ready."""
        if self._stopping.is_set():
            return ["stopping"]
        if not self._started:
            return [f"kafka at {self.settings.kafka}"]
        return [reason for part in self._parts if (reason := part.waiting_for())]

    def not_started(self) -> list[str]:
        """As readiness: starting is recovering, so it has started once it is ready."""
        return self.not_ready()

    async def run(self) -> None:
        """Live until ``stop`` is called or SIGTERM or SIGINT comes."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stop)
        self._ticks = LoopTicks(self.metrics)
        background = [asyncio.create_task(self._ticks.run())]
        server = await self._serve()
        living = asyncio.create_task(self._live())
        await asyncio.wait([living, asyncio.create_task(self._stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
        try:
            if not living.done():
                living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            if not living.cancelled() and (error := living.exception()):
                raise error
        finally:
            for task in background:
                task.cancel()
            await self._stop_all()
            server.should_exit = True
            await asyncio.sleep(0)

    async def _serve(self) -> uvicorn.Server:
        config = uvicorn.Config(
            Endpoints(self, self._http),
            host=self.settings.http_host,
            port=self.settings.http_port,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws_max_size=1024 * 1024,  # what is served has limits of its own, and says so with its own close code
            ws_per_message_deflate=False,
        )
        server = _Server(config)
        self._server_task = asyncio.create_task(server.serve())
        while not server.started:
            if self._server_task.done():
                await self._server_task
            await asyncio.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        log.info("serving", address=f"http://{host}:{port}")
        return server

    async def _live(self) -> None:
        self.partitions = await wait_for_topics(
            self.settings.kafka, prefix=self.settings.topic_prefix, topics=self._topics
        )
        await self.outlet.start()
        self._started = True
        try:
            for part in self._parts:
                await part.start()
            await self.broker.start()
            await self._pulse()
        except (asyncio.CancelledError, ConfigurationError):
            raise
        except BaseException as error:
            self.fatal("living", error)

    async def _pulse(self) -> None:
        """Say how it is, every few seconds, until cancelled."""
        before, then = Counter[str](), time.monotonic()
        while True:
            await asyncio.sleep(self.settings.status_interval_seconds)
            totals, now = Counter(self._totals), time.monotonic()
            rates = {name: (totals[name] - before[name]) / (now - then) for name in ("in", "out")}
            before, then = totals, now
            status = self._status(rates)
            await self.outlet.publish([emission(STATUS, status, key=f"{self.name}/{self.settings.replica}")])

    def _status(self, rates: dict[str, float]) -> ServiceStatus:
        reasons = tuple(self.not_ready())
        return ServiceStatus(
            service=self.name,
            replica=self.settings.replica,
            state="starting" if reasons else "ready",
            as_of=datetime.now(UTC),
            reasons=reasons,
            shards=tuple(sorted({s for part in self._parts for s in getattr(part, "shards", ())})),
            closes_behind=int(self.metrics.closes_behind._value.get()),
            records_in_per_s=rates["in"],
            records_out_per_s=rates["out"],
            quarantined=int(
                sum(s.value for m in self.metrics.quarantined.collect() for s in m.samples if s.name.endswith("_total"))
            ),
        )

    async def _stop_all(self) -> None:
        """Finish what is in flight, then leave the groups; bounded, because a lost broker never answers."""
        log.info("stopping")
        steps = [*(part.stop for part in reversed(self._parts)), self.broker.stop, self.outlet.stop]
        for step in steps:
            try:
                await asyncio.wait_for(step(), self.settings.stop_timeout_seconds)
            except (TimeoutError, asyncio.CancelledError):  # stopping a consumer that was never assigned cancels
                log.warning("gave up waiting", step=getattr(step, "__qualname__", repr(step)))
        log.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
