"""Methods of VaR as plug-ins: whatever is installed offers its own, ours among them, in one group of entry points.

The name of an entry point is the method's id, its value ``module:Class``; ``Class(minimum_observations)`` makes it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from tailstream.quant.var import Method, Window
from tailstream.runtime.errors import ConfigurationError

VAR_METHODS = "tailstream.var_methods"
"""The group of entry points."""

OWN = (
    "historical", "age_weighted", "filtered", "normal", "student_t", "cornish_fisher",
    "monte_carlo", "monte_carlo_t", "extreme_value", "copula", "copula_gaussian", "garch",
)  # fmt: skip
"""The methods that come with Tailstream, in publishing order."""

VARIANTS = frozenset({"monte_carlo_t", "copula_gaussian"})
"""Those that are made only where they are asked for by name: another method stands for them."""

_ATTRIBUTES: Mapping[str, Any] = MappingProxyType(
    {"id": str, "version": str, "window": Window, "averaged": bool, "minimum_observations": int, "estimate": Callable}
)
_TOGETHER = (("fit", "estimate_with"), ("redrawn", "simulate", "estimate_simulated"))


def methods(minimum_observations: int, only: Sequence[str] | None = None) -> Mapping[str, Method]:
    """Make the methods that are installed, by id: ours in publishing order, then those of others sorted by id.

    With fewer than ``minimum_observations`` a method answers ``insufficient``. ``only`` names those that are wanted,
    in any order; nothing else is imported.

    Raises
    ------
    ConfigurationError
        When an id is not there or there twice, when a plug-in cannot be imported, made or used, and when Tailstream
        runs from its source without being installed, or as it was installed before it had all its methods.
    """
    registered = _registered()
    wanted = registered.keys() - VARIANTS if only is None else _known(only, registered)
    return MappingProxyType(
        {name: _made(entry, minimum_observations) for name, entry in registered.items() if name in wanted}
    )


def fault_of(method: object) -> str | None:
    """What keeps ``method`` from being used as one: what was expected, and what came; None when nothing does."""
    for name, kind in _ATTRIBUTES.items():
        found = getattr(method, name, None)
        if not isinstance(found, kind):
            came = repr(found) if hasattr(method, name) else "missing"
            return f"{name}: expected an attribute that is a {kind.__name__}, was {came}"
    for names in _TOGETHER:
        missing = [name for name in names if not hasattr(method, name)]
        if 0 < len(missing) < len(names):
            return f"{', '.join(missing)}: expected all or none of {', '.join(names)}, was missing"
    return None


def _registered() -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=VAR_METHODS), key=_publishing_order):
        other = found.setdefault(entry.name, entry)
        if other is not entry:
            both = " and ".join(sorted(map(_distribution, (other, entry))))
            raise ConfigurationError(f"VaR method {entry.name}: expected one plug-in with this id, was in {both}")
    if missing := [name for name in OWN if name not in found]:
        raise ConfigurationError(f"VaR methods: expected {', '.join(missing)} in tailstream, which has to be installed")
    return found


def _publishing_order(entry: EntryPoint) -> tuple[int, str]:
    return (OWN.index(entry.name) if entry.name in OWN else len(OWN)), entry.name


def _known(only: Sequence[str], registered: Iterable[str]) -> frozenset[str]:
    unknown = sorted(set(only).difference(registered))
    if unknown:
        raise ConfigurationError(f"VaR method: expected any of {', '.join(registered)}, was {', '.join(unknown)}")
    return frozenset(only)


def _made(entry: EntryPoint, minimum_observations: int) -> Method:
    plugin = f"VaR method {entry.name} of {_distribution(entry)}"
    try:
        method: Method = entry.load()(minimum_observations)
    except Exception as error:  # whatever a plug-in does, the operator is told which one it was
        call = f"{entry.value}({minimum_observations})"
        raise ConfigurationError(f"{plugin}: expected a method from {call}, was {_said(error)}") from error
    if fault := fault_of(method):
        raise ConfigurationError(f"{plugin}: {fault}")
    if method.id != entry.name:
        raise ConfigurationError(f"{plugin}: id: expected the name of its entry point, was {method.id!r}")
    return method


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed distribution"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
