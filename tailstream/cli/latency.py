"""How long prices take from the source to a client's socket, over the newest figures that came."""

from collections import deque
from dataclasses import dataclass

import numpy as np

SAMPLES_MAX = 20_000
PERCENTILES = (50, 99)


@dataclass(frozen=True)
class Latency:
    """Percentiles of ``samples`` delays, in milliseconds; None without any."""

    samples: int
    p50_ms: float | None
    p99_ms: float | None


class Delays:
    """The newest delays."""

    def __init__(self) -> None:
        self._newest_ms: deque[float] = deque(maxlen=SAMPLES_MAX)
        self._seen = 0

    def add(self, delay_ms: float) -> None:
        """Take in one delay."""
        self._seen += 1
        self._newest_ms.append(delay_ms)

    def measured(self) -> Latency:
        """What the newest delays say."""
        if not self._newest_ms:
            return Latency(0, None, None)
        p50, p99 = np.percentile(np.fromiter(self._newest_ms, float), PERCENTILES)
        return Latency(self._seen, round(float(p50), 1), round(float(p99), 1))
