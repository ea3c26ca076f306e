"""Refused records: published with where they stood and why, so that people can look, repair and put them back."""

import base64
import hashlib
from collections.abc import Sequence

import structlog

from contracts.event import event_id
from contracts.system import QUARANTINED_BYTES_MAX, RecordQuarantined
from contracts.topics import QUARANTINE
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.probes import ServiceMetrics
from tailstream.runtime.records import Emission, Rejected, emission

log = structlog.get_logger()


class Quarantine:
    """Where a service puts what it refuses. The same refusal has the same event id, whoever makes it and how often."""

    def __init__(self, service: str, outlet: Outlet, metrics: ServiceMetrics) -> None:
        self._service = service
        self._outlet = outlet
        self._metrics = metrics

    async def put(self, rejected: Sequence[Rejected]) -> None:
        """Publish the refusals and wait until they are safe; nothing for nothing."""
        for refusal in rejected:
            record = refusal.record
            where = f"{record.topic}:{record.partition}:{record.offset}"
            log.warning("quarantined", record=where, field=refusal.field, reason=refusal.reason)
            self._metrics.quarantined.labels(record.topic).inc()
        await self._outlet.publish([quarantined(self._service, refusal) for refusal in rejected])


def quarantined(service: str, refusal: Rejected) -> Emission:
    """The refusal as a record of ``quarantine.v1``."""
    record, value = refusal.record, refusal.record.value
    event = RecordQuarantined(
        event_id=event_id(QUARANTINE.name, record.topic, record.partition, record.offset, refusal.field),
        service=service,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        field=refusal.field,
        reason=refusal.reason,
        size_bytes=len(value or b""),
        sha256=hashlib.sha256(value or b"").hexdigest(),
        value_base64=None if value is None else base64.b64encode(value[:QUARANTINED_BYTES_MAX]).decode(),
    )
    cause = f"{record.topic}:{record.partition}:{record.offset}"
    return emission(QUARANTINE, event, key=record.key or "", cause=cause)
