"""The windows that every figure is tested on, a year of each."""

from contracts.event import Status
from tailstream.quant.arrays import Floats
from tailstream.testing import windows

STATUSES = frozenset(map(str, Status))

YEAR = 252
LEVELS = (0.95, 0.975, 0.99, 0.995)
WINDOWS = windows.windows(YEAR)


def noise(observations: int = YEAR, seed: int = 7) -> Floats:
    """Returns with fat tails, from a seed."""
    return windows.noise(observations, seed)
