"""How far the services that measure closes have come, by their own word: a source need not run away from them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.system import ServiceStatus
from contracts.topics import STATUS
from tailstream.runtime.decoding import decode
from tailstream.runtime.inlets import BroadcastReader, End
from tailstream.runtime.records import Record
from tailstream.runtime.service import Service

MEASURING = ("analytics", "risk")


class Followers:
    """The newest status of every replica that measures closes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._newest: dict[str, ServiceStatus] = {}
        self._heard = asyncio.Condition()
        self._reader = BroadcastReader(service, {STATUS: End()}, self._on_records)

    async def start(self) -> None:
        """Listen."""
        await self._reader.start()

    async def stop(self) -> None:
        """Listen no longer."""
        await self._reader.stop()

    async def within(self, closes: int) -> None:
        """Wait until each measuring service has said, after now, that it is at most ``closes`` behind."""
        now = datetime.now(UTC)
        async with self._heard:
            await self._heard.wait_for(lambda: all(self._is_within(name, closes, now) for name in MEASURING))

    def _is_within(self, name: str, closes: int, since: datetime) -> bool:
        said = [s for s in self._newest.values() if s.service == name and s.as_of > since]
        return bool(said) and all(status.closes_behind <= closes for status in said)

    async def _on_records(self, records: Sequence[Record]) -> None:
        arrivals, _ = decode(records, self._service.partitions)
        for arrival in arrivals:
            if isinstance(arrival.event, ServiceStatus):
                self._newest[arrival.key] = arrival.event
        async with self._heard:
            self._heard.notify_all()
