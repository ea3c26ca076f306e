"""Work that an engine hands out while it measures a close: what takes long and needs nothing but its arguments.

An engine yields events and work in turn, and is sent what the work came to. It does not know where the work is done:
a service does it beside its event loop, a test or a recomputation on the spot.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Generic, TypeVar

from contracts.event import Event

T = TypeVar("T")


class Work(Generic[T]):
    """Something to compute, once: whoever asks again gets what it came to."""

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute: Callable[[], T] | None = compute
        self._result: list[T] = []

    @property
    def done(self) -> bool:
        """Whether it was computed."""
        return bool(self._result)

    def run(self) -> T:
        """Compute it; what ``compute`` raises is raised."""
        if self._compute is not None:
            self._result = [self._compute()]
            self._compute = None
        return self._result[0]


Step = Sequence[Event] | Work[Any]
Steps = Generator[Step, Any, None]
"""The events of a close, portfolio by portfolio, and the work to be done in between."""


def on_the_spot(steps: Steps) -> Iterator[Sequence[Event]]:
    """The events of ``steps``, all work done here and now."""
    result: object = None
    while True:
        try:
            step = steps.send(result)
        except StopIteration:
            return
        result = step.run() if isinstance(step, Work) else None
        if not isinstance(step, Work):
            yield step
