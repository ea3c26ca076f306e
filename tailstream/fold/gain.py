"""What a portfolio gained from one moment to another: actually, and by what it held at the first of them alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from contracts.portfolio import PortfolioDefined
from tailstream.fold.books import Book
from tailstream.fold.valuation import Valuation
from tailstream.fold.world import Moment, World
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


def hypothetical(world: World, portfolio: PortfolioDefined, then: Moment, now: Moment) -> float | None:
    """What the holdings of ``then`` gained up to ``now`` in base currency: no trade, no fee and no flow is in it.

    Money counts as a holding, at the rates of both moments. None where nothing was held, or a price or a rate is
    missing at either moment. Instruments are those defined at the moment whose prices are used.
    """
    former = world.members(portfolio.portfolio_id, then)
    if not former:
        return None
    before = world.value(former, portfolio.base_currency, then).nav
    after = world.value(former, portfolio.base_currency, now).nav
    return None if before is None or after is None else after - before


def _nav(world: World, members: Members, base: str, moment: Moment) -> float | None:
    return world.value(members, base, moment).nav if members else 0.0


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
