"""Risk: VaR and ES of the current holdings over past scenarios. Pure: the log in, events out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from contracts.event import Arrival, Basis, Event, Figure, Inputs, Status, event_id
from contracts.portfolio import PortfolioDefined
from contracts.risk import MethodRisk, RiskMeasured
from contracts.topics import RISK
from services.risk.live import LiveBooks
from services.risk.tail import failed, method_risk, shortfall_of
from tailstream.fold.market import Scenarios
from tailstream.fold.valuation import Valuation
from tailstream.fold.world import World
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.var import Method


class Profit(NamedTuple):
    """The scenario P&L of one book, base currency, oldest first; and how much of the book it stands for."""

    pnl: Floats
    coverage: float | None
    uncovered: tuple[str, ...]
    shortfall: str | None
    """Why the scenarios do not stand for the whole book; None when they do."""


class Engine:
    """Measures the owned shards' portfolios at each close, and their headline between closes."""

    def __init__(
        self,
        world: World,
        methods: Mapping[str, Method],
        *,
        levels: Sequence[float],
        scenarios_min: int,
        min_coverage: float,
    ) -> None:
        self.world = world
        self._methods = methods
        self._versions = {name: method.version for name, method in methods.items()}
        self._levels = levels
        self._scenarios_min = scenarios_min
        self._min_coverage = min_coverage
        self._live = LiveBooks(world, levels=levels, scenarios_min=scenarios_min, min_coverage=min_coverage)

    # -- the shard's own past ------------------------------------------------------------------------------------

    def enough(self, published: Sequence[Arrival]) -> bool:
        """Whether there is one measurement: the next close depends on none before it."""
        return bool(published)

    def restore(self, partition: int, published: Sequence[Arrival]) -> str | None:
        """The last period that the shard published."""
        return max((_measured(arrival).period or "" for arrival in published), default=None)

    def release(self, partition: int) -> None:
        """Nothing of a shard is kept from one close to the next."""

    # -- closes --------------------------------------------------------------------------------------------------

    def close(self, partition: int, row: int) -> Iterator[Sequence[Event]]:
        """The events of one close of one shard, portfolio by portfolio."""
        now = self.world.closed(row)
        for portfolio in self.world.portfolios(partition, now):
            members = self.world.members(portfolio.portfolio_id, now)
            if members:
                valuation = self.world.value(members, portfolio.base_currency, now)
                yield [self._measure(portfolio, valuation, row, self.world.books.total(members).content_hash)]

    def _measure(self, portfolio: PortfolioDefined, valuation: Valuation, row: int, book_hash: str) -> RiskMeasured:
        point = self.world.market.point(row)
        scenarios = self.world.market.scenarios(row, portfolio.base_currency)
        profit = self._profit(valuation, scenarios)
        return RiskMeasured(
            event_id=event_id(RISK.name, portfolio.portfolio_id, *self._methods, point.period, 0),
            portfolio_id=portfolio.portfolio_id,
            period=point.period,
            as_of=point.as_of,
            basis=Basis.CLOSE,
            currency=portfolio.base_currency,
            coverage=profit.coverage,
            nav=_nav(valuation),
            gross=_gross(valuation),
            n_obs=profit.pnl.size,
            uncovered=profit.uncovered,
            methods={name: self._estimate(name, profit, valuation.nav) for name in self._methods},
            inputs=Inputs(
                close_offset=point.offset,
                cut=point.cut,
                book=book_hash,
                market=scenarios.content_hash,
                models=self._versions,
            ),
        )

    def _estimate(self, name: str, profit: Profit, nav: float | None) -> MethodRisk:
        try:
            estimate = self._methods[name].estimate(profit.pnl, self._levels)
            return method_risk(estimate, self._levels, nav, profit.shortfall)
        except Exception as error:  # one failing method is its own degraded status; the others are published
            return failed(error, self._levels)

    def _profit(self, valuation: Valuation, scenarios: Scenarios) -> Profit:
        """Positions and foreign cash against the scenarios in which all that is covered has a return.

        A book of which nothing is covered has no scenario; one that is all cash of its own currency gains 0 in each.
        """
        names = (*valuation.instruments, *(name for name, _ in valuation.cash_exposures))
        exposures = np.append(valuation.exposures, [amount for _, amount in valuation.cash_exposures])
        covered = [i for i, name in enumerate(names) if self._is_covered(name, scenarios)]
        rows = [scenarios.rows[names[i]] for i in covered]
        returns = scenarios.returns[rows]
        if not scenarios.complete:
            returns = np.ascontiguousarray(returns[:, ~np.isnan(returns).any(axis=0)])
        if not covered and (names or valuation.unpriced):
            returns = returns[:, :0]
        pnl = scenario_pnl(exposures[covered], returns)
        left_out = sorted(set(names) - {names[i] for i in covered})
        coverage = _coverage(valuation, exposures, covered)
        shortfall = shortfall_of(coverage, self._min_coverage)
        return Profit(pnl, coverage, (*valuation.unpriced, *left_out), shortfall)

    def _is_covered(self, name: str, scenarios: Scenarios) -> bool:
        row = scenarios.rows.get(name)
        return row is not None and int(scenarios.observations[row]) >= self._scenarios_min

    # -- between closes ------------------------------------------------------------------------------------------

    def live(self) -> Iterator[Sequence[Event]]:
        """The historical headline of every owned portfolio, once for each state of the board."""
        return self._live.refresh()


def _measured(arrival: Arrival) -> RiskMeasured:
    assert isinstance(arrival.event, RiskMeasured)
    return arrival.event


def _coverage(valuation: Valuation, exposures: Floats, covered: Sequence[int]) -> float | None:
    """Covered share of gross exposure, foreign cash included; 1 where nothing is exposed, None where it is unknown."""
    if valuation.unpriced:
        return None
    gross = np.abs(exposures)
    total = float(np.add.reduce(gross))
    return float(np.add.reduce(gross[list(covered)])) / total if total else 1.0


def _nav(valuation: Valuation) -> Figure:
    if valuation.nav is None:
        return Figure(value=None, status=Status.UNPRICED)
    return Figure(value=valuation.nav)


def _gross(valuation: Valuation) -> Figure:
    status = Status.DEGRADED if valuation.unpriced else Status.OK
    return Figure(value=float(np.add.reduce(np.abs(valuation.exposures))), status=status)
