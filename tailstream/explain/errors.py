"""Why there is nothing to explain."""

from tailstream.runtime.errors import TailstreamError


class NothingPublished(TailstreamError):
    """The log has no such closing event."""


class NotRecomputable(TailstreamError):
    """What is needed to recompute the event is not on the log."""
