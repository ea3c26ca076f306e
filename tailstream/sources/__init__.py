"""Where prices and holdings come from: each source is a process of its own that publishes onto the bus."""

from typing import Protocol

from contracts.topics import Topic


class Source(Protocol):
    """A part of a service that publishes market or portfolio records; the service's outlet is its way out."""

    name: str
    """``source`` of its market records, and their key."""
    topics: tuple[Topic, ...]
    """All that it publishes to or reads."""

    async def start(self) -> None:
        """See on the bus how far it had come, and go on from there.

        What is final is not repeated and nothing is left out. A versioned record may be repeated as it was: readers
        ignore a version that they have seen.
        """

    async def stop(self) -> None:
        """Finish what is in flight; what was begun and not finished is done again at the next start."""

    def waiting_for(self) -> str | None:
        """None once it publishes, else what it waits for, in words."""
