"""What can be wrong with a file that somebody else made."""


class WrongFile(Exception):
    """A file cannot be measured: names the file, the row and column, what was expected and what came."""


class UnclearKind(WrongFile):
    """A file may hold returns as well as prices; only who made it knows."""
