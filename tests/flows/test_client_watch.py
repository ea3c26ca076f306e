"""``tailstream watch`` as people run it: a line an update, and a clear word when it cannot."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gateway.auth import make_token
from tests.gateway_desk import SECRET
from tests.gateway_log import Log
from tests.gateway_server import Server

SECONDS_MAX = 60.0
TAILSTREAM = (sys.executable, "-c", "from tailstream.cli import main; main()")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server, log = Server(), Log()
    await server.start()
    server.read(log.defined("A"), log.computed("A", 1), log.valued("A", 1), log.measured("A", 1), log.state("A", 1))
    server.read(log.alert("A", 1))
    yield server
    await server.stop()


def token() -> str:
    return make_token(SECRET, "ann", ["viewer"], "*", 600, time.time())


async def watch(server: Server, *options: str, bearer: str | None = None) -> asyncio.subprocess.Process:
    arguments = ("watch", "A", "--url", server.url, "--token", token() if bearer is None else bearer, *options)
    return await asyncio.create_subprocess_exec(
        *TAILSTREAM, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS_MAX):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


async def test_it_prints_a_line_an_update_and_ctrl_c_ends_it(server: Server) -> None:
    process = await watch(server)
    printed = await lines(process, 5)
    assert [line.split()[2] for line in printed] == ["analytics", "analytics", "risk", "limits", "risk_alerts"]
    assert "nav 1" in printed[0]
    assert "historical VaR 99 412,870 ES 99 561,004" in printed[2]
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


async def test_as_json_each_line_is_one_document(server: Server) -> None:
    process = await watch(server, "--json")
    documents: list[dict[str, Any]] = [json.loads(line) for line in await lines(process, 5)]
    assert [document["kind"] for document in documents] == ["analytics", "analytics", "risk", "limits", "risk_alerts"]
    assert documents[0]["data"]["figures"]["nav"] == {"value": 1.0, "status": "ok"}
    process.terminate()
    await process.wait()


async def test_a_token_that_is_no_good_ends_it_with_a_word_of_why(server: Server) -> None:
    process = await watch(server, bearer="nonsense")
    async with asyncio.timeout(SECONDS_MAX):
        printed, complaint = await process.communicate()
    assert (process.returncode, printed) == (1, b"")
    assert b"4001: token: expected one signed" in complaint
