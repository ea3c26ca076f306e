"""What every portfolio held at every close, what it was worth, and what it returned: from raw records of the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from log import Raw
from market import CASH

Table = pd.DataFrame


@dataclass(frozen=True)
class Leaf:
    """A portfolio's own holdings at each close, all rows one close each.

    ``units`` (closes, things) with money as ``cash:USD``, zero before there is a version; ``version`` the newest
    below the cut, 0 before; ``flow`` what was declared since the close before.
    """

    units: Table
    version: "pd.Series[int]"
    flow: "pd.Series[float]"


@dataclass(frozen=True)
class Performance:
    """One portfolio over all closes, in its base currency; NaN where a figure is undefined."""

    base: str
    exposures: Table
    """(closes, things) with money as ``cash:USD``; signed."""
    nav: "pd.Series[float]"
    pnl: "pd.Series[float]"
    hypothetical_pnl: "pd.Series[float]"
    """Of what was held at the close before, at today's prices; NaN where nothing was."""
    flow: "pd.Series[float]"
    period_return: "pd.Series[float]"
    is_measured: "pd.Series[bool]"

    @cached_property
    def securities(self) -> Table:
        """The exposures without any money."""
        return self.exposures[[name for name in self.exposures if not name.startswith(CASH)]]

    @cached_property
    def risky(self) -> Table:
        """The exposures without money in the base currency."""
        return self.exposures.drop(columns=f"{CASH}{self.base}")

    @property
    def gross(self) -> "pd.Series[float]":
        """What is held and what is owed, without regard to sign."""
        return self.securities.abs().sum(axis="columns")

    @property
    def net(self) -> "pd.Series[float]":
        """What is held less what is owed."""
        return self.securities.sum(axis="columns")


@dataclass(frozen=True)
class Books:
    """The tree of portfolios and their holdings, below the cut of each close."""

    periods: pd.Index
    definitions: Mapping[str, dict[str, Any]]
    is_open: Table
    leaves: Mapping[str, Leaf]
    worth: Mapping[str, Table]
    """By base currency: what one unit of each thing was worth at each close."""

    def path(self, name: str) -> list[str]:
        """The portfolio and all above it."""
        parent = self.definitions[name].get("parent")
        return [name, *(self.path(parent) if parent in self.definitions else ())]

    def members(self, name: str) -> list[str]:
        """The holders in the portfolio's subtree."""
        return [leaf for leaf in self.leaves if name in self.path(leaf)]

    @cached_property
    def presence(self) -> Table:
        """(closes, holders) whether a holder is open, up to the top, and holds something."""
        return Table(
            {
                name: self.is_open[self.path(name)].all(axis="columns") & (leaf.version > 0)
                for name, leaf in self.leaves.items()
            }
        )

    def units(self, name: str) -> Table:
        """(closes, things) what the portfolio and its descendants hold together."""
        members = self.members(name)
        return sum(
            (self.leaves[member].units.mul(self.presence[member], axis="index") for member in members[1:]),
            start=self.leaves[members[0]].units.mul(self.presence[members[0]], axis="index"),
        )

    def performance(self, name: str) -> Performance:
        """Time-weighted: the gain of the members that were there at both closes, over their NAV before.

        Their declared flows are taken out; members that joined or left are flow.
        """
        base, members = self.definitions[name]["base_currency"], self.members(name)
        units = self.units(name)
        exposures, static = _times(units, self.worth[base]), _sum(_times(units.shift(1), self.worth[base].diff()))
        here = self.presence[members]
        before_here = here.shift(1, fill_value=False)
        stayed = here & before_here
        navs = Table({m: _sum(_times(self.leaves[m].units, self.worth[base])) for m in members})
        declared = Table({m: self.leaves[m].flow * self._rate(m, base) for m in members})
        navs_before = navs.shift(1)
        before = _total(navs_before, stayed)
        pnl = _total(navs - navs_before - declared, stayed).where(before_here.any(axis="columns"))
        flow = _total(declared, stayed) + _total(navs, here & ~stayed) - _total(navs_before, before_here & ~stayed)
        return Performance(
            base=base,
            exposures=exposures,
            nav=_sum(exposures),
            pnl=pnl,
            hypothetical_pnl=static.where(before_here.any(axis="columns")),
            flow=flow,
            period_return=(pnl / before).where(before > 0),
            is_measured=here.any(axis="columns") & self.is_open[name],
        )

    def _rate(self, member: str, base: str) -> "pd.Series[float]":
        return self.worth[base][f"{CASH}{self.definitions[member]['base_currency']}"]


def read_books(
    closes: Sequence[dict[str, Any]],
    definitions: Sequence[Raw],
    holdings: Sequence[Raw],
    worth: Mapping[str, Table],
) -> Books:
    """The books below each close's cut, of the raw records of both topics."""
    periods = pd.Index([close["period"] for close in closes])
    things = next(iter(worth.values())).columns
    known, is_open = _definitions(closes, definitions)
    held = {name: [r for r in holdings if r.key == name] for name in sorted({r.key for r in holdings})}
    cuts = np.array([close["cut"]["holdings"] for close in closes])
    leaves = {name: _leaf(records, cuts, periods, things) for name, records in held.items()}
    return Books(periods, known, Table(is_open, index=periods), leaves, worth)


def _definitions(
    closes: Sequence[dict[str, Any]], records: Sequence[Raw]
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    cuts = np.array([close["cut"]["definitions"] for close in closes])
    known: dict[str, dict[str, Any]] = {}
    is_open: dict[str, np.ndarray] = {}
    for record in records:
        below = cuts[:, record.partition] > record.offset
        is_open[record.key] = np.where(below, record.value is not None, is_open.get(record.key, np.zeros_like(below)))
        if record.value is not None and known.setdefault(record.key, record.value) != record.value:
            raise ValueError(f"{record.key}: expected one definition, was another at offset {record.offset}")
    return known, is_open


def _leaf(records: Sequence[Raw], cuts: np.ndarray, periods: pd.Index, things: pd.Index) -> Leaf:
    units = np.zeros((len(periods), len(things)))
    version, flow = np.zeros(len(periods), dtype=int), np.zeros(len(periods))
    newest = 0
    for record in records:
        told = record.value
        if told["version"] <= newest:
            continue
        newest = told["version"]
        below = cuts[:, record.partition] > record.offset
        held = told["positions"] | {f"{CASH}{currency}": amount for currency, amount in told["cash"].items()}
        if unknown := held.keys() - set(things):
            raise ValueError(f"{record.key}: expected instruments and currencies with a price, was {sorted(unknown)}")
        units[below] = pd.Series(held).reindex(things, fill_value=0.0).to_numpy()
        version[below] = newest
        if below.any():
            flow[np.argmax(below)] += told["external_flow"]
    return Leaf(Table(units, periods, things), pd.Series(version, periods), pd.Series(flow, periods))


def _times(units: Table, worth: Table) -> Table:
    """Exposures; what is not held needs no price."""
    return (units * worth).mask(units == 0, 0.0)


def _total(money: Table, which: Table) -> "pd.Series[float]":
    return _sum(money.where(which, 0.0))


def _sum(money: Table) -> "pd.Series[float]":
    """Along each row; NaN where a price is missing."""
    return money.sum(axis="columns", skipna=False)
