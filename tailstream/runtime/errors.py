"""What can go wrong in a service, drawn as a tree.

::

    TailstreamError
    ├── ConfigurationError    the settings cannot work: told to the operator, never retried
    ├── EventTooLarge         encode made a record that no broker would take
    └── Fenced                another owner has taken over: leave at once
"""


class TailstreamError(Exception):
    """Any error of ours."""


class ConfigurationError(TailstreamError):
    """The settings, or the bus they point at, cannot work as they are."""


class EventTooLarge(TailstreamError):
    """An event is larger than ``EVENT_BYTES_MAX``; it must be refused before a transaction opens."""


class Fenced(TailstreamError):
    """Another owner has taken over this work; whatever this process still writes is refused."""
