"""The live headline of all books at once: one product of exposures with scenarios, one selection."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.event import Basis, Event, Figure, Status, event_id
from contracts.portfolio import PortfolioDefined
from contracts.risk import RiskMeasured
from contracts.topics import RISK_LIVE
from services.risk.tail import method_risk, shortfall_of
from tailstream.fold.books import Book
from tailstream.fold.market import Ints, Prices, Scenarios
from tailstream.fold.world import Moment, World
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import scenario_pnl_live
from tailstream.quant.var.estimate import LARGEST, Estimate
from tailstream.quant.var.historical import Historical, historical_live

METHOD = Historical.id
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Holdings:
    """Books of one base currency as a matrix: units (portfolios, names) of what has a price, money in the base."""

    base: str
    portfolios: tuple[PortfolioDefined, ...]
    names: tuple[str, ...]
    units: Floats
    base_cash: Floats


@dataclass(frozen=True, slots=True)
class Exposed:
    """Books at prices, in their base currency."""

    exposures: Floats
    """(portfolios, names), signed; 0 of what is unpriced."""
    unpriced: Bools
    """(portfolios, names)"""
    covered: Bools
    """(names,) whether there are enough scenarios of it."""

    @property
    def blank(self) -> Bools:
        """(portfolios,) whether something is held of which nothing is covered."""
        measured = (self.exposures[:, self.covered] != 0).any(axis=1)
        blank: Bools = ~measured & ((self.exposures != 0).any(axis=1) | self.unpriced.any(axis=1))
        return blank


class _Figures(NamedTuple):
    """What is reported of a book beside its VaR and ES."""

    nav: float | None
    gross: float
    coverage: float | None
    uncovered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """What the matrices were made of; equal keys, equal matrices."""

    owned: tuple[int, ...]
    changes: int


class LiveBooks:
    """The owned books as matrices, made anew when holdings change, measured when prices do.

    BLAS orders its sums by the shape of the block, so live figures may differ in their last bits from a close's.
    """

    def __init__(self, world: World, *, levels: Sequence[float], scenarios_min: int, min_coverage: float) -> None:
        self._world = world
        self._levels = levels
        self._scenarios_min = scenarios_min
        self._min_coverage = min_coverage
        self._method = Historical(scenarios_min)
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
        key = _Key(self._world.owned, self._world.changes)
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
        exposed = self._expose(holdings, prices, scenarios)
        estimates = self._estimates(exposed, self._returns(holdings, exposed.covered, scenarios))
        figures = self._figures(holdings, exposed)
        return [
            self._event(portfolio, as_of, estimate, about)
            for portfolio, estimate, about in zip(holdings.portfolios, estimates, figures, strict=True)
        ]

    def _expose(self, holdings: Holdings, prices: Prices, scenarios: Scenarios) -> Exposed:
        worth = np.array([self._worth(name, holdings.base, prices) for name in holdings.names], dtype=np.float64)
        with np.errstate(over="ignore"):
            exposures = holdings.units * np.nan_to_num(worth)
        unpriced = ((holdings.units != 0) & np.isnan(worth)) | ~(np.abs(exposures) < LARGEST)
        exposures[unpriced] = 0.0
        covered = np.array([self._is_covered(name, scenarios) for name in holdings.names], dtype=bool)
        return Exposed(exposures, unpriced, covered)

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
    def _returns(holdings: Holdings, covered: Bools, scenarios: Scenarios) -> Floats:
        rows = [scenarios.rows[name] for name, use in zip(holdings.names, covered, strict=True) if use]
        return np.ascontiguousarray(scenarios.returns[rows])

    def _estimates(self, exposed: Exposed, returns: Floats) -> list[tuple[int, Estimate]]:
        """Of each book the number of its scenarios, and what the method makes of them."""
        estimates: dict[int, tuple[int, Estimate]] = {}
        exposures = np.ascontiguousarray(exposed.exposures[:, exposed.covered])
        for books, scenarios in _by_scenarios(exposures, exposed.blank, returns):
            with np.errstate(over="ignore", invalid="ignore"):
                pnl = scenario_pnl_live(exposures[books], scenarios)
            of_books = [(pnl.shape[1], estimate) for estimate in self._historical(pnl)]
            estimates.update(zip(books.tolist(), of_books, strict=True))
        return [estimates[i] for i in range(len(exposures))]

    def _historical(self, pnl: Floats) -> list[Estimate]:
        """VaR and ES of each row of P&L (books, scenarios), or why there are none; the rows are reordered."""
        if pnl.shape[1] < self._method.minimum_observations or not np.abs(pnl).max(initial=0.0) < LARGEST:
            return [self._method.estimate(row, self._levels) for row in pnl]
        var, es = historical_live(pnl, self._levels)
        return [Estimate.of({}, *of_book) for of_book in zip(var.tolist(), es.tolist(), strict=True)]

    @staticmethod
    def _figures(holdings: Holdings, exposed: Exposed) -> Iterator[_Figures]:
        sizes = np.abs(exposed.exposures)
        is_cash = np.array([name.startswith("cash:") for name in holdings.names], dtype=bool)
        gross = sizes[:, ~is_cash].sum(axis=1)
        nav = exposed.exposures.sum(axis=1) + holdings.base_cash
        total, left_out = sizes.sum(axis=1), sizes[:, ~exposed.covered].sum(axis=1)
        coverage = 1.0 - left_out / np.where(total > 0, total, 1.0)
        priced = ~exposed.unpriced.any(axis=1) & (np.abs(holdings.base_cash) < LARGEST)
        for i in range(len(nav)):
            missing = (
                exposed.unpriced[i] | ((sizes[i] > 0) & ~exposed.covered) if coverage[i] < 1 or not priced[i] else ()
            )
            yield _Figures(
                float(nav[i]) if priced[i] else None,
                float(gross[i]),
                float(coverage[i]) if priced[i] else None,
                tuple(holdings.names[at] for at in np.flatnonzero(missing)),
            )

    def _event(
        self, portfolio: PortfolioDefined, as_of: datetime, estimate: tuple[int, Estimate], about: _Figures
    ) -> RiskMeasured:
        n_obs, estimated = estimate
        shortfall = shortfall_of(about.coverage, self._min_coverage)
        priced = about.nav is not None
        return RiskMeasured(
            event_id=event_id(RISK_LIVE.name, portfolio.portfolio_id, METHOD, str(as_of), 0),
            portfolio_id=portfolio.portfolio_id,
            period=None,
            as_of=as_of,
            basis=Basis.LIVE,
            currency=portfolio.base_currency,
            coverage=about.coverage,
            inputs=None,
            nav=Figure(value=about.nav, status=Status.OK if priced else Status.UNPRICED),
            gross=Figure(value=about.gross, status=Status.OK if priced else Status.DEGRADED),
            n_obs=n_obs,
            uncovered=about.uncovered,
            methods={METHOD: method_risk(estimated, self._levels, about.nav, shortfall)},
        )


def _by_scenarios(exposures: Floats, blank: Bools, returns: Floats) -> Iterator[tuple[Ints, Floats]]:
    """The books in groups that share their scenarios, with the returns in those.

    A book is measured in the scenarios in which all that it holds has a return; a ``blank`` one in none.
    """
    missing = np.isnan(returns)
    if not missing.any() and not blank.any():
        yield np.arange(len(exposures)), returns
        return
    gappy = missing.any(axis=1)
    gaps = (exposures[:, gappy] != 0).astype(np.float64) @ missing[gappy].astype(np.float64) > 0
    gaps[blank] = True
    kinds, kind_of = np.unique(gaps, axis=0, return_inverse=True)
    known = np.where(missing, 0.0, returns)
    for number, left_out in enumerate(kinds):
        yield np.flatnonzero(kind_of == number), np.ascontiguousarray(known[:, ~left_out])
