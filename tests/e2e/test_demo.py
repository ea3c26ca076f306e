"""The demo as a command: what it proves, and that nothing of it stays however it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tailstream.cli.replicas import SERVICES
from tailstream.stack.ports import is_free
from tailstream.stack.processes import marked
from tailstream.stack.run import Record, Run

UP_SECONDS_MAX = 240.0
DOWN_SECONDS_MAX = 120.0


class Demo:
    """A running demo, and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[str]", said: Path) -> None:
        self.process = process
        self._said = said

    @property
    def said(self) -> str:
        """Its standard error."""
        return self._said.read_text()

    @property
    def run_directory(self) -> Path:
        """Where it runs."""
        found = re.search(r"^logs are in (.*)/logs$", self.said, flags=re.MULTILINE)
        assert found
        return Path(found[1])

    def record(self) -> Record:
        """What it has started."""
        run = Run.read(self.run_directory)
        assert run
        return run.record

    def finish(self) -> dict[str, Any]:
        """The document it prints when it has ended."""
        output, _ = self.process.communicate(timeout=UP_SECONDS_MAX)
        return dict(json.loads(output))


def wait_until(condition: Callable[[], object], *, within_seconds: float, telling: Callable[[], str]) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, telling()
        time.sleep(0.1)


@contextmanager
def demo(tmp_path: Path, *options: str) -> Iterator[Demo]:
    """The demo of the command line, on servers of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILSTREAM_")}
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("tailstream")), "demo", "--headless", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=environment,
        )
    running = Demo(process, tmp_path / "said")
    try:
        yield running
    finally:
        process.kill()
        process.wait()


def is_replaying(running: Demo) -> bool:
    return re.search(r"^ *\d+ s  2007-", running.said, flags=re.MULTILINE) is not None


def await_replay(running: Demo) -> Record:
    """What the demo runs, once it is in the middle of its days."""
    wait_until(
        lambda: is_replaying(running) or running.process.poll() is not None,
        within_seconds=UP_SECONDS_MAX,
        telling=lambda: running.said,
    )
    assert running.process.poll() is None, running.said
    return running.record()


def leftovers(record: Record, directory: Path) -> list[str]:
    """What is still there of a run."""
    living = [member.name for member in record.members if member.identity.living()]
    hidden = [process.name() for process in marked(record.run_id)]
    ports = [f"port {member.port}" for member in record.members if member.port and not is_free(member.port)]
    return [*living, *hidden, *ports, *([str(directory)] if directory.exists() else [])]


@pytest.mark.slow
def test_every_service_publishes_for_every_portfolio_and_the_demo_says_so(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "20") as running:
        record = await_replay(running)
        directory = running.run_directory
        document = running.finish()
        assert (running.process.returncode, document["problems"]) == (0, []), running.said
    assert document["first_period"] == "2007-01-03"
    assert document["portfolios"] >= 60
    assert document["published"] == dict.fromkeys(SERVICES, document["portfolios"])
    assert document["history"]["portfolio_valuations"] == document["closes"] * document["portfolios"]
    assert document["history"]["risk_metrics"] == document["history"]["portfolio_valuations"]
    assert document["quarantined"] == 0
    assert document["latency"]["samples"] > 0
    assert leftovers(record, directory) == []


@pytest.mark.slow
def test_a_service_killed_in_the_demo_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "25") as running:
        record = await_replay(running)
        (risk,) = [member for member in record.members if member.name == "risk-1"]
        os.kill(risk.identity.pid, signal.SIGKILL)
        document = running.finish()
        assert (running.process.returncode, document["problems"]) == (0, []), running.said
    assert document["restarts"] == {"risk-1": 1}
    assert document["history"]["risk_metrics"] == document["closes"] * document["portfolios"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_stopped_in_the_middle_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as running:
        record = await_replay(running)
        directory = running.run_directory
        running.process.send_signal(number)
        output, _ = running.process.communicate(timeout=DOWN_SECONDS_MAX)
        assert running.process.returncode == 0, running.said
        assert json.loads(output)["problems"] == ["interrupted"]
    assert leftovers(record, directory) == []


@pytest.mark.slow
def test_a_demo_stopped_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        wait_until(lambda: "logs are in" in running.said, within_seconds=UP_SECONDS_MAX, telling=lambda: running.said)
        record, directory = running.record(), running.run_directory
        running.process.send_signal(signal.SIGINT)
        running.process.communicate(timeout=DOWN_SECONDS_MAX)
        assert running.process.returncode == 1
    assert leftovers(record, directory) == []


@pytest.mark.slow
def test_a_demo_killed_in_the_middle_is_cleared(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        record = await_replay(running)
        directory = running.run_directory
        running.process.kill()
    wait_until(
        lambda: not leftovers(record, directory),
        within_seconds=DOWN_SECONDS_MAX,
        telling=lambda: f"still there: {leftovers(record, directory)}",
    )
    assert not psutil.pid_exists(running.process.pid)


@pytest.mark.parametrize("options", [("--speed", "fast"), ("--speed", "-1"), ("--from", "soon"), ("--to", "never")])
def test_an_option_that_makes_no_sense_is_a_usage_error_that_names_it(tmp_path: Path, options: tuple[str, str]) -> None:
    with demo(tmp_path, *options) as running:
        running.process.communicate(timeout=60)
        assert running.process.returncode == 2
        assert options[0] in running.said
        assert options[1] in running.said
