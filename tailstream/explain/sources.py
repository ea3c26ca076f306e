"""From where an input was read, and what of it was not there."""

from collections.abc import Sequence
from typing import NamedTuple


class Source(NamedTuple):
    """One input: where it was read, and how many records or rows of it."""

    input: str
    read_from: str
    records: int


class Doubt(NamedTuple):
    """What of an ``input`` is missing, was replaced or does not match, in a sentence."""

    input: str
    reason: str


def gone(count: int) -> str:
    """What compaction took, in words; empty where nothing is gone."""
    return f" ({count} of the offsets no longer hold a record)" if count else ""


def listed(names: Sequence[str]) -> str:
    """Names for a sentence, the first few of them."""
    shown = ", ".join(names[:SHOWN_MAX])
    return shown if len(names) <= SHOWN_MAX else f"{shown} and {len(names) - SHOWN_MAX} more"


SHOWN_MAX = 8
