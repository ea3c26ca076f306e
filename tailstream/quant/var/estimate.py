"""What a method of VaR takes and answers, and when it declines."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from tailstream.quant.arrays import Floats

MINIMUM_OBSERVATIONS = 250

LARGEST = 1e150
"""P&L beyond this is no money: its square overflows."""


class Estimate(NamedTuple):
    """VaR and ES per level, in the order asked and in the unit of the P&L, positive = loss.

    When `status` is not `ok`, `reason` says why in a sentence and every entry of `var` and `es` is None. When it is
    `ok`, `reason` says why a single entry is None, such as the ES of a tail without a mean or a level that lies
    below the tail, or makes a remark on how the figures came about. `parameters` are the fit, under the names the
    field uses.
    """

    status: str
    reason: str | None
    parameters: Mapping[str, float]
    var: tuple[float | None, ...]
    es: tuple[float | None, ...]

    @classmethod
    def of(
        cls,
        parameters: Mapping[str, float],
        var: Sequence[float | None],
        es: Sequence[float | None],
        reason: str | None = None,
    ) -> "Estimate":
        """An estimate that came off. Numbers of numpy become plain ones, and minus zero becomes zero."""
        return cls("ok", reason, _plain_parameters(parameters), _plain(var), _plain(es))

    @classmethod
    def missing(cls, status: str, reason: str, levels: Sequence[float]) -> "Estimate":
        """No estimate at any level, and why."""
        return cls(status, reason, {}, (None,) * len(levels), (None,) * len(levels))


def _plain(figures: Sequence[float | None]) -> tuple[float | None, ...]:
    return tuple(None if figure is None else float(figure) + 0.0 for figure in figures)


def _plain_parameters(parameters: Mapping[str, float]) -> dict[str, float]:
    return {name: float(number) for name, number in parameters.items()}


class Window(StrEnum):
    """How many past periods a method looks at: enough to rank them, or enough to fit a tail to them."""

    SCENARIOS = "scenarios"
    FIT = "fit"


class Method(Protocol):
    """A way to estimate VaR and ES. `version` changes whenever the same P&L would give other numbers."""

    id: ClassVar[str]
    version: ClassVar[str]
    window: ClassVar[Window]
    averaged: ClassVar[bool]
    """Whether it is a member of the average; what is noise around another member is not."""

    @property
    def minimum_observations(self) -> int: ...

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """Estimate at confidence `levels`, each in (0, 1), from P&L (S,), oldest first, gains positive.

        Too few or unusable observations are answered with a status; a level outside (0, 1) raises ValueError.
        """
        ...


class Fit(NamedTuple):
    """The fitted shape of a distribution or process: numbers without a unit, so that they hold for a larger book too.

    When `status` is not `ok`, `reason` says why in a sentence and there are no parameters.
    """

    status: str
    reason: str | None
    parameters: Mapping[str, float]

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> "Fit":
        """A fit that came off."""
        return cls("ok", None, MappingProxyType(_plain_parameters(parameters)))

    @classmethod
    def missing(cls, status: str, reason: str) -> "Fit":
        """No fit, and why."""
        return cls(status, reason, MappingProxyType({}))


@runtime_checkable
class FittedMethod(Method, Protocol):
    """A method whose shape is fitted by an iteration, which may be done less often than estimating.

    `estimate(pnl, levels)` is `estimate_with(fit(pnl), pnl, levels)`.
    """

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        """Fit the shape to P&L (S,), starting from the parameters `start` of a former fit, or from the data alone.

        Too few or unusable observations and an iteration that does not converge are answered with a status.
        """
        ...

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """Estimate as `estimate` does, with the shape of `fit`; location and scale are those of `pnl` itself."""
        ...


class Simulation(NamedTuple):
    """Returns of all instruments in scenarios that a method made, or why there are none.

    `returns` (n, S) has the instruments in the order given; `parameters` are those of the model, as far as they are
    few: given back to `simulate` they spare it the fit.
    """

    status: str
    reason: str | None
    parameters: Mapping[str, float]
    returns: Floats

    @classmethod
    def of(cls, parameters: Mapping[str, float], returns: Floats) -> "Simulation":
        """Scenarios that came off."""
        return cls("ok", None, MappingProxyType(_plain_parameters(parameters)), returns)

    @classmethod
    def missing(cls, status: str, reason: str, instruments: int) -> "Simulation":
        """No scenarios, and why."""
        return cls(status, reason, MappingProxyType({}), np.empty((instruments, 0)))


@runtime_checkable
class MarketMethod(Method, Protocol):
    """A method that remakes the scenarios of all instruments together; all books share what it made.

    `estimate(pnl, levels)` takes the P&L as the returns of a single instrument of which one is held.
    """

    redrawn: ClassVar[bool]
    """Whether scenarios are made anew at each close; else as often as models are refitted."""

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        """Make scenarios (n, S) from returns (n, T), oldest first and without gaps, the same for the same `seed`.

        `fitted` are the parameters of a former simulation of the same returns; with them nothing is fitted.
        """
        ...

    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """Estimate from the P&L (S,) that a book makes in the scenarios of `simulation`."""
        ...


def declined(pnl: Floats, levels: Sequence[float], minimum: int) -> Estimate | None:
    """Why there is no estimate: fewer than `minimum` observations, or one that is no finite amount of money."""
    if pnl.size < minimum:
        return Estimate.missing("insufficient", f"needs {minimum} observations, has {pnl.size}", levels)
    usable = np.abs(pnl) < LARGEST
    if not usable.all():
        bad = pnl.size - np.count_nonzero(usable)
        return Estimate.missing("undefined", f"{bad} of {pnl.size} observations are not finite amounts", levels)
    return None


def expect_minimum(minimum_observations: int, smallest: int) -> None:
    """Refuse a configured minimum that the method's arithmetic cannot work with."""
    if minimum_observations < smallest:
        raise ValueError(f"minimum_observations: expected at least {smallest}, was {minimum_observations}")
