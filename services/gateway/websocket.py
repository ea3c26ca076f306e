"""The sockets: a reader and a writer for each connection, around its ``Session``."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from fastapi import WebSocket, WebSocketDisconnect

from contracts.gateway import MESSAGE_BYTES_MAX, SUBPROTOCOL, CloseCode
from services.gateway.engine import Engine
from services.gateway.measures import Measures
from services.gateway.session import Authenticate, Close, Session, Terms
from services.gateway.subscriptions import Subscription

log = structlog.get_logger()

ANSWERS_WAITING_MAX = 100
"""A client is not read from while it leaves so many answers unread."""
CLOSE_SECONDS_MAX = 5.0
REASON_CHARACTERS_MAX = 100
"""A close frame has room for 123 bytes."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in, and how long a socket may take."""

    allowed_origins: frozenset[str] = frozenset()
    """Origins of browsers beside the gateway's own; ``*`` is any."""
    connections_max: int = 5_000
    send_timeout_seconds: float = 15.0
    drain_seconds: float = 60.0
    """Clients come back spread over this time when a replica stops."""


class Connection:
    """One accepted socket: messages go to the session as they come, frames leave as soon as the socket takes them."""

    def __init__(self, socket: WebSocket, session: Session, send_timeout_seconds: float, measures: Measures) -> None:
        self.session = session
        self._socket = socket
        self._send_timeout_seconds = send_timeout_seconds
        self._measures = measures
        self._wake = asyncio.Event()
        self._taken = asyncio.Event()

    def wake(self) -> None:
        """The session has something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Read and write until either side closes."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                self._note(outcome)

    async def _read(self) -> None:
        """Hand over messages until the client is gone."""
        while True:
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            self._receive(received.get("text"))
            self.wake()
            while self.session.answers_waiting > ANSWERS_WAITING_MAX and not self.session.closing:
                self._taken.clear()
                await self._taken.wait()

    async def _write(self) -> None:
        """Write what the session has, as it comes, until it closes."""
        try:
            while self.session.closing is None:
                await self._wait()
                await self._flush()
            await self._flush()
            closing = self.session.closing
        except TimeoutError:
            closing = Close(CloseCode.SLOW, f"nothing was read for {self._send_timeout_seconds:g} s")
        await self._close(closing)

    async def _close(self, closing: Close) -> None:
        """Say why, if the client still reads; a socket that is full takes no close frame either."""
        log.info("closing", session=self.session.session_id, code=int(closing.code), reason=closing.reason)
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await self._socket.close(closing.code, closing.reason[:REASON_CHARACTERS_MAX])

    def _note(self, outcome: object) -> None:
        """A client that goes is no error; anything else that ended a connection is ours."""
        if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect | TimeoutError):
            log.error("a connection failed", session=self.session.session_id, exc_info=outcome)

    def _receive(self, text: str | None) -> None:
        if text is None:
            self.session.refuse_binary()
        elif (size_bytes := len(text.encode())) > MESSAGE_BYTES_MAX:
            self.session.refuse_size(size_bytes)
        else:
            self.session.receive(text, time.time())

    async def _flush(self) -> None:
        self._wake.clear()
        flush = self.session.take(time.time())
        self._taken.set()
        for frame in flush.frames:
            async with asyncio.timeout(self._send_timeout_seconds):
                await self._socket.send_text(frame)
        if flush.oldest_ms is not None:
            self._measures.latency_seconds.observe(max(0.0, time.time() - flush.oldest_ms / 1000))

    async def _wait(self) -> None:
        """Until there is something to send, or the time has come."""
        seconds = self.session.due() - time.time()
        timer = asyncio.get_running_loop().call_later(max(0.0, min(seconds, 3600.0)), self._wake.set)
        await self._wake.wait()
        timer.cancel()


class Sockets:
    """All connections of this replica; a part of the service, which drains them when it stops."""

    def __init__(
        self,
        engine: Engine,
        terms: Terms,
        authenticate: Authenticate,
        access: Access,
        not_ready: Callable[[], str | None],
        partitions: Callable[[], int],
        measures: Measures,
    ) -> None:
        """``partitions`` tells how many a portfolio topic has, once the bus is known."""
        self._engine = engine
        self._terms = terms
        self._authenticate = authenticate
        self._access = access
        self._not_ready = not_ready
        self._partitions = partitions
        self._measures = measures
        self._connections: dict[str, Connection] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._draining = False
        measures.sessions = lambda: self.sessions

    @property
    def sessions(self) -> Sequence[Session]:
        """The open connections' sides of the protocol."""
        return [connection.session for connection in self._connections.values()]

    async def start(self) -> None:
        """Sockets are taken as soon as the server runs; there is nothing to prepare."""

    async def stop(self) -> None:
        """Tell every client when to come back, and close."""
        self._draining = True
        for connection in self._connections.values():
            connection.session.drain(self._come_back_ms())
            connection.wake()
        if self._serving:
            await asyncio.wait(self._serving, timeout=CLOSE_SECONDS_MAX)

    def waiting_for(self) -> str | None:
        """Nothing."""
        return None

    def wake(self, touched: Iterable[Subscription]) -> None:
        """Have what was folded sent."""
        for subscription in touched:
            connection = self._connections.get(subscription.session_id)
            if connection is not None and connection.session.wake(subscription):
                connection.wake()

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from its upgrade request to its close."""
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
        refusal = self._refusal(socket)
        if refusal is not None:
            await socket.close(refusal.code, refusal.reason[:REASON_CHARACTERS_MAX])
            return
        session = self._session(socket)
        connection = Connection(socket, session, self._access.send_timeout_seconds, self._measures)
        self._connections[session.session_id] = connection
        task = asyncio.ensure_future(connection.run())
        self._serving.add(task)
        try:
            await task
        finally:
            session.end()
            self._serving.discard(task)
            del self._connections[session.session_id]

    def _refusal(self, socket: WebSocket) -> Close | None:
        """Why this connection is not taken."""
        offered = socket.scope["subprotocols"]
        if offered and SUBPROTOCOL not in offered:
            return Close(CloseCode.VERSION, f"subprotocol: expected {SUBPROTOCOL}, was {', '.join(offered)}")
        if not self._welcome(socket.headers.get("origin"), socket.headers.get("host")):
            return Close(CloseCode.FORBIDDEN, f"origin: expected one that is allowed, was {socket.headers['origin']}")
        if self._draining:
            return Close(CloseCode.DRAINING, "this replica is stopping")
        if (reason := self._not_ready()) is not None:
            return Close(CloseCode.CAPACITY, f"not ready: {reason}")
        if len(self._connections) >= self._access.connections_max:
            return Close(CloseCode.CAPACITY, f"connections: expected at most {self._access.connections_max}")
        return None

    def _welcome(self, origin: str | None, host: str | None) -> bool:
        """Programs send no origin; a page of the gateway's own is at home."""
        allowed = self._access.allowed_origins
        return origin is None or "*" in allowed or origin in allowed or urlsplit(origin).netloc == host

    def _session(self, socket: WebSocket) -> Session:
        now = time.time()
        session = Session(secrets.token_hex(8), self._engine, self._terms, self._authenticate, self._partitions(), now)
        scheme, _, token = socket.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            session.authorise(token, now)
        return session

    def _come_back_ms(self) -> int:
        return random.randrange(int(self._access.drain_seconds * 1000) + 1)
