"""When the next thing of a replay is due: so many trading days a second, or as fast as it goes."""

import math
from collections.abc import Callable

LATE_DAYS_MAX = 1.0
"""A replay that has fallen behind by more than this does not hurry to catch up: it goes on from where it is."""
WAIT_SECONDS_MIN = 0.002
"""What is due sooner than this is due now: timers are no finer."""


class Pace:
    """Turns a position in the replay, in trading days, into the time until it is due."""

    def __init__(self, days_per_second: float | None, now: Callable[[], float]) -> None:
        """None: everything is due at once. ``now`` is a monotonic clock in seconds."""
        self._day_seconds = 1 / days_per_second if days_per_second else 0.0
        self._now = now
        self._begun = -math.inf

    def seconds_until(self, position_days: float) -> float:
        """How long to wait for what happens at ``position_days``; 0 when it is due."""
        if not self._day_seconds:
            return 0.0
        now, since = self._now(), position_days * self._day_seconds
        if now - self._begun - since > LATE_DAYS_MAX * self._day_seconds:
            self._begun = now - since
        wait = self._begun + since - now
        return wait if wait >= WAIT_SECONDS_MIN else 0.0
