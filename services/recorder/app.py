"""The recorder's flow: decode -> engine.step -> store; offsets are committed after the database's commit."""

from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import Counter, Histogram

from services.recorder.decode import decode
from services.recorder.engine import step
from services.recorder.settings import RecorderSettings
from services.recorder.store import HistoryStore
from services.recorder.tables import TABLES
from tailstream.runtime.inlets import GroupedInlet
from tailstream.runtime.records import Record
from tailstream.runtime.service import Service

TOPICS = tuple(table.topic for table in TABLES)


def build(settings: RecorderSettings) -> Service:
    """The recorder, ready to run."""
    service = Service("recorder", settings, topics=TOPICS)
    store = service.add(HistoryStore(settings))
    service.add(GroupedInlet(service, TOPICS, _recording(service, store)))
    return service


def _recording(service: Service, store: HistoryStore) -> Callable[[Sequence[Record]], Awaitable[None]]:
    written = Counter(
        "tailstream_recorder_rows", "Rows handed to history.", ["table"], registry=service.metrics.registry
    )
    seconds = Histogram(
        "tailstream_recorder_write_seconds", "One batch into history.", registry=service.metrics.registry
    )

    async def record(records: Sequence[Record]) -> None:
        accepted, rejected = decode(records, service.partitions)
        batch = step(accepted)
        with seconds.time():
            refused = await store.write(batch)
        await service.quarantine.put([*rejected, *refused])
        for table, entries in batch.items():
            written.labels(table.name).inc(len(entries))

    return record
