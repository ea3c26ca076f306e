"""A client of the gateway that stays connected: it subscribes, hands updates on, comes back and resumes."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Literal, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from contracts.event import Part
from contracts.gateway import (
    SUBPROTOCOL,
    Connect,
    Pong,
    Refresh,
    Severity,
    Subscribe,
    SubscribeAnalytics,
    SubscribeLimits,
    SubscribeRisk,
    SubscribeRiskAlerts,
    UnsubscribeAnalytics,
    UnsubscribeLimits,
    UnsubscribeRisk,
    UnsubscribeRiskAlerts,
)
from contracts.gateway import Client as ClientName
from tailstream.client.backoff import Backoff, comes_back
from tailstream.client.errors import ClientError, ConnectionRefused, RequestRefused
from tailstream.client.frames import Frame, read_frame
from tailstream.client.inbox import Inbox
from tailstream.client.ledger import Ledger
from tailstream.client.updates import Item, Subscription

FRAME_BYTES_MAX = 16 * 1024 * 1024
SILENT_SECONDS_MAX = 90.0
"""The gateway pings every 25 s unless it was told otherwise; a connection silent for so long is dead."""
Token = str | Callable[[], str]


class Client:
    """Use it as an async context, subscribe, and iterate.

    ::

        async with Client("ws://127.0.0.1:8000/ws/v1", token) as client:
            await client.analytics("equity-01")
            async for item in client:
                ...

    Iterating yields snapshots, updates, gaps and ends of all subscriptions in the order they came, across reconnects:
    after one, each subscription goes on without loss, or with a new snapshot where the gateway cannot vouch for that.
    A consumer that is slow slows the reading, and the gateway conflates.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        name: str = "tailstream",
        connect_seconds_max: float = 15.0,
        items_max: int = 1_000,
    ) -> None:
        """``token`` may be a function that makes a fresh one; ``items_max`` wait to be iterated at most."""
        self._url = url
        self._token = token
        self._name = name
        self._connect_seconds_max = connect_seconds_max
        self._items_max = items_max
        self._ledger = Ledger()
        self._numbers = count(1)
        self._asked: dict[int | str, asyncio.Future[None]] = {}
        self._inbox = Inbox(items_max)
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        self._last_error = ""
        self.connections = 0
        """How often it has connected."""

    async def __aenter__(self) -> Self:
        """Connect.

        Raises
        ------
        ConnectionRefused
            When the token is no good, for instance.
        ClientError
            When no gateway answered in time.
        """
        self._running = asyncio.create_task(self._run())
        first = asyncio.create_task(self._connected.wait())
        await asyncio.wait(
            {self._running, first}, timeout=self._connect_seconds_max, return_when=asyncio.FIRST_COMPLETED
        )
        first.cancel()
        if not self._connected.is_set():
            await self.close()
            self._raise_failure()
            raise ClientError(f"no gateway at {self._url} in {self._connect_seconds_max:g} s: {self._last_error}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self.close()

    async def close(self) -> None:
        """Disconnect; what has come already can still be iterated."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def analytics(
        self,
        portfolio_id: str,
        *,
        metrics: Sequence[str] | None = None,
        mode: Literal["merge", "distinct"] = "merge",
        max_rate_hz: float | None = None,
    ) -> Subscription:
        """Subscribe to the metrics of every analyzer, or to the figures named in ``metrics``."""
        chosen = None if metrics is None else tuple(metrics)
        return await self.subscribe(
            SubscribeAnalytics(
                id=self._number(), portfolio_id=portfolio_id, metrics=chosen, mode=mode, max_rate_hz=max_rate_hz
            )
        )

    async def risk(
        self,
        portfolio_id: str,
        *,
        metrics: Sequence[str] | None = None,
        mode: Literal["merge", "distinct"] = "merge",
        max_rate_hz: float | None = None,
    ) -> Subscription:
        """Subscribe to VaR and ES, of every method or of those named in ``metrics``."""
        chosen = None if metrics is None else tuple(metrics)
        return await self.subscribe(
            SubscribeRisk(
                id=self._number(), portfolio_id=portfolio_id, metrics=chosen, mode=mode, max_rate_hz=max_rate_hz
            )
        )

    async def limits(self, portfolio_id: str, *, max_rate_hz: float | None = None) -> Subscription:
        """Subscribe to where the portfolio's limits stand."""
        return await self.subscribe(
            SubscribeLimits(id=self._number(), portfolio_id=portfolio_id, max_rate_hz=max_rate_hz)
        )

    async def alerts(self, portfolio_id: str = "*", *, severity_level: Severity = "info") -> Subscription:
        """Subscribe to every step of every alert of a portfolio, or of all."""
        return await self.subscribe(
            SubscribeRiskAlerts(id=self._number(), portfolio_id=portfolio_id, severity_level=severity_level)
        )

    async def subscribe(self, asked: Subscribe) -> Subscription:
        """Subscribe as ``asked`` says; its ``id`` must be this client's only one of that name.

        Raises
        ------
        RequestRefused
            When the gateway would not.
        """
        subscription = self._ledger.add(asked)
        answer = asyncio.get_running_loop().create_future()
        self._asked[asked.id] = answer
        self._inbox.press()
        try:
            await self._send(asked)
            await answer
        finally:
            self._inbox.release()
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; what of it is on its way is not handed on."""
        sub_id = self._ledger.remove(subscription)
        if sub_id is not None:
            await self._send(_UNSUBSCRIBE[subscription.kind](id=self._number(), sub_id=sub_id))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        item = await self._inbox.take()
        if item is None:
            self._raise_failure()
            raise StopAsyncIteration
        return item

    def _number(self) -> int:
        return next(self._numbers)

    def _raise_failure(self) -> None:
        if self._running is not None and self._running.done() and not self._running.cancelled():
            failure = self._running.exception()
            if failure is not None:
                raise failure

    async def _run(self) -> None:
        """Connect, listen, come back: until closed or refused."""
        try:
            while True:
                await self._live_once()
                await asyncio.sleep(self._backoff.seconds())
        finally:
            self._inbox.close()
            for answer in self._asked.values():
                answer.set_exception(ClientError("the client was closed before the gateway answered"))
            self._asked.clear()

    async def _live_once(self) -> None:
        """One connection, until it is lost.

        Raises
        ------
        ConnectionRefused
            When it makes no sense to come back.
        """
        try:
            async with connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=FRAME_BYTES_MAX,
                ping_interval=None,
            ) as socket:
                await self._listen(socket)
        except ConnectionClosed as closed:
            self._last_error = str(closed)
            if closed.rcvd is not None and not comes_back(closed.rcvd.code):
                raise ConnectionRefused(closed.rcvd.code, closed.rcvd.reason) from None
        except (OSError, TimeoutError, WebSocketException) as error:
            self._last_error = str(error)
        finally:
            self._socket = None

    async def _listen(self, socket: ClientConnection) -> None:
        await socket.send(_text(Connect(token=self._fresh_token(), client=ClientName(name=self._name, version="1"))))
        while True:
            async with asyncio.timeout(SILENT_SECONDS_MAX):
                received = await socket.recv(decode=False)
            await self._receive(socket, read_frame(received))

    async def _receive(self, socket: ClientConnection, frame: Frame) -> None:
        match frame.type:
            case "connected":
                await self._resume(socket, frame)
            case "ping":
                await socket.send(_text(Pong()))
            case "token_expiring" if not isinstance(self._token, str):
                await socket.send(_text(Refresh(token=self._fresh_token())))
            case "draining":
                self._backoff.told(frame.reconnect_after_ms)
        items = self._ledger.receive(frame)
        if not self._answered(frame):
            await self._inbox.put(items)

    async def _resume(self, socket: ClientConnection, frame: Frame) -> None:
        """Ask for every subscription again, each from where it stands."""
        self._socket = socket
        self._backoff.connected(frame.reconnect_jitter_ms)
        self.connections += 1
        self._connected.set()
        for asked in list(self._ledger.reconnected()):
            await socket.send(_text(asked))

    def _answered(self, frame: Frame) -> bool:
        """Tell who asked; True where the frame is a refusal that concerns nobody else."""
        answer = None if frame.id is None else self._asked.pop(frame.id, None)
        if answer is None or answer.done():
            return False
        if frame.type == "error":
            answer.set_exception(RequestRefused(frame.code, frame.message, frame.retry_after_ms))
            return True
        answer.set_result(None)
        return False

    def _fresh_token(self) -> str:
        return self._token if isinstance(self._token, str) else self._token()

    async def _send(self, message: Part) -> None:
        """Send now; what is lost with the connection is asked for again by the next one."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(_text(message))


def _text(message: Part) -> str:
    return message.model_dump_json(exclude_none=True)


_UNSUBSCRIBE: Mapping[str, type[UnsubscribeAnalytics | UnsubscribeRisk | UnsubscribeLimits | UnsubscribeRiskAlerts]] = {
    "analytics": UnsubscribeAnalytics,
    "risk": UnsubscribeRisk,
    "limits": UnsubscribeLimits,
    "risk_alerts": UnsubscribeRiskAlerts,
}
