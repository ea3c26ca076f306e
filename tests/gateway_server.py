"""The gateway's sockets without a bus for tests: a real server, whose records come from the test's hand."""

import asyncio
from contextlib import nullcontext
from functools import partial

import uvicorn
from fastapi import FastAPI, WebSocket

from services.gateway.auth import read_token
from services.gateway.decode import decode
from services.gateway.engine import Engine
from services.gateway.measures import Measures
from services.gateway.session import Terms
from services.gateway.websocket import Access, Sockets
from tailstream.runtime.records import Record, Rejected
from tests.gateway_desk import SECRET
from tests.gateway_log import PARTITIONS

TERMS = Terms(server_id="test", reconnect_jitter_ms=10)
ACCESS = Access(drain_seconds=0.05)


class Server:
    """The gateway's sockets without a bus: records are read from the test's hand."""

    def __init__(self, access: Access = ACCESS) -> None:
        self.engine = Engine(1_000)
        self.port = 0
        self.not_ready: str | None = None
        self._access = access

    async def start(self) -> None:
        """Serve, at the same port every time."""
        authenticate, measures = partial(read_token, SECRET), Measures(self.engine.counts)
        self.sockets = Sockets(
            self.engine, TERMS, authenticate, self._access, lambda: self.not_ready, lambda: PARTITIONS, measures
        )
        app = FastAPI()

        @app.websocket("/ws/v1")
        async def websocket(socket: WebSocket) -> None:
            await self.sockets.serve(socket)

        self.server = uvicorn.Server(uvicorn.Config(app, port=self.port, lifespan="off", log_config=None))
        self.server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
        self.serving = asyncio.create_task(self.server.serve())
        while not self.server.started:  # noqa: ASYNC110  # uvicorn has no event to await
            await asyncio.sleep(0.005)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drain and stop; what was read is kept for the next start."""
        await self.sockets.stop()
        self.server.should_exit = True
        await self.serving

    def read(self, *records: Record) -> None:
        """Read records, and have them sent."""
        found = [decode(record, PARTITIONS) for record in records]
        self.sockets.wake(self.engine.fold([each for each in found if not isinstance(each, Rejected)]))

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"ws://127.0.0.1:{self.port}/ws/v1"
