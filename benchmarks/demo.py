"""What the whole system does at full speed, and where its time goes: `python benchmarks/demo.py`.

The demo's stack, services, source and client replay a year of closes as fast as they go. Measured are closes a second
until the last of them stands in history, and the CPU time of every process. CPU time says more than the wall does: it
is what the stream costs, whatever else runs on the machine.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import psutil

from tailstream.cli.demo import AHEAD_CLOSES_MAX
from tailstream.cli.live import Live
from tailstream.cli.summary import Summary
from tailstream.cli.system import System
from tailstream.stack import Stack

FIRST, LAST = "2007-01-01", "2007-12-31"
AIM_BOOK_CLOSES, AIM_SECONDS, CORES = 240_000, 240, 2
SAMPLE_SECONDS = 1.0
ROWS = ("analytics", "risk", "limits", "recorder", "gateway", "source", "kafka", "postgres", "redis", "client")


class CpuMeter:
    """CPU seconds, user and system, of each process of a stack with its children, since the meter was made."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._names: dict[int, str] = {}
        self._now: dict[int, float] = {}
        self.sample()
        self._before = dict(self._now)
        self._machine_before = machine_busy()
        self._due = 0.0

    def sample(self) -> None:
        """Read every clock; of a process that has ended the last reading stays."""
        for member in self._stack.run.record.members:
            if (process := member.identity.living()) is not None:
                self._read(member.name, process)
        self._read("client", psutil.Process())
        self._due = time.monotonic() + SAMPLE_SECONDS

    def sample_when_due(self) -> None:
        """As :meth:`sample`, once in a while."""
        if time.monotonic() >= self._due:
            self.sample()

    def seconds(self) -> Counter[str]:
        """By kind of process."""
        spent: Counter[str] = Counter()
        for pid, now in self._now.items():
            kind = self._names[pid].rsplit("-", 1)[0]
            spent[kind] += now - self._before.get(pid, 0.0)  # type: ignore[assignment]  # a Counter of floats
        return spent

    def others(self) -> float:
        """CPU seconds of whatever else ran on the machine."""
        return max(0.0, machine_busy() - self._machine_before - sum(self.seconds().values()))

    def _read(self, name: str, process: psutil.Process) -> None:
        try:
            own = name == "client"
            times = [process.cpu_times()] + ([] if own else [c.cpu_times() for c in process.children(recursive=True)])
        except psutil.NoSuchProcess:
            return
        reaped = 0.0 if own else times[0].children_user + times[0].children_system
        self._names[process.pid] = name
        self._now[process.pid] = reaped + sum(t.user + t.system for t in times)


def machine_busy() -> float:
    """CPU seconds of everything on the machine since it was started, what a hypervisor took away included."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


@dataclass(frozen=True)
class Run:
    """One replay, measured."""

    summary: Summary
    seconds: float
    """From the first slice to the last close in history."""
    books: int
    """That hold something themselves: neither desk nor firm."""
    cpu: Counter[str]
    others: float


def measured(stack: Stack) -> Run:
    """Replay the year."""
    replay = {
        "TAILSTREAM_REPLAY_FROM": FIRST,
        "TAILSTREAM_REPLAY_TO": LAST,
        "TAILSTREAM_REPLAY_ONCE": "true",
        "TAILSTREAM_REPLAY_SPEED": "max",
        "TAILSTREAM_REPLAY_AHEAD_CLOSES_MAX": AHEAD_CLOSES_MAX,
    }
    system = System(stack, replay=replay)
    system.prepare(print)
    meter, seconds = CpuMeter(stack), 0.0

    def follow(live: Live) -> None:
        nonlocal seconds
        meter.sample_when_due()
        seconds = live.pulse().seconds

    live = Live(system)
    summary = asyncio.run(live.run(asyncio.Event(), None, follow))
    meter.sample()
    parents = {row.definition.parent for row in live.board.rows.values()}
    return Run(summary, seconds, len(live.board.rows.keys() - parents), meter.seconds(), meter.others())


def report(run: Run) -> None:
    book_closes = run.books * run.summary.closes
    cpu = sum(run.cpu.values())
    print(
        f"{run.summary.closes} closes of {run.books} books and {len(run.summary.portfolios) - run.books} parents, "
        f"{run.summary.slices} slices, in {run.seconds:.1f} s: {run.summary.closes / run.seconds:.1f} closes/s, "
        f"{book_closes / run.seconds:.0f} book-closes/s"
    )
    print(f"\n{'process':<12}{'CPU s':>8}{'share':>8}{'CPU ms a book-close':>22}")
    for name in ROWS:
        spent = run.cpu[name]
        print(f"{name:<12}{spent:>8.1f}{spent / cpu:>8.0%}{1e3 * spent / book_closes:>22.3f}")
    print(f"{'all':<12}{cpu:>8.1f}{1:>8.0%}{1e3 * cpu / book_closes:>22.3f}")
    print(f"{'others':<12}{run.others:>8.1f}   on the same machine in the same time")
    scale = AIM_BOOK_CLOSES / book_closes
    print(
        f"\n{AIM_BOOK_CLOSES} book-closes: {scale * run.seconds:.0f} s at this rate, {scale * cpu / CORES:.0f} s if "
        f"{CORES} cores did nothing else; the aim is {AIM_SECONDS} s"
    )
    for problem in run.summary.problems:
        print(f"problem: {problem}")


def main() -> None:
    with Stack.start(progress=print) as stack:
        run = measured(stack)
    report(run)


if __name__ == "__main__":
    main()
