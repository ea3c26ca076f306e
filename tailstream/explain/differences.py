"""Two events field by field."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MISSING = "(none)"


class Difference(NamedTuple):
    """A field in which the events differ, as ``methods.normal.levels.0.99.var``; a list's items by their index."""

    path: str
    published: Any
    recomputed: Any


def differences(published: bytes, recomputed: bytes) -> list[Difference]:
    """Every field in which two events' bytes differ, in the order of the published one."""
    if published == recomputed:
        return []
    found = list(_compared("", json.loads(published), json.loads(recomputed)))
    return found or [Difference("bytes", f"{len(published)} bytes", "the same fields, written otherwise")]


def _compared(path: str, published: Any, recomputed: Any) -> Iterator[Difference]:
    if isinstance(published, dict) and isinstance(recomputed, dict):
        for name in [*published, *(name for name in recomputed if name not in published)]:
            inner = f"{path}.{name}" if path else name
            yield from _compared(inner, published.get(name, MISSING), recomputed.get(name, MISSING))
    elif _are_lists(published, recomputed):
        for index, pair in enumerate(zip(published, recomputed, strict=True)):
            yield from _compared(f"{path}.{index}", *pair)
    elif published != recomputed:
        yield Difference(path, published, recomputed)


def _are_lists(published: Any, recomputed: Any) -> bool:
    both: Sequence[Any] = (published, recomputed)
    return all(isinstance(one, list) for one in both) and len(published) == len(recomputed)
