"""The steps of docs/by-hand.md, as a person would type them: a system out of six ``run``s, and who watches it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tailstream.stack import Addresses
from tailstream.stack.ports import free_ports

TAILSTREAM = Path(sys.executable).with_name("tailstream")
ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 150.0
SERVICES = ("gateway", "analytics", "risk", "limits", "recorder")
UPDATES_WANTED = {"risk", "analytics", "limits"}


@contextmanager
def running(arguments: Sequence[str], environment: dict[str, str], log: Path) -> Iterator["subprocess.Popen[str]"]:
    """``tailstream ...`` in the background; stopped in the end as Ctrl-C on a script would."""
    with log.open("w") as told:
        process = subprocess.Popen(
            [TAILSTREAM, *arguments], env=environment, stdout=subprocess.PIPE, stderr=told, text=True, cwd=ROOT
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def done(arguments: Sequence[str], environment: dict[str, str]) -> str:
    answer = subprocess.run(
        [TAILSTREAM, *arguments], env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_system_is_put_together_by_hand(addresses: Addresses, prefix: str, database: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = os.environ | addresses.env() | {
        "TAILSTREAM_POSTGRES": database,
        "TAILSTREAM_TOPIC_PREFIX": prefix,
        "TAILSTREAM_JWT_SECRET": "by-hand-" * 5,
        "TAILSTREAM_REPLAY_WARM_UP_CLOSES": "260",
    }  # fmt: skip
    done(["db", "migrate"], environment)
    gateway = environment | {"TAILSTREAM_HTTP_PORT": str(port)}
    processes = [
        running(["run", service], gateway if service == "gateway" else environment, tmp_path / service)
        for service in SERVICES
    ]
    token = done(["token"], environment).strip()
    watching = environment | {"TAILSTREAM_URL": f"ws://127.0.0.1:{port}/ws/v1", "TAILSTREAM_TOKEN": token}
    replay = ["run", "replay", "--to", "2007-03-31"]
    with processes[0], processes[1], processes[2], processes[3], processes[4]:
        done([*replay, "--prepare"], environment)
        done(["limits", "apply", "deploy/limits/demo.yaml", "--seconds", "90"], environment)
        with (
            running(replay, environment, tmp_path / "replay"),
            running(["watch", "firm", "--json"], watching, tmp_path / "watch") as watch,
        ):
            assert kinds_seen(watch) >= UPDATES_WANTED, (tmp_path / "watch").read_text()
        assert json.loads(done(["quarantine", "list", "--json"], environment)) == []


def kinds_seen(watch: "subprocess.Popen[str]") -> set[str]:
    """What the client was told of, until it was told of all that is wanted, or time is up."""
    seen: set[str] = set()
    deadline = time.monotonic() + DEADLINE_SECONDS
    assert watch.stdout is not None
    while not seen >= UPDATES_WANTED and time.monotonic() < deadline and (line := watch.stdout.readline()):
        seen.add(json.loads(line)["kind"])
    return seen
