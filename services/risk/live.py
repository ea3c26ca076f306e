"""The live headline of all books at once: one product of exposures with scenarios, one selection."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from contracts.event import Basis, Event, Figure, Status, event_id
from contracts.portfolio import PortfolioDefined
from contracts.risk import MethodRisk, RiskMeasured
from contracts.topics import RISK_LIVE
from services.risk.tail import tail_risk
from tailstream.fold.books import Book
from tailstream.fold.market import Prices, Scenarios
from tailstream.fold.world import Moment, World
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import scenario_pnl_live
from tailstream.quant.var.historical import historical_live

METHOD = "historical"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Books of one base currency as a matrix: units (portfolios, names) of what has a price, money in the base."""

    base: str
    portfolios: tuple[PortfolioDefined, ...]
    names: tuple[str, ...]
    units: Floats
    base_cash: Floats


@dataclass(frozen=True, slots=True)
class _Key:
    """What the matrices were made of; equal keys, equal matrices."""

    owned: tuple[int, ...]
    changes: int


class LiveBooks:
    """The owned books as matrices, made anew when holdings change, measured when prices do.

    BLAS orders its sums by the shape of the block, so live figures may differ in their last bits from a close's.
    A scenario in which any covered instrument of the block has no return is left out for the whole block.
    """

    def __init__(self, world: World, *, levels: Sequence[float], scenarios_min: int) -> None:
        self._world = world
        self._levels = levels
        self._scenarios_min = scenarios_min
        self._measured_changes = -1
        self._key: _Key | None = None
        self._holdings: list[Holdings] = []

    def refresh(self) -> Iterator[Sequence[Event]]:
        """The events of every owned portfolio, if anything changed since the last time."""
        world = self._world
        now, as_of = world.now(), world.board.as_of
        if now is None or as_of is None or world.changes == self._measured_changes:
            return
        row = world.opened - 1
        if world.market.point(row).as_of > as_of:
            return
        self._measured_changes = world.changes
        for holdings in self._matrices(now):
            yield self._measure(holdings, now.prices, world.market.scenarios(row, holdings.base), as_of)

    def _matrices(self, now: Moment) -> list[Holdings]:
        key = _Key(self._world.owned, self._world.book_changes)
        if key != self._key:
            self._key, self._holdings = key, self._collect(now)
        return self._holdings

    def _collect(self, now: Moment) -> list[Holdings]:
        books: dict[str, list[tuple[PortfolioDefined, Book]]] = {}
        for partition in self._world.owned:
            for portfolio in self._world.portfolios(partition, now):
                if members := self._world.members(portfolio.portfolio_id, now):
                    total = self._world.books.total(members)
                    books.setdefault(portfolio.base_currency, []).append((portfolio, total))
        return [self._matrix(base, held) for base, held in sorted(books.items())]

    def _matrix(self, base: str, held: Sequence[tuple[PortfolioDefined, Book]]) -> Holdings:
        names = sorted(
            {name for _, book in held for name, _ in book.positions}
            | {f"cash:{currency}" for _, book in held for currency, _ in book.cash if currency != base}
        )
        column = {name: i for i, name in enumerate(names)}
        units, base_cash = np.zeros((len(held), len(names))), np.zeros(len(held))
        for i, (_, book) in enumerate(held):
            for name, quantity in book.positions:
                units[i, column[name]] = quantity
            for currency, amount in book.cash:
                if currency == base:
                    base_cash[i] = amount
                else:
                    units[i, column[f"cash:{currency}"]] = amount
        return Holdings(base, tuple(portfolio for portfolio, _ in held), tuple(names), units, base_cash)

    def _measure(self, holdings: Holdings, prices: Prices, scenarios: Scenarios, as_of: datetime) -> list[Event]:
        worth = np.array([self._worth(name, holdings.base, prices) for name in holdings.names])
        exposures = holdings.units * np.nan_to_num(worth)
        priced = ~((holdings.units != 0) & np.isnan(worth)).any(axis=1)
        is_cash = np.array([name.startswith("cash:") for name in holdings.names], dtype=bool)
        gross = np.abs(exposures[:, ~is_cash]).sum(axis=1)
        nav = exposures.sum(axis=1) + holdings.base_cash
        covered = np.array([self._is_covered(name, scenarios) for name in holdings.names], dtype=bool)
        exposed = np.abs(exposures).sum(axis=1)
        uncovered = np.abs(exposures[:, ~covered]).sum(axis=1)
        coverage = np.where(exposed > 0, 1.0 - uncovered / np.where(exposed > 0, exposed, 1.0), 1.0)
        pnl = self._pnl(holdings, exposures, covered, scenarios)
        if pnl.shape[1] < self._scenarios_min:
            return []
        var, es = historical_live(pnl, self._levels)
        return [
            self._event(portfolio, as_of, pnl.shape[1], bool(priced[i]), nav[i], gross[i], coverage[i], var[i], es[i])
            for i, portfolio in enumerate(holdings.portfolios)
        ]

    def _worth(self, name: str, base: str, prices: Prices) -> float:
        """What one unit is worth in ``base``; NaN where a price or a rate is missing."""
        if name.startswith("cash:"):
            rate, _ = prices.fx(base, name.removeprefix("cash:"))
            return np.nan if rate is None else rate
        instrument = self._world.market.instrument(name)
        if instrument is None:
            return np.nan
        price, _ = prices.of(name)
        rate, _ = prices.fx(base, instrument.currency)
        return np.nan if price is None or rate is None else price * rate * instrument.multiplier

    def _is_covered(self, name: str, scenarios: Scenarios) -> bool:
        row = scenarios.rows.get(name)
        return row is not None and int(scenarios.observations[row]) >= self._scenarios_min

    @staticmethod
    def _pnl(holdings: Holdings, exposures: Floats, covered: Floats, scenarios: Scenarios) -> Floats:
        rows = [scenarios.rows[name] for name, use in zip(holdings.names, covered, strict=True) if use]
        returns = scenarios.returns[rows]
        if not scenarios.complete:
            returns = returns[:, ~np.isnan(returns).any(axis=0)]
        return scenario_pnl_live(np.ascontiguousarray(exposures[:, covered]), np.ascontiguousarray(returns))

    def _event(
        self,
        portfolio: PortfolioDefined,
        as_of: datetime,
        n_obs: int,
        priced: bool,
        nav: float,
        gross: float,
        coverage: float,
        var: Floats,
        es: Floats,
    ) -> RiskMeasured:
        known_nav = float(nav) if priced else None
        levels = {str(level): tail_risk(float(var[i]), float(es[i]), known_nav) for i, level in enumerate(self._levels)}
        status = Status.OK if priced else Status.DEGRADED
        return RiskMeasured(
            event_id=event_id(RISK_LIVE.name, portfolio.portfolio_id, METHOD, str(as_of), 0),
            portfolio_id=portfolio.portfolio_id,
            period=None,
            as_of=as_of,
            basis=Basis.LIVE,
            currency=portfolio.base_currency,
            coverage=float(coverage) if priced else None,
            inputs=None,
            nav=Figure(value=known_nav, status=Status.OK if priced else Status.UNPRICED),
            gross=Figure(value=float(gross), status=status),
            n_obs=n_obs,
            methods={METHOD: MethodRisk(status=status, levels=levels)},
        )
