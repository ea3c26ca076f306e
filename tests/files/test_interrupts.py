"""Ctrl-C while processes of a backtest are being started."""

import os
import signal
import subprocess
import sys

import pytest

from tailstream.files.rolling import interrupts_held


def interrupted(done: list[str]) -> None:
    """By one that this thread gets, and by one that comes by another thread."""
    with interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        handler = signal.getsignal(signal.SIGINT)
        assert callable(handler)
        handler(signal.SIGINT, None)
        done.append("all that was to be done")


def test_an_interrupt_is_held_while_processes_start_and_not_lost() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(done)
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_that_is_started_meanwhile_never_gets_one() -> None:
    says = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('still here')"
    with interrupts_held():
        answer = subprocess.run((sys.executable, "-c", says), capture_output=True, text=True, check=True)
    assert answer.stdout == "still here\n"
