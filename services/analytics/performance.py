"""The returns that led here: of one portfolio, close by close."""

from collections import deque
from datetime import datetime

import numpy as np

from contracts.event import Figure, Status
from tailstream.quant.arrays import Floats


class History:
    """The returns of one portfolio's last closes, oldest first, with the close before the first of them."""

    __slots__ = ("_as_of", "_end", "_returns", "window_returns")

    def __init__(self, window_returns: int) -> None:
        self.window_returns = window_returns
        self._as_of: deque[datetime] = deque(maxlen=window_returns + 1)
        self._returns = np.empty(4 * window_returns)
        """The window slides along it, and is moved to its beginning when it has reached the end."""
        self._end = 0

    def add(self, as_of: datetime, period_return: Figure) -> None:
        """Take the next close.

        A return that is ``insufficient`` is of a first close: what was before it, of a portfolio that had been closed,
        is forgotten.
        """
        if period_return.status == Status.INSUFFICIENT:
            self._as_of.clear()
            self._end = 0
        if self._end == self._returns.size:
            self._returns[: self.window_returns] = self._returns[-self.window_returns :]
            self._end = self.window_returns
        self._as_of.append(as_of)
        self._returns[self._end] = np.nan if period_return.value is None else period_return.value
        self._end += 1

    def returns(self) -> Floats:
        """(n,) the known returns of the window, oldest first."""
        window = self._returns[max(0, self._end - self.window_returns) : self._end]
        return window[~np.isnan(window)]

    def calendar_days(self) -> int:
        """From the close before the first return to the last."""
        return (self._as_of[-1] - self._as_of[0]).days if self._as_of else 0
