"""What can go wrong while a stack starts, runs or stops.

StackError
├── RunDirectoryError    the run directory, or the room on its disk, cannot be used
├── AlreadyRunning       a living stack has the run directory
├── DownloadFailed       Kafka's jars could not be fetched
│   └── JarMismatch      a jar is not the one whose hash is committed
├── AddressSilent        an address from the environment does not answer
├── PortTaken            another program has the port of a server
├── ServerFailed         a server ended or stayed silent; the message carries the end of its log
└── DockerFailed         Docker does not answer, or a container did not come up
"""


class StackError(Exception):
    """The stack cannot do what was asked; the message says what was expected and what came."""


class RunDirectoryError(StackError):
    """The run directory cannot be made, written or removed, is somebody else's, or its disk is full."""


class AlreadyRunning(StackError):
    """A living stack has the run directory."""


class DownloadFailed(StackError):
    """Kafka's jars could not be fetched."""


class JarMismatch(DownloadFailed):
    """A jar is missing, is one too many, or has other bytes than the committed hash says."""


class AddressSilent(StackError):
    """An address from the environment does not answer."""


class PortTaken(StackError):
    """Another program listens on the port of a server."""


class ServerFailed(StackError):
    """A server ended or did not answer in time."""


class DockerFailed(StackError):
    """Docker does not answer, or a container did not come up."""
