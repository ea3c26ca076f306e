"""The replicas of a system, kept running: one that dies is started again, and recovers by itself."""

import time
from collections import Counter
from collections.abc import Collection, Sequence

from tailstream.cli.replicas import Replica, ReplicaFailed

DEATHS_IN_A_ROW_MAX = 3
LIVED_SECONDS_MIN = 30.0
"""Who lives longer than this before it dies has not failed to start."""


class Fleet:
    """The replicas of a system by name."""

    def __init__(self, replicas: Sequence[Replica], *, finishing: Collection[str] = ()) -> None:
        """``finishing`` names those that may end by themselves, with exit code 0."""
        self._replicas = {replica.name: replica for replica in replicas}
        self._finishing = frozenset(finishing)
        self._in_a_row: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        """How often each replica was started again."""

    def __getitem__(self, name: str) -> Replica:
        return self._replicas[name]

    def start(self) -> None:
        """Start all of them."""
        for replica in self._replicas.values():
            replica.start()

    def await_ready(self, *, within_seconds: float) -> None:
        """Return when all are ready.

        Raises
        ------
        ReplicaFailed
            When one ends, or is not ready in time.
        """
        deadline = time.monotonic() + within_seconds
        for replica in self._replicas.values():
            replica.await_ready(within_seconds=max(0.0, deadline - time.monotonic()))

    def tend(self) -> None:
        """Start again whatever has died since the last look.

        Raises
        ------
        ReplicaFailed
            When one has died three times in a row, each time soon after its start.
        """
        for replica in self._replicas.values():
            code = replica.exit_code
            if code is not None and not (code == 0 and replica.name in self._finishing):
                self._revive(replica)

    def stop(self) -> None:
        """Ask all of them to stop, the last in the flow first, and wait until they have."""
        for replica in reversed(self._replicas.values()):
            replica.stop()

    def _revive(self, replica: Replica) -> None:
        lived_long = time.monotonic() - replica.started_at > LIVED_SECONDS_MIN
        self._in_a_row[replica.name] = 1 if lived_long else self._in_a_row[replica.name] + 1
        if self._in_a_row[replica.name] >= DEATHS_IN_A_ROW_MAX:
            died = f"died {DEATHS_IN_A_ROW_MAX} times in a row, the last time with {replica.exit_code}"
            raise ReplicaFailed(f"{replica.name}: {died}\n{replica.log_end()}")
        self.restarts[replica.name] += 1
        replica.start()
