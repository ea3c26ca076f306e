"""However a stack's owner ends, no process, port or run directory of it stays, and nothing else is touched."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue

import psutil
import pytest
import redis

from tailstream.stack import Addresses, AlreadyRunning, Stack
from tailstream.stack.jars import kafka_jars
from tailstream.stack.ports import is_open
from tailstream.stack.processes import Identity, marked, until
from tailstream.stack.run import Member, Record, Run, runs_directory

DEADLINE_SECONDS = 40.0

OWNER = """
import time
from tailstream.stack import Stack

with Stack.start(progress=lambda line: print(line, flush=True)) as stack:
    print(f"up {stack.run.path}", flush=True)
    time.sleep(600)
"""
STACK_COMMAND = "from tailstream.cli.stack import app; app()"


class Owner:
    """A Python process, and the lines that it has printed (both streams)."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip())

    def await_line(self, beginning: str) -> str:
        """The next line that begins so."""
        seen = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            try:
                seen.append(self._lines.get(timeout=0.2))
            except Empty:
                continue
            if seen[-1].startswith(beginning):
                return seen[-1]
        raise AssertionError(f"expected a line {beginning!r}, was {seen}")

    def await_up(self) -> Run:
        """The run of the stack that this process owns, once it is up."""
        run = Run.read(Path(self.await_line("up ").removeprefix("up ")))
        assert run
        return run

    def end(self, how: signal.Signals) -> None:
        """Signal the process and wait for its end."""
        self.process.send_signal(how)
        self.process.wait(DEADLINE_SECONDS)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: Addresses) -> Path:
    """A cache of the test's own that has Kafka's jars; the environment names the session's Kafka and PostgreSQL."""
    jars = kafka_jars(lambda line: None)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / jars.name).symlink_to(jars)
    monkeypatch.setenv("TAILSTREAM_CACHE", str(cache))
    for name, address in addresses.env().items():
        monkeypatch.setenv(name, address)
    return cache


@pytest.fixture
def owner(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Owner]]:
    """Start an owner of a stack in which those servers are started that are named."""
    owners: list[Owner] = []

    def begin(*servers: str, code: str = OWNER, arguments: tuple[str, ...] = ()) -> Owner:
        for server in servers:
            monkeypatch.delenv(f"TAILSTREAM_{server.upper()}")
        owners.append(Owner(code, *arguments))
        return owners[-1]

    yield begin
    for each in owners:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)
    assert until(lambda: not runs(), within_seconds=DEADLINE_SECONDS) or sweep_by_a_next_start()


def runs() -> list[str]:
    return [path.name for path in runs_directory().iterdir() if path.name != ".lock"]


def sweep_by_a_next_start() -> bool:
    Stack.start().stop()
    return not runs()


def nothing_is_left(run: Run) -> bool:
    ports = [member.port for member in run.record.members if member.port]
    return not run.path.exists() and not marked(run.record.run_id) and not any(map(is_open, ports)) and not runs()


def guard_of(run: Run) -> psutil.Process:
    (guard,) = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-1:] == [str(run.path)]]
    return guard


class TestTheOwnerEnds:
    def test_ctrl_c_leaves_nothing(self, owner: Callable[..., Owner]) -> None:
        begun = owner("kafka", "postgres", "redis")
        run = begun.await_up()
        assert {member.name for member in run.record.members} == {"kafka-1", "postgres", "redis"}
        begun.end(signal.SIGINT)
        assert nothing_is_left(run)

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_a_signal_while_it_starts_leaves_nothing(self, owner: Callable[..., Owner], how: signal.Signals) -> None:
        begun = owner("postgres", "redis")
        begun.await_line("starting")
        (run,) = [Run.read(path) for path in runs_directory().iterdir() if path.name != ".lock"]
        assert run
        begun.end(how)
        assert until(lambda: nothing_is_left(run), within_seconds=DEADLINE_SECONDS)

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
    def test_a_death_without_a_word_is_cleared_by_the_guard(
        self, owner: Callable[..., Owner], how: signal.Signals
    ) -> None:
        begun = owner("postgres", "redis")
        run = begun.await_up()
        begun.end(how)
        assert until(lambda: nothing_is_left(run), within_seconds=DEADLINE_SECONDS)

    def test_the_death_of_guard_and_owner_is_cleared_by_the_next_start(self, owner: Callable[..., Owner]) -> None:
        begun = owner("kafka", "postgres", "redis")
        run = begun.await_up()
        guard_of(run).kill()
        begun.end(signal.SIGKILL)
        assert len(run.processes()) > 2
        sweep_by_a_next_start()
        assert nothing_is_left(run)

    def test_a_process_that_nobody_wrote_down_is_found_by_its_mark(self, owner: Callable[..., Owner]) -> None:
        begun = owner("redis")
        run = begun.await_up()
        guard_of(run).kill()
        begun.end(signal.SIGKILL)
        run.save(members=())
        assert marked(run.record.run_id)
        sweep_by_a_next_start()
        assert nothing_is_left(run)


class TestWhatIsNotOurs:
    def test_a_process_that_has_a_dead_members_pid_is_left_alone(self, cache: Path) -> None:
        with subprocess.Popen(["sleep", "600"]) as stranger:
            path = runs_directory() / "run-crashed"
            path.mkdir()
            ours_once = Identity(pid=stranger.pid, started=psutil.Process(stranger.pid).create_time() - 3600)
            member = Member(name="redis", identity=ours_once, stop_signal=signal.SIGTERM, is_server=True)
            Run(path, Record(brokers=1, partitions=4, keep=False, owner=ours_once, members=(member,))).save()
            assert sweep_by_a_next_start()
            assert stranger.poll() is None
            stranger.kill()

    def test_a_run_whose_owner_lives_is_left_alone(self, owner: Callable[..., Owner]) -> None:
        begun = owner("redis")
        run = begun.await_up()
        address = run.record.addresses["redis"]
        Stack.start().stop()
        with redis.Redis.from_url(address) as client:
            assert client.ping()
        begun.end(signal.SIGINT)

    def test_a_living_runs_directory_is_not_taken(self, owner: Callable[..., Owner]) -> None:
        begun = owner("redis")
        run = begun.await_up()
        with pytest.raises(AlreadyRunning, match="tailstream stack down"):
            Stack.start(run.path)
        begun.end(signal.SIGINT)

    def test_a_record_that_cannot_be_read_is_told_of_and_left_alone(self, cache: Path) -> None:
        path = runs_directory() / "run-from-the-future"
        path.mkdir()
        (path / "run.json").write_text('{"brokers": "many"}')
        told: list[str] = []
        Stack.start(progress=told.append).stop()
        assert path.exists()
        assert any("expected the record of a run" in line for line in told)


class TestProcessesThatUseIt:
    def test_they_are_told_the_addresses_logged_and_ended_before_the_servers(
        self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = (
            "import os, signal, sys, time, redis\n"
            "client = redis.Redis.from_url(os.environ['TAILSTREAM_REDIS'])\n"
            f"said = open({str(tmp_path / 'said')!r}, 'a')\n"
            "signal.signal(signal.SIGTERM, lambda *_: (said.write(str(client.ping())), said.close(), sys.exit()))\n"
            "print('ready', os.environ['EXTRA'], flush=True)\n"
            "time.sleep(600)"
        )
        monkeypatch.delenv("TAILSTREAM_REDIS")
        with Stack.start() as stack:
            stack.spawn("user", [sys.executable, "-c", code], environment={"EXTRA": "told"})
            log = stack.run.log("user")
            assert until(lambda: "ready told" in log.read_text(), within_seconds=DEADLINE_SECONDS)
        assert (tmp_path / "said").read_text() == "True"

    def test_one_that_does_not_listen_is_killed(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tailstream.stack.sweep._STOP_SECONDS_MAX", 0.5)
        code = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
        with Stack.start() as stack:
            deaf = stack.spawn("deaf", [sys.executable, "-c", code])
            log = stack.run.log("deaf")
            assert until(lambda: "deaf" in log.read_text(), within_seconds=DEADLINE_SECONDS)
        assert deaf.returncode == -signal.SIGKILL


class TestTheCommand:
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", STACK_COMMAND, *arguments], capture_output=True, text=True, timeout=90
        )

    def test_up_status_up_again_and_down(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for server in ("KAFKA", "POSTGRES", "REDIS"):
            monkeypatch.delenv(f"TAILSTREAM_{server}")
        up = self.run("up")
        try:
            assert up.returncode == 0, up.stderr
            assert [line.split("=")[0] for line in up.stdout.splitlines()] == [
                "export TAILSTREAM_KAFKA",
                "export TAILSTREAM_POSTGRES",
                "export TAILSTREAM_REDIS",
            ]
            assert "kafka-1 answers" in up.stderr
            status = json.loads(self.run("status", "--json").stdout)
            assert status["running"] is True
            assert {row["name"] for row in status["processes"] if row["running"]} == {"kafka-1", "postgres", "redis"}
            assert "kafka-1" in self.run("status").stdout
            for name, address in status["addresses"].items():
                monkeypatch.setenv(name, address)
            Stack.start().stop()  # clears what crashed, not what was left running
            again = json.loads(self.run("up", "--json").stdout)
            assert again["addresses"] == status["addresses"]
            other = self.run("up", "--brokers", "3")
            assert (other.returncode, "brokers: expected 1" in other.stderr) == (1, True)
            run = Run.read(Path(status["run_directory"]))
            assert run
        finally:
            down = self.run("down")
        assert down.returncode == 0
        assert nothing_is_left(run)
        assert self.run("status").returncode == 1

    def test_a_stack_that_lost_a_process_is_shown_so_and_not_taken_for_up(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TAILSTREAM_POSTGRES")
        monkeypatch.delenv("TAILSTREAM_REDIS")
        try:
            assert self.run("up").returncode == 0
            rows = {row["name"]: row for row in json.loads(self.run("status", "--json").stdout)["processes"]}
            psutil.Process(rows["redis"]["pid"]).kill()
            status = self.run("status", "--json")
            assert (status.returncode, json.loads(status.stdout)["running"]) == (1, False)
            assert "`tailstream stack down` stops it" in self.run("up").stderr
        finally:
            assert self.run("down").returncode == 0
        assert runs() == []

    def test_down_and_status_without_a_stack_say_so(self, cache: Path) -> None:
        down, status = self.run("down"), self.run("status", "--json")
        assert (down.returncode, "no stack is running" in down.stderr) == (0, True)
        assert (status.returncode, json.loads(status.stdout)) == (1, {"running": False, "processes": []})

    def test_up_with_every_address_given_starts_nothing(self, cache: Path, addresses: Addresses) -> None:
        up = self.run("up", "--json")
        assert json.loads(up.stdout)["addresses"] == addresses.env()
        assert runs() == []

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_up_interrupted_leaves_nothing(self, owner: Callable[..., Owner], how: signal.Signals) -> None:
        begun = owner("kafka", code=STACK_COMMAND, arguments=("up",))
        begun.await_line("starting")
        run = Run.read(runs_directory() / "standing")
        assert run
        begun.end(how)
        assert begun.process.returncode != 0
        assert until(lambda: nothing_is_left(run), within_seconds=DEADLINE_SECONDS)

    def test_a_wrong_setting_is_told_in_a_line(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAILSTREAM_PARTITIONS", "several")
        up = self.run("up")
        assert (up.returncode, up.stdout) == (1, "")
        assert up.stderr.strip() == "error: TAILSTREAM_PARTITIONS: expected a whole number from 1, was 'several'"
