"""Scenarios that a method makes of the whole market: once for all books of a base currency."""

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from services.risk.profit import Bools, Field
from tailstream.fold.market import Market, Scenarios
from tailstream.fold.work import Work
from tailstream.quant.arrays import Floats
from tailstream.quant.var import MarketMethod, Simulation
from tailstream.quant.var.answers import simulated

REMEMBERED = 4
"""Closes whose scenarios are kept: shards measure the same closes one after the other."""


class Made(NamedTuple):
    """What a method made of the market, in the rows of the scenarios it is used beside."""

    simulation: Simulation
    field: Field
    made_at: str
    """The period at whose close it was made."""


class Simulations:
    """Makes each simulation once: at every close, or at the first close of each ``refit_every`` on the closes' topic.

    Every replica makes the same ones, whichever shards it owns: they follow from the log alone.
    """

    def __init__(
        self, market: Market, methods: Mapping[str, MarketMethod], windows: Mapping[str, int], *, observations_min: int,
        refit_every: int,
    ) -> None:  # fmt: skip
        """``windows`` are the periods that each method looks back on, by its id."""
        self._market = market
        self._methods = methods
        self._windows = windows
        self._observations_min = observations_min
        self._refit_every = refit_every
        self._fitted: dict[tuple[str, str, str], Mapping[str, float]] = {}
        self._drawn: dict[tuple[str, str, int], Work[tuple[Simulation, tuple[str, ...]]]] = {}
        self._made: dict[tuple[str, str, int], Work[Made]] = {}

    def learn(self, method: str, base: str, period: str, parameters: Mapping[str, float]) -> None:
        """Take parameters that the log has: the simulation of that close is then made without a fit."""
        self._fitted[method, base, period] = parameters

    def at(self, row: int, base: str) -> Generator[Work[Any], Any, Mapping[str, Made]]:
        """What each method made for the close of ``row``; makes what is not there yet."""
        made: dict[str, Made] = {}
        for name in self._methods:
            key = (name, base, row)
            if key not in self._made:
                self._made[key] = self._work(name, base, row)
                self._forget(self._made, row)
            made[name] = yield self._made[key]
        return made

    def _work(self, name: str, base: str, row: int) -> Work[Made]:
        drawn_at = row if self._methods[name].redrawn else self._first_of_epoch(row)
        key = (name, base, drawn_at)
        if key not in self._drawn:
            self._drawn[key] = self._draw(name, base, drawn_at)
            self._forget(self._drawn, drawn_at)
        scenarios = self._market.scenarios(row, base, self._windows[name])
        return Work(partial(_placed, self._drawn[key], scenarios, self._market.point(drawn_at).period))

    def _draw(self, name: str, base: str, row: int) -> Work[tuple[Simulation, tuple[str, ...]]]:
        period = self._market.point(row).period
        scenarios = self._market.scenarios(row, base, self._windows[name])
        known = self._fitted.pop((name, base, period), None)
        return Work(
            partial(_simulate, self._methods[name], scenarios, self._observations_min, seed_of(base, period), known)
        )

    def _first_of_epoch(self, row: int) -> int:
        """The first close of as many as share a fit, counted by offset: the same whatever a replica has read."""
        epoch = self._market.point(row).offset // self._refit_every
        while row > self._market.first and self._market.point(row - 1).offset // self._refit_every == epoch:
            row -= 1
        return row

    @staticmethod
    def _forget(kept: dict[tuple[str, str, int], Any], row: int) -> None:
        for key in [key for key in kept if key[2] < row - REMEMBERED and _outlived(key, kept)]:
            del kept[key]


def seed_of(base: str, period: str) -> int:
    """The seed of what is drawn for one base currency at one close; exact as a JSON number."""
    return int.from_bytes(sha256(f"{base}\x1f{period}".encode()).digest()[:6])


def _outlived(key: tuple[str, str, int], kept: Mapping[tuple[str, str, int], Any]) -> bool:
    """Whether there is a newer one of the same method and base."""
    name, base, row = key
    return any(other[:2] == (name, base) and other[2] > row for other in kept)


def _simulate(
    method: MarketMethod, scenarios: Scenarios, observations_min: int, seed: int, fitted: Mapping[str, float] | None
) -> tuple[Simulation, tuple[str, ...]]:
    """The simulation, and the names of its rows."""
    kept, returns = _without_gaps(scenarios, observations_min)
    names = tuple(name for name, row in scenarios.rows.items() if kept[row] and name not in scenarios.options)
    rows = [scenarios.rows[name] for name in names]
    if not rows:
        return Simulation.missing("insufficient", "no instrument has enough history", 0), ()
    simulate = partial(method.simulate, np.ascontiguousarray(returns[rows]), seed, fitted)
    return simulated(simulate, len(names)), names


def _without_gaps(scenarios: Scenarios, observations_min: int) -> tuple[Bools, Floats]:
    """Which instruments take part, and the returns of the periods in which all of them have one.

    Instruments are left out, the one with the fewest observations first, until enough such periods remain.
    """
    kept = scenarios.observations >= observations_min
    missing = np.isnan(scenarios.returns)
    while True:
        whole = ~missing[kept].any(axis=0)
        if np.count_nonzero(whole) >= observations_min or not kept.any() or not missing[kept].any():
            return kept, scenarios.returns[:, whole]
        fewest = np.where(kept, scenarios.observations, np.iinfo(np.int64).max)
        kept[int(np.argmin(fewest))] = False


def _placed(drawn: Work[tuple[Simulation, tuple[str, ...]]], scenarios: Scenarios, period: str) -> Made:
    """The drawn returns in the rows of ``scenarios``, options revalued, NaN where an instrument took no part."""
    simulation, names = drawn.run()
    if simulation.status != "ok":
        nothing = np.full((len(scenarios.rows), 0), np.nan)
        return Made(simulation, Field.made(scenarios.rows, nothing), period)
    returns = _in_rows(simulation.returns, names, scenarios.rows)
    if scenarios.options:
        returns = scenarios.revalued(returns)
    return Made(simulation, Field.made(scenarios.rows, returns), period)


def _in_rows(drawn: Floats, names: Sequence[str], rows: Mapping[str, int]) -> Floats:
    if len(names) == len(rows) and all(rows.get(name) == i for i, name in enumerate(names)):
        return drawn
    returns = np.full((len(rows), drawn.shape[1]), np.nan)
    known = [(i, rows[name]) for i, name in enumerate(names) if name in rows]
    returns[[row for _, row in known]] = drawn[[i for i, _ in known]]
    return returns
