"""Named places where a test may have a process die, so that a crash there is a scenario and not luck.

Off unless the environment says ``TAILSTREAM_FAILPOINT=name:hit``: at that hit of that place (counted from 1) the
process kills itself with SIGKILL, after appending what it was doing to ``TAILSTREAM_FAILPOINT_LOG``. With
``name:hit:freeze`` it stops where it is (SIGSTOP) until somebody lets it go on.
"""

import os
import signal
from collections import Counter
from pathlib import Path
from threading import Timer

_ARMED, _HIT, _FREEZE, *_ = (*os.environ.get("TAILSTREAM_FAILPOINT", "").split(":"), "", "")
_LOG = os.environ.get("TAILSTREAM_FAILPOINT_LOG", "")
_hits: Counter[str] = Counter()

PLACES = (
    "close.between_acks",
    "close.before_commit",
    "close.during_commit",
    "close.measuring",
    "shard.restoring",
    "shard.rebalancing",
    "store.before_commit",
    "store.after_commit",
    "source.told",
)
"""Every place there is. ``store.after_commit`` lies between the database's commit and the outbox, ``source.told``
between the acknowledgement of a change of the books and the close that it belongs to."""


def failpoint(place: str, doing: str, *, delay_ms: float = 0.0) -> None:
    """Die here if this place is armed; with a delay, die that much later while the work goes on."""
    if place != _ARMED:
        return
    _hits[place] += 1
    if _hits[place] == int(_HIT or 1):
        Timer(delay_ms / 1000, _end, (place, doing)).start() if delay_ms else _end(place, doing)


def _end(place: str, doing: str) -> None:
    if _LOG:
        with Path(_LOG).open("a") as log:
            log.write(f"{place} {doing}\n")
            log.flush()
            os.fsync(log.fileno())
    os.kill(os.getpid(), signal.SIGSTOP if _FREEZE else signal.SIGKILL)
