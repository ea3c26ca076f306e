"""Risk: VaR and ES of the current holdings over past scenarios. Pure: the log in, events out."""

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from contracts.event import Arrival, Basis, Event, Figure, Inputs, Status, event_id
from contracts.portfolio import PortfolioDefined
from contracts.risk import FittedAt, RiskBacktested, RiskMeasured, WhatIfRequested
from contracts.topics import BACKTESTS, RISK
from services.risk.averages import Averaged, averaged, losses_seen
from services.risk.backtests import backtests
from services.risk.live import LiveBooks
from services.risk.methods import Methods
from services.risk.past import Past, fitted_at, told
from services.risk.pasts import Pasts
from services.risk.profit import Exposed
from services.risk.searches import Found, due, run_all
from services.risk.simulations import Made, Simulations, seed_of
from services.risk.stress import StressBook
from services.risk.tail import method_risk
from services.risk.terms import Terms
from services.risk.what_if import Unanswerable, answered, pose, unanswered
from services.risk.yardstick import Book, Era, Yardstick
from tailstream.fold.gain import Members, gain, hypothetical
from tailstream.fold.valuation import Valuation
from tailstream.fold.work import Steps, Work
from tailstream.fold.world import World
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.quant.averaging import members as averaged_members
from tailstream.quant.averaging import next_weights
from tailstream.quant.var import Estimate, Method


class Held(NamedTuple):
    """A portfolio that holds something at a close, measured against the yardstick of its currency."""

    portfolio: PortfolioDefined
    members: Members
    valuation: Valuation
    book: Book
    past: Past

    @property
    def portfolio_id(self) -> str:
        return self.portfolio.portfolio_id


class Engine:
    """Measures the owned shards' portfolios at each close, and their headline between closes.

    A close is known by its ``row`` in the market, a shard by its partition.
    """

    def __init__(self, world: World, methods: Mapping[str, Method], terms: Terms, stress: StressBook) -> None:
        self.world = world
        self._methods = Methods.of(methods)
        self._terms = terms
        self._stress = stress
        self._versions = self._methods.versions
        self._tested = (*methods, AVERAGE)
        self._members = averaged_members(methods)
        self._pasts = Pasts(world, self._begin, backtest_window=terms.backtest_window, learn=self._learn)
        self._yardsticks: dict[str, tuple[int, Yardstick]] = {}
        self._live = LiveBooks(
            world,
            levels=terms.var_levels,
            scenario_window=terms.scenario_window,
            scenarios_min=terms.scenarios_min,
            min_coverage=terms.min_coverage,
        )
        self._simulations = Simulations(
            world.market,
            self._methods.market,
            {name: terms.windows[method.window] for name, method in self._methods.market.items()},
            observations_min=terms.scenarios_min,
            refit_every=terms.refit_every,
        )

    # -- the shard's own past ------------------------------------------------------------------------------------

    def enough(self, published: Sequence[Arrival]) -> bool:
        """Whether these outputs reach back over all closes that backtests look at, and one before."""
        return self._pasts.enough(published)

    def restore(self, partition: int, published: Sequence[Arrival]) -> str | None:
        """Take the shard's measurements and backtests, in any order; return the last period."""
        return self._pasts.restore(partition, published)

    def release(self, partition: int) -> None:
        """Forget the shard's past."""
        self._pasts.release(partition)

    def _begin(self, closes: int) -> Past:
        return Past(self._tested, self._members, self._terms.var_levels, closes)

    def _learn(self, base: str, fits: Mapping[str, FittedAt]) -> None:
        for name, fit in fits.items():
            if name in self._methods.drawn_once:
                self._simulations.learn(name, base, fit.period, fit.parameters)

    # -- closes --------------------------------------------------------------------------------------------------

    def close(self, partition: int, row: int) -> Steps:
        """Of every portfolio of the shard that holds something, what came of its last forecast, and the next one."""
        held = yield from self._held(partition, row)
        found = yield self._search(held, row)
        for of_portfolio in held:
            about, past = self._about(of_portfolio, row), of_portfolio.past
            backtested = self._backtest(of_portfolio, found[of_portfolio.portfolio_id], row, about)
            past.conclude(backtested)
            measured = self._measure(of_portfolio, row, about)
            past.measured(measured)
            yield [backtested, measured]

    def _held(self, partition: int, row: int) -> Generator[Work[Any], Any, list[Held]]:
        """The portfolios, each with its book against the yardstick of its currency, and its past."""
        now = self.world.closed(row)
        held: list[Held] = []
        for portfolio in self.world.portfolios(partition, now):
            if members := self.world.members(portfolio.portfolio_id, now):
                base = portfolio.base_currency
                made = yield from self._simulations.at(row, base)
                valuation = self.world.value(members, base, now)
                book = self._yardstick(row, base, made).book(Exposed.of(valuation), valuation.nav)
                held.append(Held(portfolio, members, valuation, book, self._pasts.at(portfolio.portfolio_id, row)))
        return held

    def _yardstick(self, row: int, base: str, made: Mapping[str, Made]) -> Yardstick:
        known = self._yardsticks.get(base)
        if known is None or known[0] != row:
            known = self._yardsticks[base] = (
                row,
                Yardstick(
                    self.world.market,
                    row,
                    base,
                    terms=self._terms,
                    methods=self._methods,
                    made=made,
                    stress=self._stress,
                ),
            )
        return known[1]

    def _search(self, held: Sequence[Held], row: int) -> Work[dict[str, Found]]:
        """What is due for the portfolios, to be done while the loop turns."""
        look = partial(due, market=self.world.market, row=row, methods=self._methods, terms=self._terms)
        searches = {of.portfolio_id: look(of.portfolio_id, of.book, of.past) for of in held}
        return Work(partial(run_all, searches))

    # -- one portfolio -------------------------------------------------------------------------------------------

    def _backtest(self, held: Held, found: Found, row: int, about: Mapping[str, Any]) -> RiskBacktested:
        actual, static = self._gained(held.portfolio, row)
        forecast = self._forecast(held, row)
        realised = forecast is not None and held.past.realise(forecast, actual.value, static.value)
        return RiskBacktested(
            event_id=event_id(BACKTESTS.name, *self._identity(held, row)),
            forecast_period=forecast,
            actual_pnl=actual,
            hypothetical_pnl=static,
            methods=backtests(held.past, self._tested, self._terms, realised=realised),
            weights=self._weights(held.past),
            **self._newest(held, found, row),
            **about,
        )

    def _gained(self, portfolio: PortfolioDefined, row: int) -> tuple[Figure, Figure]:
        """Actual and hypothetical P&L since the close before."""
        then, now = self.world.closed(row - 1) if row > self.world.market.first else None, self.world.closed(row)
        if then is None or not self.world.members(portfolio.portfolio_id, then):
            nothing = Figure(value=None, status=Status.INSUFFICIENT)
            return nothing, nothing
        gained = gain(self.world, portfolio, then, now)
        return _pnl(gained.pnl if gained else None), _pnl(hypothetical(self.world, portfolio, then, now))

    def _forecast(self, held: Held, row: int) -> str | None:
        """The period of the close before, if it has a forecast in the same currency; None where there is none."""
        before = self.world.market.point(row - 1).period if row > self.world.market.first else ""
        return before if held.past.has_forecast_of(before, held.portfolio.base_currency) else None

    def _newest(self, held: Held, found: Found, row: int) -> dict[str, object]:
        """Fits and the worst stretch of the past: the new ones, and the former where none were looked for."""
        past = held.past
        period = self.world.market.point(row).period
        shared = {
            name: FittedAt(period=made.made_at, status=Status.OK, parameters=dict(made.simulation.parameters))
            for name, made in held.book.made.items()
            if made.simulation.status == Status.OK and name in self._methods.drawn_once
        }
        fits = past.fits | fitted_at(period, found.fits) | shared
        return {
            "fits": {name: told(fit) for name, fit in fits.items() if name in self._methods.all},
            "stressed_window": found.era if found.searched else past.stressed_window,
            "stressed_at": period if found.searched else past.stressed_at,
        }

    def _weights(self, past: Past) -> dict[str, float]:
        if not self._members:
            return {}
        former = np.array([past.weights.get(name, np.nan) for name in self._members])
        weights = next_weights(former if past.weights else None, past.losses)
        return dict(zip(self._members, weights.tolist(), strict=True))

    def _estimates(self, book: Book, past: Past) -> tuple[dict[str, Estimate], Averaged]:
        """What every method says, their average last; and how that came about."""
        estimates = book.methods({name: fit for name in self._methods.fitted if (fit := past.fit(name)) is not None})
        weights = past.weights or self._weights(past)  # a past of nothing has none yet
        average = averaged(estimates, weights, losses_seen(past.losses), self._terms.var_levels)
        return estimates | {AVERAGE: average.estimate}, average

    def _measure(self, held: Held, row: int, about: Mapping[str, Any]) -> RiskMeasured:
        book, past, nav, levels = held.book, held.past, held.valuation.nav, self._terms.var_levels
        estimates, average = self._estimates(book, past)
        return RiskMeasured(
            event_id=event_id(RISK.name, *self._identity(held, row)),
            nav=_nav(held.valuation),
            gross=_gross(held.valuation),
            n_obs=book.profit.pnl.size,
            fit_n_obs=book.fit_profit.pnl.size,
            fit_coverage=book.fit_profit.coverage,
            uncovered=book.profit.uncovered,
            stale=held.valuation.stale,
            methods={name: method_risk(estimate, levels, nav) for name, estimate in estimates.items()},
            proxied=book.proxied,
            averaging=average.averaging(levels, nav),
            horizons=book.horizons(),
            contributions=book.contributions(),
            delta_gamma=book.delta_gamma(),
            stress=book.stress(),
            stressed=book.stressed(Era(*past.stressed_window) if past.stressed_window else None),
            **about,
        )

    def _identity(self, held: Held, row: int) -> tuple[str | int, ...]:
        return held.portfolio_id, *self._methods.all, self.world.market.point(row).period, 0

    def _about(self, held: Held, row: int) -> dict[str, Any]:
        """What both events of a close have in common."""
        point, base = self.world.market.point(row), held.portfolio.base_currency
        return {
            "portfolio_id": held.portfolio.portfolio_id,
            "period": point.period,
            "as_of": point.as_of,
            "basis": Basis.CLOSE,
            "currency": base,
            "coverage": held.book.profit.coverage,
            "inputs": Inputs(
                close_offset=point.offset,
                cut=point.cut,
                book=self.world.books.total(held.members).content_hash,
                market=held.book.scenarios_hash,
                models=self._versions,
                seed=seed_of(base, point.period),
                prices=self.world.market.prices_hash(row),
            ),
        }

    # -- between closes ------------------------------------------------------------------------------------------

    def live(self) -> Steps:
        """The historical headline of every owned portfolio whose figures may have changed since the last time."""
        yield from self._live.refresh()

    def answer(self, request: Event) -> Steps:
        """What the risk of a portfolio would be after some trades, at the prices of this moment."""
        assert isinstance(request, WhatIfRequested)
        question = pose(self.world, request)
        if isinstance(question, Unanswerable):
            yield [unanswered(request, question)]
            return
        row = self.world.opened - 1
        made = yield from self._simulations.at(row, question.currency)
        yardstick = self._yardstick(row, question.currency, made)
        past = self._pasts.of(request.portfolio_id)
        before, after = (
            yardstick.book(Exposed.of(valuation), valuation.nav) for valuation in (question.before, question.after)
        )
        estimates = [self._estimates(book, past)[0] for book in (before, after)]
        yield [answered(request, question, after.profit, self._terms.var_levels, *estimates)]


def _pnl(value: float | None) -> Figure:
    return Figure(value=value, status=Status.UNPRICED if value is None else Status.OK)


def _nav(valuation: Valuation) -> Figure:
    if valuation.nav is None:
        return Figure(value=None, status=Status.UNPRICED)
    return Figure(value=valuation.nav)


def _gross(valuation: Valuation) -> Figure:
    status = Status.DEGRADED if valuation.unpriced else Status.OK
    return Figure(value=float(np.add.reduce(np.abs(valuation.exposures))), status=status)
