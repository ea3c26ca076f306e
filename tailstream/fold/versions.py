"""Versions of one thing by the offset at which they stand in the log."""

from bisect import bisect_left
from typing import Generic, TypeVar

T = TypeVar("T")
NEWEST = 1 << 62
"""A cut above every offset: what is newest now."""


class Versions(Generic[T]):
    """What the log says of one key, oldest first; the book of a close is the newest version below its cut."""

    __slots__ = ("_offsets", "_values")

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._values: list[T] = []

    def add(self, offset: int, value: T) -> None:
        """Append what stands at ``offset``; an offset that was added before changes nothing."""
        if not self._offsets or offset > self._offsets[-1]:
            self._offsets.append(offset)
            self._values.append(value)

    def below(self, cut: int) -> T | None:
        """The newest value below ``cut``; None where there is none."""
        index = bisect_left(self._offsets, cut)
        return self._values[index - 1] if index else None

    def begins_below(self, cut: int) -> bool:
        """Whether there is any value below ``cut``."""
        return bool(self._offsets) and self._offsets[0] < cut

    def between(self, start: int, cut: int) -> list[T]:
        """The values from ``start`` up to, not including, ``cut``."""
        return self._values[bisect_left(self._offsets, start) : bisect_left(self._offsets, cut)]

    def forget_before(self, cut: int) -> None:
        """Drop what no cut at or above ``cut`` can ask for: all but the newest below it."""
        index = bisect_left(self._offsets, cut) - 1
        if index > 0:
            del self._offsets[:index]
            del self._values[:index]
