"""What analytics takes from the bus."""

from tailstream.runtime.decoding import decode

__all__ = ["decode"]
