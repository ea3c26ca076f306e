"""Where a subscription stands in the log, as a string that clients only hand back."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

Marks = tuple[int, ...]
"""The newest offset seen of each of a channel's topics in one partition; -1 where none was."""

_FORM = re.compile(r"(?P<marks>(?:\d{1,9}:-?\d{1,19}(?:\.-?\d{1,19})*(?:,|(?=~)))*)~(?P<event_id>[\w:.\-]{0,300})")


class Position(NamedTuple):
    """Everything up to ``marks`` was seen, by partition; ``event_id`` was the last of it, empty where nothing was."""

    marks: Mapping[int, Marks]
    event_id: str


@lru_cache(maxsize=4096)
def marked(partition: int, marks: Marks) -> str:
    """One partition's part of a position; what all subscribers of an update share is written once."""
    return f"{partition}:{'.'.join(map(str, marks))}"


def text_of(position: Position) -> str:
    """The position as a client gets it."""
    return f"{','.join(marked(p, m) for p, m in sorted(position.marks.items()))}~{position.event_id}"


def position_of(text: str) -> Position | None:
    """The position that a client handed back; None where no gateway wrote it."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    parts = [part.split(":") for part in form["marks"].split(",") if part]
    marks = {int(partition): tuple(map(int, offsets.split("."))) for partition, offsets in parts}
    return Position(MappingProxyType(marks), form["event_id"])
