"""What a portfolio gained from one moment to another, and the returns that led here."""

import math
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from contracts.event import Figure, Status
from contracts.portfolio import PortfolioDefined
from tailstream.fold.books import Book
from tailstream.fold.valuation import Valuation
from tailstream.fold.world import Moment, World
from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import LARGEST

Members = Sequence[tuple[str, Book]]


class Gain(NamedTuple):
    """From one moment to the next, in base currency: ``nav = nav before + pnl + flow``.

    ``pnl`` is of the members that were there at both moments and ``before`` is their NAV then, None where there is no
    such member; ``flow`` is what they declared, and the NAV of members that joined (now) or left (then). All are None
    where a price or a rate is missing.
    """

    valuation: Valuation
    pnl: float | None
    before: float | None
    flow: float | None
    first: bool = False
    """Whether nothing was held at the former moment; then there is no ``pnl`` and all of the NAV is ``flow``."""


def gain(world: World, portfolio: PortfolioDefined, then: Moment | None, now: Moment) -> Gain | None:
    """What ``portfolio`` gained between two moments; None where it holds nothing now."""
    base = portfolio.base_currency
    present = world.members(portfolio.portfolio_id, now)
    if not present:
        return None
    valuation = world.value(present, base, now)
    former = world.members(portfolio.portfolio_id, then) if then else ()
    if then is None or not former:
        return Gain(valuation, None, None, valuation.nav, first=True)
    names, former_names = {name for name, _ in present}, {name for name, _ in former}
    stayed = names & former_names
    before = _nav(world, _only(former, stayed), base, then)
    after = valuation.nav if stayed == names else _nav(world, _only(present, stayed), base, now)
    declared = _declared(world, sorted(stayed), base, then, now)
    joined = _nav(world, _only(present, names - stayed), base, now)
    left = _nav(world, _only(former, former_names - stayed), base, then)
    if before is None or after is None or declared is None or joined is None or left is None:
        return Gain(valuation, None, None, None)
    return Gain(valuation, after - declared - before, before if stayed else None, declared + joined - left)


def _nav(world: World, members: Members, base: str, moment: Moment) -> float | None:
    return world.nav(members, base, moment) if members else 0.0


def _only(members: Members, names: set[str]) -> Members:
    return members if len(members) == len(names) else tuple(member for member in members if member[0] in names)


def _declared(world: World, names: Sequence[str], base: str, then: Moment, now: Moment) -> float | None:
    """External flows that the members declared between the moments, in ``base``; None where a rate is missing.

    So is an amount that is too large to be money.
    """
    total = 0.0
    nodes = world.books.tree(now.cut).nodes
    for name in names:
        amount = world.books.flow(name, then.cut, now.cut)
        if amount:
            rate, _ = now.prices.fx(base, nodes[name].base_currency)
            worth = amount * rate if rate is not None else math.inf
            if not abs(worth) < LARGEST:
                return None
            total += worth
    return total


class History:
    """The returns of one portfolio's last closes, oldest first, with the close before the first of them."""

    __slots__ = ("_as_of", "_end", "_returns", "window_returns")

    def __init__(self, window_returns: int) -> None:
        self.window_returns = window_returns
        self._as_of: deque[datetime] = deque(maxlen=window_returns + 1)
        self._returns = np.empty(4 * window_returns)
        """The window slides along it, and is moved to its beginning when it has reached the end."""
        self._end = 0

    def add(self, as_of: datetime, period_return: Figure) -> None:
        """Take the next close.

        A return that is ``insufficient`` is of a first close: what was before it, of a portfolio that had been closed,
        is forgotten.
        """
        if period_return.status == Status.INSUFFICIENT:
            self._as_of.clear()
            self._end = 0
        if self._end == self._returns.size:
            self._returns[: self.window_returns] = self._returns[-self.window_returns :]
            self._end = self.window_returns
        self._as_of.append(as_of)
        self._returns[self._end] = np.nan if period_return.value is None else period_return.value
        self._end += 1

    def returns(self) -> Floats:
        """(n,) the known returns of the window, oldest first."""
        window = self._returns[max(0, self._end - self.window_returns) : self._end]
        return window[~np.isnan(window)]

    def calendar_days(self) -> int:
        """From the close before the first return to the last."""
        return (self._as_of[-1] - self._as_of[0]).days if self._as_of else 0
