"""What a replica tells the outside of itself: liveness, readiness, start-up and metrics, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from faststream.asgi import AsgiFastStream, AsgiResponse, get
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from tailstream.runtime.service import Service

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
PROBE_PATHS = frozenset({"/livez", "/readyz", "/startupz", "/metrics", "/asyncapi"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ServiceMetrics:
    """The counters of one service; a service adds its own to ``registry``. Counted per batch, not per record."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.records_in = Counter("tailstream_records_in", "Records read.", ["topic"], registry=self.registry)
        self.records_out = Counter("tailstream_records_out", "Records published.", ["topic"], registry=self.registry)
        self.quarantined = Counter("tailstream_quarantined", "Records refused.", ["topic"], registry=self.registry)
        self.closes_behind = Gauge(
            "tailstream_closes_behind", "Closes known but not yet published, worst shard.", registry=self.registry
        )
        self.closes = Counter("tailstream_closes", "Portfolio closes published.", registry=self.registry)
        self.commit_seconds = Histogram(
            "tailstream_commit_seconds", "Transaction, from begin to commit.", registry=self.registry, buckets=_SECONDS
        )
        self.refresh_seconds = Histogram(
            "tailstream_refresh_seconds", "Live refresh of all books.", registry=self.registry, buckets=_SECONDS
        )
        self.lag = Gauge("tailstream_lag", "Records not yet read, of grouped inlets.", registry=self.registry)
        self.loop_lag_seconds = Gauge(
            "tailstream_loop_lag_seconds", "How late the event loop's last tick was.", registry=self.registry
        )


class Endpoints:
    """The ASGI application of a service: its probes, and behind them whatever else it serves."""

    def __init__(self, service: "Service", behind: ASGIApp | None) -> None:
        self._probes = AsgiFastStream(
            service.broker,
            asgi_routes=[
                ("/livez", self._probe(service.not_alive)),
                ("/readyz", self._probe(service.not_ready)),
                ("/startupz", self._probe(service.not_started)),
                ("/metrics", self._metrics(service.metrics.registry)),
            ],
            asyncapi_path="/asyncapi",
            logger=None,
        )
        self._behind = behind

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a probe, or hand over to the application behind."""
        if self._behind is None or scope.get("path") in PROBE_PATHS:
            await self._probes(scope, receive, send)
        else:
            await self._behind(scope, receive, send)

    @staticmethod
    def _probe(reasons: Callable[[], list[str]]) -> Any:
        @get(include_in_schema=False)
        async def answer(_scope: Any) -> AsgiResponse:
            found = reasons()
            body = "\n".join(found) if found else "ok"
            return AsgiResponse(body.encode(), 503 if found else 200, {"content-type": "text/plain; charset=utf-8"})

        return answer

    @staticmethod
    def _metrics(registry: CollectorRegistry) -> Any:
        @get(include_in_schema=False)
        async def answer(_scope: Any) -> AsgiResponse:
            return AsgiResponse(generate_latest(registry), 200, {"content-type": CONTENT_TYPE_LATEST})

        return answer


class LoopTicks:
    """Watches that the event loop turns: the liveness of a replica, never of Kafka or a database."""

    INTERVAL_SECONDS = 0.5

    def __init__(self, metrics: ServiceMetrics) -> None:
        self._metrics = metrics
        self._last = asyncio.get_running_loop().time()

    def age_seconds(self) -> float:
        """Seconds since the loop last ticked."""
        return asyncio.get_running_loop().time() - self._last

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(self.INTERVAL_SECONDS)
            self._metrics.loop_lag_seconds.set(max(0.0, self.age_seconds() - self.INTERVAL_SECONDS))
            self._last = asyncio.get_running_loop().time()
