"""What a running system tells another terminal."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tailstream.cli.system import System
from tailstream.stack import Stack

TAILSTREAM = Path(sys.executable).with_name("tailstream")


@pytest.fixture
def attach_file(stack: Stack, prefix: str) -> Path:
    return System(stack, replay={}, environment={"TAILSTREAM_TOPIC_PREFIX": prefix}).attach_file()


def in_shell(attach_file: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a shell that knows nothing but what the file tells."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TAILSTREAM_")}
    script = (f'. "{attach_file}" && exec "$@"', "sh")
    return subprocess.run(
        ["sh", "-c", *script, *command], env=bare, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_shell_that_attaches_finds_the_bus_the_databases_and_the_gateway(
    attach_file: Path, stack: Stack, prefix: str
) -> None:
    told = dict(line.split("=", 1) for line in in_shell(attach_file, "env").stdout.splitlines() if "=" in line)
    assert stack.addresses.env().items() <= told.items()
    assert told["TAILSTREAM_TOPIC_PREFIX"] == prefix
    assert told["TAILSTREAM_URL"].endswith("/ws/v1")
    assert told["TAILSTREAM_TOKEN"]
    assert "TAILSTREAM_JWT_SECRET" not in told


def test_explain_looks_on_the_log_of_the_system_it_is_attached_to(attach_file: Path) -> None:
    answer = in_shell(attach_file, str(TAILSTREAM), "explain", "firm", "--as-of", "2008-10-15")
    assert answer.returncode == 1
    assert "portfolio firm: expected a close on risk.metrics.v1" in answer.stderr


def test_what_lets_a_shell_in_is_for_its_user_alone(attach_file: Path) -> None:
    assert stat.S_IMODE(attach_file.stat().st_mode) == 0o600
