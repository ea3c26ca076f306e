"""Whether a newer schema keeps the promise of an older one of the same ``.v1`` topic.

Closes are kept for ever and replicas of two versions run side by side, so within a version: every record that was valid
stays valid, and every field that was there stays there with its type. What may be added is a field with a default, a
value of an enumeration and a wider bound. (Deploy consumers before the producers that use a new value.)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("type", "format", "pattern")
_ALTERNATIVES = ("anyOf", "oneOf")


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Every way in which ``new`` breaks the promise of ``old``, each naming the field, what was and what is."""
    return [change.removeprefix(": ") for change in _Comparison(old, new).of(old, new, "")]


class _Comparison:
    """Two whole schemas, against whose definitions references are looked up."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old_root = old
        self._new_root = new

    def of(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _resolved(old, self._old_root), _resolved(new, self._new_root)
        if any(keyword in schema for keyword in _ALTERNATIVES for schema in (old, new)):
            yield from self._alternatives(old, new, path)
            return
        yield from _exact(old, new, path)
        yield from _bounds(old, new, path)
        yield from _enumeration(old, new, path)
        yield from self._fields(old, new, path)
        for inner, label in (("items", "[]"), ("additionalProperties", "{}")):
            yield from self._inner(old.get(inner), new.get(inner), path + label)

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        was, now = old.get("properties", {}), new.get("properties", {})
        required_before, required_now = set(old.get("required", ())), set(new.get("required", ()))
        for name in was:
            if name not in now:
                yield f"{_at(path, name)}: the field is gone"
            else:
                yield from self.of(was[name], now[name], _at(path, name))
        for name in sorted(required_now - required_before):
            yield f"{_at(path, name)}: the field is required now"
        for name in sorted((required_before - required_now) & now.keys()):
            yield f"{_at(path, name)}: the field was required, and may be missing now"

    def _inner(self, old: Any, new: Any, path: str) -> Iterator[str]:
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from self.of(old, new, path)
        elif old != new:
            yield f"{path}: was {_described(old)}, is {_described(new)}"

    def _alternatives(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        was, now = _branches(old, self._old_root), _branches(new, self._new_root)
        if was.keys() != now.keys():
            yield f"{path}: was {_listed(was)}, is {_listed(now)}"
        for name in sorted(was.keys() & now.keys()):
            yield from self.of(was[name], now[name], path)


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    name = str(reference).removeprefix("#/$defs/")
    resolved: Schema = root["$defs"][name]
    return resolved


def _branches(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The alternatives of a value by their names; a schema without alternatives is its only one."""
    branches = next((schema[keyword] for keyword in _ALTERNATIVES if keyword in schema), [schema])
    kinds = [_kind(_resolved(branch, root)) for branch in branches]
    return {
        kind if kinds.count(kind) == 1 else str(branch.get("$ref", branch)): _resolved(branch, root)
        for kind, branch in zip(kinds, branches, strict=True)
    }


def _kind(branch: Schema) -> str:
    kind = str(branch.get("type", "anything"))
    return f"{kind} ({branch['format']})" if "format" in branch else kind


def _exact(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword in _EXACT:
        if old.get(keyword) != new.get(keyword):
            yield f"{path}: {keyword} was {_described(old.get(keyword))}, is {_described(new.get(keyword))}"


def _bounds(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        was, now = old.get(keyword), new.get(keyword)
        if now is not None and (was is None or (now > was if keyword in _LOWER_BOUNDS else now < was)):
            yield f"{path}: {keyword} was {_described(was)}, is {now}"


def _enumeration(old: Schema, new: Schema, path: str) -> Iterator[str]:
    was, now = _values(old), _values(new)
    if was is None and now is None:
        return
    if was is None or now is None:
        yield f"{path}: enum was {_described(was)}, is {_described(now)}"
        return
    for value in was:
        if value not in now:
            yield f"{path}: the value {value!r} is gone"


def _values(schema: Schema) -> Sequence[Any] | None:
    """The values of an enumeration; a constant is one of a single value."""
    values: Sequence[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    return values


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _listed(branches: Mapping[str, Schema]) -> str:
    return " or ".join(sorted(branches))


def _described(value: Any) -> str:
    return "none" if value is None else repr(value)
