"""When to come back after a lost connection: as the gateway said, or with full jitter over a growing time."""

import random

SECONDS_MAX = 30.0
_FIRST_SECONDS = 0.5
_FOR_GOOD = range(4000, 4100)
_TOO_BIG = 1009


def comes_back(code: int) -> bool:
    """Whether a close code leaves any sense in coming back."""
    return code not in _FOR_GOOD and code != _TOO_BIG


class Backoff:
    """How long to wait before the next try."""

    def __init__(self) -> None:
        self._tries = 0
        self._told_seconds: float | None = None
        self._jitter_seconds = _FIRST_SECONDS

    def connected(self, reconnect_jitter_ms: int) -> None:
        """The gateway took us, and said over which time its clients should come back."""
        self._tries = 0
        self._jitter_seconds = reconnect_jitter_ms / 1000

    def told(self, reconnect_after_ms: int) -> None:
        """The gateway is draining and said when to come back."""
        self._told_seconds = reconnect_after_ms / 1000

    def seconds(self) -> float:
        """How long to wait now; each call is one more try."""
        told, self._told_seconds = self._told_seconds, None
        if told is not None:
            return told
        longest = min(SECONDS_MAX, self._jitter_seconds + _FIRST_SECONDS * (2**self._tries - 1))
        self._tries = min(self._tries + 1, 16)
        return random.uniform(0, longest)
