"""Free TCP ports on 127.0.0.1."""

import secrets
import socket

from tailstream.stack.errors import PortTaken

HOST = "127.0.0.1"
# Below the range that systems hand out to outgoing connections, so that none of those takes a port before its server.
_CANDIDATES = range(20_000, 32_000)
_TRIES_MAX = 1_000
_CONNECT_SECONDS = 3


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_open(port: int, *, host: str = HOST) -> bool:
    """Whether something accepts connections on ``port`` of ``host``."""
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except (OSError, OverflowError):
        return False


def free_ports(count: int) -> list[int]:
    """``count`` different free ports, drawn at random so that stacks that start together rarely meet.

    Raises
    ------
    PortTaken
        When the machine has too few free ones.
    """
    found: list[int] = []
    for _ in range(_TRIES_MAX):
        if len(found) == count:
            return found
        port = secrets.choice(_CANDIDATES)
        if port not in found and is_free(port):
            found.append(port)
    raise PortTaken(
        f"expected {count} free ports from {_CANDIDATES.start} to {_CANDIDATES.stop - 1} on {HOST}, "
        f"found {len(found)} in {_TRIES_MAX} tries"
    )
