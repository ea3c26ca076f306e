"""Methods of VaR that say what a test tells them to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Fit, Method, Simulation, Window

Figures = tuple[float | None, ...]


@dataclass(frozen=True)
class Plain:
    """A method that answers with what ``say`` makes of the P&L."""

    id: str
    say: Callable[[Floats], Estimate]
    averaged: bool = True
    version: str = "1"
    window: Window = Window.SCENARIOS
    minimum_observations: int = 2

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """What it was told to say."""
        return self.say(pnl)


@dataclass(frozen=True)
class Fitted(Plain):
    """A fitted method whose fit is what ``fitting`` makes of the P&L; ``asked`` notes the P&L's size and the start."""

    fitting: Callable[[Floats], Fit] = lambda pnl: Fit.of({"size": float(pnl.size)})
    asked: list[tuple[int, Mapping[str, float] | None]] = field(default_factory=list, repr=False)

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        """What it was told to fit."""
        self.asked.append((pnl.size, start))
        return self.fitting(pnl)

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """What it was told to say, with the fit as parameters."""
        return self.say(pnl)._replace(parameters=fit.parameters)


@dataclass(frozen=True)
class OfMarket(Plain):
    """A method for the whole market; ``asked`` notes the shape of the returns, the seed and the known parameters."""

    redrawn: bool = True
    simulating: Callable[[Floats], Simulation] = lambda returns: Simulation.of({"size": 1.0}, 2.0 * returns)
    asked: list[tuple[tuple[int, ...], int, Mapping[str, float] | None]] = field(default_factory=list, repr=False)

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        """What it was told to draw."""
        self.asked.append((returns.shape, seed, fitted))
        return self.simulating(returns)

    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Sequence[float]) -> Estimate:
        """What it was told to say of the P&L in its scenarios."""
        return self.say(pnl)


def of_ids(*methods: Any) -> dict[str, Method]:
    """The methods by id."""
    return {method.id: method for method in methods}


def always(var: Figures, es: Figures) -> Callable[[Floats], Estimate]:
    """The same figures whatever the P&L."""
    return lambda pnl: Estimate.of({}, var, es)


def worst(pnl: Floats) -> Estimate:
    """The worst P&L of all, at both levels; insufficient without any."""
    if not pnl.size:
        return Estimate.missing("insufficient", "needs 1 observation, has 0", (0.95, 0.99))
    loss = -float(np.min(pnl))
    return Estimate.of({}, (loss, loss), (loss, loss))


def failing(message: str) -> Callable[[Floats], Any]:
    """Whatever it is asked, it fails."""

    def fail(_: Floats) -> Any:
        raise FloatingPointError(message)

    return fail
