"""What waits to be iterated: bounded, unless somebody is waiting for an answer that comes behind it."""

import asyncio
from collections import deque
from collections.abc import Iterable

from tailstream.client.updates import Item


class Inbox:
    """A queue between the reader of a socket and the one consumer."""

    def __init__(self, items_max: int) -> None:
        self._items: deque[Item] = deque()
        self._items_max = items_max
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._pressed = 0
        self._closed = False

    async def put(self, items: Iterable[Item]) -> None:
        """Add items, once there is room for more."""
        self._items.extend(items)
        self._arrived.set()
        while len(self._items) >= self._items_max and not self._pressed:
            self._room.clear()
            await self._room.wait()

    async def take(self) -> Item | None:
        """The next item; None after the last."""
        while not self._items and not self._closed:
            self._arrived.clear()
            await self._arrived.wait()
        if not self._items:
            return None
        item = self._items.popleft()
        self._room.set()
        return item

    def press(self) -> None:
        """Somebody waits for an answer: what comes before it must be read, room or not."""
        self._pressed += 1
        self._room.set()

    def release(self) -> None:
        """The answer is there."""
        self._pressed -= 1

    def close(self) -> None:
        """Nothing comes any more."""
        self._closed = True
        self._arrived.set()
