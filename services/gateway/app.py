"""The gateway: every output topic, folded, to every socket that watches."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from contracts.topics import (
    ALERTS,
    ANALYTICS_LIVE,
    DEFINITIONS,
    METRICS,
    RISK,
    RISK_LIVE,
    STATES,
    STATUS,
    VALUATIONS,
    Topic,
)
from services.gateway.arrivals import Arrival
from services.gateway.auth import read_token
from services.gateway.decode import decode
from services.gateway.engine import Engine
from services.gateway.http import http_app
from services.gateway.measures import Measures
from services.gateway.settings import GatewaySettings
from services.gateway.websocket import Sockets
from tailstream.runtime.inlets import Beginning, BroadcastReader, Start, Tail
from tailstream.runtime.records import Record, Rejected
from tailstream.runtime.service import Service


def build(settings: GatewaySettings) -> Service:
    """One replica; each reads everything, whichever portfolios its clients watch."""
    engine = Engine(settings.ring_updates_max)
    measures = Measures(engine.counts)
    authenticate = partial(read_token, settings.jwt_secret.get_secret_value())

    def not_ready() -> str | None:
        return next(iter(service.not_ready()), None)

    def partitions() -> int:
        return service.partitions

    async def handle(records: Sequence[Record]) -> None:
        arrivals, rejected = _decoded(records, partitions())
        sockets.wake(engine.fold(arrivals))
        await service.quarantine.put(rejected)

    sockets = Sockets(engine, settings.terms, authenticate, settings.access, not_ready, partitions, measures)
    http = http_app(engine, sockets, authenticate, not_ready, settings.silent_seconds_max)
    starts = _starts(settings)
    service = Service("gateway", settings, topics=tuple(starts), http=http)
    measures.register(service.metrics.registry)
    service.add(BroadcastReader(service, starts, handle))
    service.add(sockets)
    return service


def _starts(settings: GatewaySettings) -> Mapping[Topic, Start]:
    """Compacted topics whole; the newest closes and alerts of topics that are kept for ever."""
    whole: Iterable[Topic] = (DEFINITIONS, STATES, ANALYTICS_LIVE, RISK_LIVE, STATUS)
    newest: Iterable[Topic] = (VALUATIONS, METRICS, RISK, ALERTS)
    return {
        **{topic: Beginning() for topic in whole},
        **{topic: Tail(settings.tail_records) for topic in newest},
    }


def _decoded(records: Sequence[Record], partitions: int) -> tuple[list[Arrival], list[Rejected]]:
    arrivals: list[Arrival] = []
    rejected: list[Rejected] = []
    for record in records:
        found = decode(record, partitions)
        if isinstance(found, Rejected):
            rejected.append(found)
        else:
            arrivals.append(found)
    return arrivals, rejected
