"""What the gateway measures of itself, for Prometheus: read off its counts when asked, never in the way of a frame."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.engine import Counts
from services.gateway.session import Session

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)


class Measures(Collector):
    """The gateway's metrics."""

    def __init__(self, counts: Counts) -> None:
        self.sessions: Callable[[], Sequence[Session]] = list
        """The sessions that are open now; set by whoever holds them."""
        self.latency_seconds = Histogram(
            "tailstream_gateway_latency_seconds",
            "From a record's timestamp until it is written to a socket.",
            registry=None,
            buckets=_SECONDS,
        )
        self._counts = counts

    def register(self, registry: CollectorRegistry) -> None:
        """Be asked whenever ``registry`` is."""
        registry.register(self.latency_seconds)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """The counts as they are now."""
        counts, sessions = self._counts, self.sessions()
        waiting = sum(session.updates_waiting for session in sessions)
        yield GaugeMetricFamily("tailstream_gateway_connections", "Open sockets.", len(sessions))
        yield GaugeMetricFamily("tailstream_gateway_queue_depth", "Updates waiting, of all sockets.", waiting)
        yield CounterMetricFamily("tailstream_gateway_frames", "Updates and alerts written.", counts.frames)
        yield CounterMetricFamily("tailstream_gateway_conflated", "Updates replaced by newer ones.", counts.conflated)
        yield CounterMetricFamily("tailstream_gateway_dropped", "Alerts lost to slow clients.", counts.dropped)
        yield CounterMetricFamily("tailstream_gateway_repeats", "Events that came again.", counts.repeats)
