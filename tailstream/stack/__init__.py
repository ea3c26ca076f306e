"""The embedded stack: real Kafka, PostgreSQL and Redis on a bare machine, out of Python packages.

``with Stack.start() as stack: stack.addresses`` starts what the environment does not name, and stops what it started.
"""

from tailstream.stack.addresses import Addresses
from tailstream.stack.errors import (
    AddressSilent,
    AlreadyRunning,
    DockerFailed,
    DownloadFailed,
    JarMismatch,
    PortTaken,
    RunDirectoryError,
    ServerFailed,
    StackError,
)
from tailstream.stack.stack import Stack

__all__ = [
    "AddressSilent",
    "Addresses",
    "AlreadyRunning",
    "DockerFailed",
    "DownloadFailed",
    "JarMismatch",
    "PortTaken",
    "RunDirectoryError",
    "ServerFailed",
    "Stack",
    "StackError",
]
