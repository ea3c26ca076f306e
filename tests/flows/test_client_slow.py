"""Clients that do not read, too many clients, and a gateway that is not ready: each costs itself alone."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from contracts.gateway import Connect
from services.gateway.auth import make_token
from tailstream.client import Client, Update
from tests.gateway_desk import SECRET, alerts
from tests.gateway_log import Log
from tests.gateway_server import ACCESS, Server

SECONDS_MAX = 60.0
RECEIVE_BUFFER_BYTES = 4096


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server(replace(ACCESS, send_timeout_seconds=1.0, connections_max=2))
    await server.start()
    yield server
    await server.stop()


def token() -> str:
    return make_token(SECRET, "ann", ["viewer"], "*", 600, time.time())


def narrow(server: Server) -> socket.socket:
    """A connection whose receiving end holds little."""
    narrowed = socket.socket()
    narrowed.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    narrowed.connect(("127.0.0.1", server.port))
    narrowed.setblocking(False)
    return narrowed


async def test_a_client_that_reads_nothing_is_closed_and_the_others_miss_nothing(server: Server) -> None:
    log, published, seen = Log(), 0, 0
    async with (
        Client(server.url, token()) as reader,
        connect(server.url, sock=narrow(server), compression=None, max_queue=1) as idler,
    ):
        await reader.alerts()
        await idler.send(Connect(token=token()).model_dump_json())
        await idler.send(alerts().model_dump_json(exclude_none=True))
        items = aiter(reader)
        await anext(items)
        async with asyncio.timeout(SECONDS_MAX):
            while len(server.sockets.sessions) == 2:
                server.read(*(log.alert("A", published + number) for number in range(200)))
                published += 200
                while seen < published:
                    assert isinstance(await anext(items), Update)
                    seen += 1
        received = [message async for message in _left(idler)]
    assert 0 < server.engine.counts.dropped < published
    assert len(received) < published
    assert idler.close_code in {4308, 1006}  # a socket that is full takes no close frame


async def _left(idler: connect) -> AsyncIterator[str]:
    try:
        while True:
            yield await idler.recv()
    except ConnectionClosed:
        return


async def test_a_gateway_that_is_not_ready_asks_to_come_back_and_the_client_does(server: Server) -> None:
    server.not_ready = "1000 records still to be read"
    async with connect(server.url) as early:
        with pytest.raises(ConnectionClosed) as closed:
            await early.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4100, "not ready: 1000 records still to be read")
    entering = asyncio.create_task(_enter(server))
    await asyncio.sleep(0)
    server.not_ready = None
    async with asyncio.timeout(SECONDS_MAX):
        assert await entering == 1


async def _enter(server: Server) -> int:
    async with Client(server.url, token()) as client:
        return client.connections


async def test_one_connection_too_many_is_asked_to_come_back(server: Server) -> None:
    async with Client(server.url, token()), Client(server.url, token()), connect(server.url) as third:
        with pytest.raises(ConnectionClosed) as closed:
            await third.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4100, "connections: expected at most 2")
