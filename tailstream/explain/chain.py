"""From holdings to Value at Risk, as it was measured: what was held, what it was exposed to, what it lost when."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from services.risk.profit import Exposed, Field, position_pnl, profit
from services.risk.settings import RiskSettings
from tailstream.fold.books import Book
from tailstream.fold.market import Ints, Scenarios
from tailstream.fold.valuation import Valuation
from tailstream.fold.world import Moment, World
from tailstream.quant.arrays import Floats
from tailstream.quant.var.tail import tail

LEVEL = 0.99
"""Of the historical VaR whose scenarios are told."""
SHOWN_BEYOND_VAR = 2
"""Scenarios told that are better than the VaR's own."""


class Holding(NamedTuple):
    """A position, or money in one currency; ``exposure`` is in base currency, None where it cannot be priced."""

    name: str
    quantity: float
    price: float | None
    currency: str | None
    """Of the price; None where the instrument is not defined."""
    exposure: float | None
    remark: str = ""


class Scenario(NamedTuple):
    """A past period whose returns were put on the holdings; ``loss`` is in base currency, positive = loss."""

    rank: int
    """1 is the worst."""
    period: str
    loss: float
    worst: str | None
    """The holding that lost most in it."""
    worst_loss: float | None
    is_var: bool


class Tail(NamedTuple):
    """The worst scenarios, and which of them the VaR is."""

    level: float
    scenarios: int
    rank: int
    """The VaR is the loss of the scenario of this rank, 1 being the worst."""
    mass: float
    """The ES is the mean loss of so many of the worst, the last one counted in part."""
    worst: Sequence[Scenario]
    var_period: str
    """The scenario that the VaR is."""
    var_losses: Mapping[str, float]
    """What each holding that takes part lost in it, in base currency; their sum is the VaR."""


def holdings_of(world: World, row: int, portfolio_id: str, base: str) -> list[Holding]:
    """What the portfolio and all below it held together at the close, the largest exposures first."""
    now = world.closed(row)
    members = world.members(portfolio_id, now)
    if not members:
        return []
    book, valuation = world.books.total(members), world.value(members, base, now)
    held = [*_positions(world, book, valuation, now), *_money(book, base, now)]
    return sorted(held, key=lambda one: (-abs(one.exposure or 0.0), one.name))


def tail_of(world: World, row: int, portfolio_id: str, base: str, settings: RiskSettings) -> Tail | None:
    """The worst scenarios of the historical VaR; None where there are too few scenarios for one."""
    now = world.closed(row)
    members = world.members(portfolio_id, now)
    if not members:
        return None
    exposed = Exposed.of(world.value(members, base, now))
    scenarios = world.market.scenarios(row, base, settings.scenario_window)
    field = Field.of(scenarios, settings.scenarios_min)
    placed = exposed.placed(field.rows)
    seen = profit(exposed, placed, field, settings.min_coverage)
    if seen.pnl.size < settings.scenarios_min:
        return None
    names = [name for name, yes in zip(exposed.names, seen.covered, strict=True) if yes]
    periods = _periods(scenarios, field, placed[seen.covered])
    return _tail(seen.pnl, position_pnl(exposed, placed, field, seen.covered), names, periods)


def _positions(world: World, book: Book, valuation: Valuation, now: Moment) -> list[Holding]:
    exposures = dict(zip(valuation.instruments, valuation.exposures.tolist(), strict=True))
    stale = set(valuation.stale)
    terms = {name: world.market.instrument(name) for name, _ in book.positions}
    return [
        Holding(
            name,
            quantity,
            now.prices.of(name)[0],
            of.currency if (of := terms[name]) is not None else None,
            exposures.get(name),
            "stale" if name in stale else "" if name in exposures else "unpriced",
        )
        for name, quantity in book.positions
    ]


def _money(book: Book, base: str, now: Moment) -> list[Holding]:
    found = [(currency, amount, now.prices.fx(base, currency)[0]) for currency, amount in book.cash]
    return [
        Holding(f"cash:{currency}", amount, rate, base, None if rate is None else amount * rate)
        for currency, amount, rate in found
    ]


def _periods(scenarios: Scenarios, field: Field, rows: Ints) -> Sequence[str]:
    """Labels of the scenarios that take part: those in which nothing that is covered has a gap."""
    gap = np.logical_or.reduce(np.isnan(field.returns[rows]), axis=0)
    return [period for period, missing in zip(scenarios.periods, gap.tolist(), strict=True) if not missing]


def _tail(pnl: Floats, positions: Floats, names: Sequence[str], periods: Sequence[str]) -> Tail:
    cut = tail(LEVEL, pnl.size)
    rank = cut.whole + 1
    worst = np.argsort(pnl, kind="stable")[: rank + SHOWN_BEYOND_VAR].tolist()
    found = [_scenario(at, place, pnl, positions, names, periods, rank) for place, at in enumerate(worst, start=1)]
    at = worst[cut.whole]
    lost = dict(zip(names, (0.0 - positions[:, at]).tolist(), strict=True))
    return Tail(LEVEL, pnl.size, rank, cut.mass, found, periods[at], lost)


def _scenario(
    at: int, place: int, pnl: Floats, positions: Floats, names: Sequence[str], periods: Sequence[str], rank: int
) -> Scenario:
    lost: Floats = -positions[:, at]
    worst = int(np.argmax(lost)) if lost.size else None
    return Scenario(
        rank=place,
        period=periods[at],
        loss=0.0 - float(pnl[at]),
        worst=None if worst is None else names[worst],
        worst_loss=None if worst is None else float(lost[worst]),
        is_var=place == rank,
    )
