"""Every number that an event tells, by a name made of where it stands: ``historical 0.99 var``."""

from collections.abc import Iterator, Mapping
from typing import Any

from rows import Row

ENVELOPE = {"event_id", "portfolio_id", "period", "revision", "as_of", "basis", "currency", "inputs"}
UNNAMED = {"methods", "levels", "parameters", "value"}
"""Words that only hold others."""
BY_POSITION = "positions"
TEXTS = {
    "status", "reason", "forecast_period", "stressed_at", "stressed_window", "worst_period", "first_period",
    "last_period",
}  # fmt: skip
"""Words of what is no number, also where it is null."""
ZONES = {"green": 0.0, "amber": 1.0, "red": 2.0}


def figures_of(event: Mapping[str, Any]) -> Iterator[Row]:
    """All its figures, whatever they are called: what an event tells anew is not overlooked."""
    for word, value in event.items():
        if word not in ENVELOPE:
            for name, part, number in _leaves(value, (word,)):
                yield Row(name, event["portfolio_id"], event["period"], number, part)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str, float | None]]:
    if path[-1] in TEXTS:
        return
    if isinstance(value, Mapping):
        for word, inner in value.items():
            yield from _leaves(inner, (*path, word))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(place)))
    elif value is None or value in ZONES or not isinstance(value, str):
        yield *_named(path), ZONES.get(value, value)


def _named(path: tuple[str, ...]) -> tuple[str, str]:
    """The name, and the position that it is about."""
    part = ""
    if BY_POSITION in path[:-1]:
        at = path.index(BY_POSITION)
        part, path = path[at + 1], (*path[:at], *path[at + 2 :])
    return " ".join(word for word in path if word not in UNNAMED), part
