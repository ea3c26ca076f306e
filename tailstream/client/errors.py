"""What can go wrong between a client and the gateway, drawn as a tree.

::

    TailstreamError
    └── ClientError
        ├── ConnectionRefused     the gateway closed for good: token, origin, version (close codes 40xx)
        ├── RequestRefused        the gateway would not do what one message asked
        └── SequenceBroken        a frame is missing on a connection: a bug, never the network
"""

from tailstream.runtime.errors import TailstreamError


class ClientError(TailstreamError):
    """Any error between a client and the gateway."""


class ConnectionRefused(ClientError):
    """The gateway closed with a code that says not to come back."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the gateway closed with {code}: {reason}")
        self.code = code


class RequestRefused(ClientError):
    """The gateway answered a message with an error."""

    def __init__(self, code: int, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(f"the gateway refused with {code}: {message}")
        self.code = code
        self.retry_after_ms = retry_after_ms


class SequenceBroken(ClientError):
    """A subscription's ``seq`` did not go on by one."""
