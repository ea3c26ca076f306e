"""Risk: VaR and ES of the current holdings over past scenarios. Pure: the log in, events out."""

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from contracts.event import Arrival, Basis, Event, Figure, Inputs, Status, event_id
from contracts.portfolio import PortfolioDefined
from contracts.risk import FittedAt, MethodRisk, RiskBacktested, RiskMeasured, WhatIfRequested
from contracts.topics import BACKTESTS, RISK
from services.risk.averages import averaged, losses_of, losses_seen
from services.risk.backtests import backtests
from services.risk.live import LiveBooks
from services.risk.past import Past, fitted_at
from services.risk.profit import Exposed, Field
from services.risk.simulations import Made, Simulations, seed_of
from services.risk.stress import StressBook
from services.risk.terms import Terms
from services.risk.what_if import Unanswerable, answered, pose, unanswered
from services.risk.yardstick import Book, Era, Yardstick
from tailstream.fold.gain import Members, gain, hypothetical
from tailstream.fold.market import Ints
from tailstream.fold.valuation import Valuation
from tailstream.fold.work import Steps, Work
from tailstream.fold.world import World
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.quant.averaging import members as averaged_members
from tailstream.quant.averaging import next_weights
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.stress import whole_rows, worst_window
from tailstream.quant.var import Fit, FittedMethod, MarketMethod, Method
from tailstream.quant.var.estimate import LARGEST

SLACK_CLOSES = 64
"""Closes beyond the backtest's window that are remembered, because some of them may have told nothing."""


class Held(NamedTuple):
    """A portfolio that holds something at a close, measured against the yardstick of its currency."""

    portfolio: PortfolioDefined
    members: Members
    valuation: Valuation
    exposed: Exposed
    book: Book


class Found(NamedTuple):
    """What long work came to for one portfolio: new fits, and the stretch of the past that is worst for it."""

    fits: Mapping[str, Fit]
    searched: bool
    era: Era | None


class Task(NamedTuple):
    """What is due for one portfolio."""

    fits: Mapping[str, Callable[[], Fit]]
    era: Callable[[], Era | None] | None


class Engine:
    """Measures the owned shards' portfolios at each close, and their headline between closes."""

    def __init__(self, world: World, methods: Mapping[str, Method], terms: Terms, stress: StressBook) -> None:
        self.world = world
        self._methods = methods
        self._terms = terms
        self._stress = stress
        self._versions = {name: method.version for name, method in methods.items()}
        self._tested = (*methods, AVERAGE)
        self._members = averaged_members(methods)
        self._pasts: dict[str, Past] = {}
        self._yardsticks: dict[str, tuple[int, Yardstick]] = {}
        self._live = LiveBooks(
            world, levels=terms.var_levels, scenarios_min=terms.scenarios_min, min_coverage=terms.min_coverage
        )
        made = {name: method for name, method in methods.items() if isinstance(method, MarketMethod)}
        self._kept = {name for name, method in made.items() if not method.redrawn}
        self._simulations = Simulations(
            world.market,
            made,
            {name: terms.windows[method.window] for name, method in made.items()},
            observations_min=terms.scenarios_min,
            refit_every=terms.refit_every,
        )

    # -- the shard's own past ------------------------------------------------------------------------------------

    def enough(self, published: Sequence[Arrival]) -> bool:
        """Whether these outputs reach back over all closes that backtests look at, and one before."""
        return len({_period(arrival) for arrival in published}) > self._terms.backtest_window + SLACK_CLOSES + 1

    def restore(self, partition: int, published: Sequence[Arrival]) -> str | None:
        """Take the shard's measurements and backtests, oldest first of each kind; return the last period."""
        self.release(partition)
        last = None
        for arrival in sorted(published, key=_in_order):
            event = arrival.event
            if isinstance(event, RiskBacktested):
                self._past(event.portfolio_id).backtested(event)
                self._learn(event.currency, event.fits)
            elif isinstance(event, RiskMeasured):
                self._past(event.portfolio_id).measured(event)
                last = event.period
        return last

    def release(self, partition: int) -> None:
        """Forget the shard's past."""
        for name in [name for name in self._pasts if self.world.partition_of(name) == partition]:
            del self._pasts[name]

    def _past(self, portfolio_id: str) -> Past:
        if portfolio_id not in self._pasts:
            levels = [str(level) for level in self._terms.var_levels]
            self._pasts[portfolio_id] = Past(self._tested, levels, self._terms.backtest_window + SLACK_CLOSES)
        return self._pasts[portfolio_id]

    def _learn(self, base: str, fits: Mapping[str, FittedAt]) -> None:
        for name, fit in fits.items():
            if name in self._kept:
                self._simulations.learn(name, base, fit.period, fit.parameters)

    # -- closes --------------------------------------------------------------------------------------------------

    def close(self, partition: int, row: int) -> Steps:
        """Backtest and measurement of every portfolio of the shard at one close."""
        held = yield from self._held(partition, row)
        for of_portfolio in held:
            self._past(of_portfolio.portfolio.portfolio_id).forget_to(self._oldest(row))
        found = yield self._search(held, row)
        for of_portfolio in held:
            yield self._close_of(of_portfolio, found[of_portfolio.portfolio.portfolio_id], row)

    def _held(self, partition: int, row: int) -> Generator[Work[Any], Any, list[Held]]:
        now = self.world.closed(row)
        held: list[Held] = []
        for portfolio in self.world.portfolios(partition, now):
            if members := self.world.members(portfolio.portfolio_id, now):
                base = portfolio.base_currency
                made = yield from self._simulations.at(row, base)
                valuation = self.world.value(members, base, now)
                exposed = Exposed.of(valuation)
                book = self._yardstick(row, base, made).book(exposed, valuation.nav)
                held.append(Held(portfolio, members, valuation, exposed, book))
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

    def _oldest(self, row: int) -> str:
        """The period of the last close that backtests at ``row`` do not look at."""
        first = row - self._terms.backtest_window - SLACK_CLOSES - 1
        return self.world.market.point(first).period if first >= self.world.market.first else ""

    # -- long work: fits and the worst stretch of the past -------------------------------------------------------

    def _search(self, held: Sequence[Held], row: int) -> Work[dict[str, Found]]:
        """Fit what is due and look for the stretches that are due; the arrays are made here, the work is done there."""
        tasks = {of.portfolio.portfolio_id: Task(self._fits_due(of, row), self._era_due(of, row)) for of in held}
        return Work(partial(_do, tasks))

    def _fits_due(self, held: Held, row: int) -> dict[str, Callable[[], Fit]]:
        name = held.portfolio.portfolio_id
        due = self._is_due(name, row, self._terms.refit_every)
        wanted: dict[str, Callable[[], Fit]] = {}
        for method in self._methods.values():
            if isinstance(method, FittedMethod):
                known = self._past(name).fit(method.id)
                if due or known is None or known.status != Status.OK:
                    start = known.parameters if known is not None and known.status == Status.OK else None
                    wanted[method.id] = partial(_fit, method, held.book.fitted_to(method).pnl, start)
        return wanted

    def _era_due(self, held: Held, row: int) -> Callable[[], Era | None] | None:
        past = self._past(held.portfolio.portfolio_id)
        if past.stressed_at and not self._is_due(held.portfolio.portfolio_id, row, self._terms.stressed_every):
            return None
        history = self.world.market.history(row, held.portfolio.base_currency)
        length = self._terms.stressed_window
        if len(history.periods) < length or not history.rows:
            return None
        field = Field.of(history, length)
        placed = held.exposed.placed(field.rows)
        return partial(_worst_era, held.exposed, placed, field, history.periods, length)

    def _is_due(self, portfolio_id: str, row: int, every: int) -> bool:
        """Portfolios take turns by a hash of their names, counted in offsets: all replicas agree."""
        return (self.world.market.point(row).offset + crc32(portfolio_id.encode())) % every == 0

    # -- one portfolio -------------------------------------------------------------------------------------------

    def _close_of(self, held: Held, found: Found, row: int) -> list[Event]:
        past = self._past(held.portfolio.portfolio_id)
        backtested = self._backtest(held, found, past, row)
        past.conclude(backtested)
        measured = self._measure(held, past, row)
        past.measured(measured)
        return [backtested, measured]

    def _backtest(self, held: Held, found: Found, past: Past, row: int) -> RiskBacktested:
        period = self.world.market.point(row).period
        before, actual, static = self._gained(held.portfolio, row)
        forecast = before if before and past.has_forecast_of(before) else None
        realised = past.realise(forecast, actual, static) if forecast else False
        fits = {**past.fits, **fitted_at(period, found.fits), **self._shared_fits(row, held.portfolio.base_currency)}
        return RiskBacktested(
            event_id=event_id(BACKTESTS.name, *self._identity(held.portfolio, period)),
            forecast_period=forecast,
            actual_pnl=_pnl(actual, before),
            hypothetical_pnl=_pnl(static, before),
            methods=backtests(past, self._tested, self._terms, realised=realised),
            weights=self._weights(past),
            fits={name: fit for name, fit in fits.items() if name in self._methods},
            stressed_window=found.era if found.searched else past.stressed_window,
            stressed_at=period if found.searched else past.stressed_at,
            **self._about(held, row),
        )

    def _gained(self, portfolio: PortfolioDefined, row: int) -> tuple[str, float | None, float | None]:
        """The period of the close before, and actual and hypothetical P&L since."""
        if row <= self.world.market.first:
            return "", None, None
        then, now = self.world.closed(row - 1), self.world.closed(row)
        gained = gain(self.world, portfolio, then, now)
        static = hypothetical(self.world, portfolio, then, now)
        return self.world.market.point(row - 1).period, gained.pnl if gained else None, static

    def _shared_fits(self, row: int, base: str) -> dict[str, FittedAt]:
        """Fits of the whole market that the yardstick rests on."""
        return {
            name: FittedAt(period=made.made_at, status=Status.OK, parameters=dict(made.simulation.parameters))
            for name, made in self._yardsticks[base][1].made.items()
            if made.simulation.status == Status.OK and name in self._kept
        }

    def _weights(self, past: Past) -> dict[str, float]:
        former = np.array([past.weights.get(name, np.nan) for name in self._members])
        weights = next_weights(former if past.weights else None, self._losses(past))
        return dict(zip(self._members, weights.tolist(), strict=True))

    def _losses(self, past: Past) -> Floats:
        at = [self._tested.index(name) for name in self._members]
        return losses_of(past.hypothetical, past.var[:, at], past.es[:, at], self._terms.var_levels)

    def _methods_of(self, book: Book, past: Past) -> dict[str, MethodRisk]:
        return book.methods({name: fit for name in self._methods if (fit := past.fit(name)) is not None})

    def _measure(self, held: Held, past: Past, row: int) -> RiskMeasured:
        book = held.book
        methods = self._methods_of(book, past)
        methods[AVERAGE], averaging = averaged(
            methods, past.weights, self._terms.var_levels, held.valuation.nav, losses_seen(self._losses(past))
        )
        about = self._about(held, row)
        return RiskMeasured(
            event_id=event_id(RISK.name, *self._identity(held.portfolio, str(about["period"]))),
            nav=_nav(held.valuation),
            gross=_gross(held.valuation),
            n_obs=book.profit.pnl.size,
            uncovered=book.profit.uncovered,
            methods=methods,
            proxied=book.proxied,
            averaging=averaging,
            horizons=book.horizons(),
            contributions=book.contributions(),
            delta_gamma=book.delta_gamma(),
            stress=book.stress(),
            stressed=book.stressed(Era(*past.stressed_window) if past.stressed_window else None),
            **about,
        )

    def _identity(self, portfolio: PortfolioDefined, period: str) -> tuple[str | int, ...]:
        return portfolio.portfolio_id, *self._methods, period, 0

    def _about(self, held: Held, row: int) -> dict[str, object]:
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
                market=self._yardsticks[base][1].content_hash,
                models=self._versions,
                seed=seed_of(base, point.period),
                prices=self.world.market.prices_hash(row),
            ),
        }

    # -- between closes ------------------------------------------------------------------------------------------

    def live(self) -> Steps:
        """The historical headline of every owned portfolio, once for each state of the board."""
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
        past = self._past(request.portfolio_id)
        before, after = (
            yardstick.book(Exposed.of(valuation), valuation.nav) for valuation in (question.before, question.after)
        )
        figures = [self._methods_of(book, past) for book in (before, after)]
        yield [answered(request, question, after.profit.coverage, *figures)]


def _do(tasks: Mapping[str, Task]) -> dict[str, Found]:
    return {name: _done(task) for name, task in tasks.items()}


def _done(task: Task) -> Found:
    fits = {method: fit() for method, fit in task.fits.items()}
    return Found(fits, task.era is not None, task.era() if task.era else None)


def _fit(method: FittedMethod, pnl: Floats, start: Mapping[str, float] | None) -> Fit:
    try:
        return method.fit(pnl, start)
    except Exception as error:  # one failing method is its own degraded status; the others are published
        return Fit.missing("degraded", f"{type(error).__name__}: {error}")


def _worst_era(exposed: Exposed, placed: Ints, field: Field, periods: Sequence[str], length: int) -> Era | None:
    """Where in the history the book would have had the largest VaR; None where it holds nothing known."""
    covered = placed >= 0
    covered[covered] = field.usable[placed[covered]]
    if not covered.any():
        return None
    returns = field.returns[placed[covered]]
    whole = whole_rows(np.ascontiguousarray(returns.T))
    pnl = scenario_pnl(exposed.amounts[covered], np.ascontiguousarray(returns[:, whole]))
    if pnl.size < length or not np.abs(pnl).max() < LARGEST:
        return None
    worst = worst_window(pnl, length)
    labels = [period for period, there in zip(periods, whole.tolist(), strict=True) if there]
    return Era(labels[worst.start], labels[worst.end - 1]) if worst else None


def _in_order(arrival: Arrival) -> tuple[str, bool]:
    """By period; of one close the backtest first, because it is of the measurement before."""
    return _period(arrival), isinstance(arrival.event, RiskMeasured)


def _period(arrival: Arrival) -> str:
    assert isinstance(arrival.event, RiskMeasured | RiskBacktested)
    return arrival.event.period or ""


def _pnl(value: float | None, before: str) -> Figure:
    missing = Status.UNPRICED if before else Status.INSUFFICIENT
    return Figure(value=value) if value is not None else Figure(value=None, status=missing)


def _nav(valuation: Valuation) -> Figure:
    if valuation.nav is None:
        return Figure(value=None, status=Status.UNPRICED)
    return Figure(value=valuation.nav)


def _gross(valuation: Valuation) -> Figure:
    status = Status.DEGRADED if valuation.unpriced else Status.OK
    return Figure(value=float(np.add.reduce(np.abs(valuation.exposures))), status=status)
