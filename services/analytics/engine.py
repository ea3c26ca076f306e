"""Analytics: from closes and holdings to NAV, returns and the analyzers' figures. Pure: the log in, events out."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Arrival, Basis, Event, Figure, Inputs, Status, event_id
from contracts.portfolio import PortfolioDefined
from contracts.topics import ANALYTICS_LIVE, METRICS, VALUATIONS
from services.analytics.analyzers import Analyzer, Window
from services.analytics.performance import History
from tailstream.fold.gain import Gain, gain
from tailstream.fold.work import Steps
from tailstream.fold.world import Moment, World
from tailstream.quant import arrays

LIVE_ANALYZER = "basic"


class Engine:
    """Measures the owned shards' portfolios at each close, and their headline between closes."""

    def __init__(
        self,
        world: World,
        analyzers: Mapping[str, Analyzer],
        *,
        window_returns: int,
        periods_per_year: float,
    ) -> None:
        self.world = world
        self._analyzers = analyzers
        self._versions = {name: analyzer.version for name, analyzer in analyzers.items()}
        self._window_returns = window_returns
        self._periods_per_year = periods_per_year
        self._histories: dict[str, History] = defaultdict(lambda: History(window_returns))
        self._live_state: object = None

    # -- the shard's own past ------------------------------------------------------------------------------------

    def enough(self, published: Sequence[Arrival]) -> bool:
        """Whether these valuations hold one more close than the window has returns."""
        return len({_valued(a).period for a in published}) > self._window_returns + 1

    def restore(self, partition: int, published: Sequence[Arrival]) -> str | None:
        """Take the shard's valuations, oldest first; return the last period."""
        self.release(partition)
        last = None
        for event in map(_valued, published):
            self._histories[event.portfolio_id].add(event.as_of, event.period_return)
            last = max(last or "", event.period or "")
        return last

    def release(self, partition: int) -> None:
        """Forget the shard's histories."""
        for name in [n for n in self._histories if self.world.partition_of(n) == partition]:
            del self._histories[name]

    # -- closes --------------------------------------------------------------------------------------------------

    def close(self, partition: int, row: int) -> Steps:
        """The events of one close of one shard, portfolio by portfolio."""
        then = self.world.closed(row - 1) if row > self.world.market.first else None
        now = self.world.closed(row)
        for portfolio in self.world.portfolios(partition, now):
            measured = gain(self.world, portfolio, then, now)
            if measured is not None:
                yield self._close_of(portfolio, measured, row)

    def _close_of(self, portfolio: PortfolioDefined, measured: Gain, row: int) -> list[Event]:
        point = self.world.market.point(row)
        period_return = _return_of(measured)
        history = self._histories[portfolio.portfolio_id]
        history.add(point.as_of, period_return)
        window = self._window(measured, period_return, history)
        members = self.world.members(portfolio.portfolio_id, self.world.closed(row))
        book = self.world.books.total(members)
        about = {
            "portfolio_id": portfolio.portfolio_id,
            "period": point.period,
            "revision": 0,
            "as_of": point.as_of,
            "basis": Basis.CLOSE,
            "currency": portfolio.base_currency,
            "coverage": _coverage(measured),
            "inputs": Inputs(
                close_offset=point.offset,
                cut=point.cut,
                book=book.content_hash,
                market=self.world.market.prices_hash(row),
                models=self._versions,
            ),
        }
        version = book.version if members == ((portfolio.portfolio_id, book),) else 0
        valued = self._valued(about, measured, period_return, version, window)
        return [valued, *(self._analyzed(about, name, window) for name in self._analyzers)]

    def _valued(
        self, about: Mapping[str, object], measured: Gain, period_return: Figure, version: int, window: Window
    ) -> PortfolioValued:
        valuation = measured.valuation
        status = Status.OK if valuation.nav is not None else Status.DEGRADED
        return PortfolioValued(
            event_id=event_id(VALUATIONS.name, *_identity(about, "valuation")),
            nav=_figure(valuation.nav, Status.UNPRICED),
            pnl=_figure(measured.pnl, Status.INSUFFICIENT if measured.first else Status.UNPRICED),
            flow=_figure(measured.flow, Status.UNPRICED),
            period_return=period_return,
            gross=Figure(value=float(np.add.reduce(np.abs(window.exposures))), status=status),
            net=Figure(value=float(np.add.reduce(window.exposures)), status=status),
            holdings_version=version,
            unpriced=valuation.unpriced,
            stale=valuation.stale,
            **about,
        )

    def _analyzed(self, about: Mapping[str, object], name: str, window: Window) -> AnalyticsComputed:
        topic = METRICS if about["basis"] is Basis.CLOSE else ANALYTICS_LIVE
        computed = {
            "event_id": event_id(topic.name, *_identity(about, name)),
            "analyzer": name,
            "n_obs": window.returns.size,
            **about,
        }
        try:
            figures = {
                key: {"value": figure.value, "status": figure.status}  # validated with the event, not one by one
                for key, figure in self._analyzers[name](window).items()
            }
            return AnalyticsComputed(figures=figures, **computed)
        except Exception as error:  # one failing analyzer is its own degraded status; the others are published
            reason = f"{type(error).__name__}: {error}"
            return AnalyticsComputed(figures={}, status=Status.DEGRADED, reason=reason, **computed)

    def _window(self, measured: Gain, period_return: Figure, history: History) -> Window:
        valuation = measured.valuation
        return Window(
            returns=history.returns(),
            calendar_days=history.calendar_days(),
            periods_per_year=self._periods_per_year,
            nav=valuation.nav,
            pnl=measured.pnl,
            flow=measured.flow or 0.0,
            period_return=arrays.Figure(period_return.value, period_return.status),
            exposures=valuation.exposures,
            coverage=0.0 if valuation.unpriced else 1.0,
        )

    # -- between closes ------------------------------------------------------------------------------------------

    def live(self) -> Steps:
        """The headline of every owned portfolio, once for each state of the board."""
        now, as_of = self.world.now(), self.world.board.as_of
        if now is None or as_of is None or self.world.changes == self._live_state:
            return
        self._live_state = self.world.changes
        for partition in self.world.owned:
            row = self.world.row_of(partition)
            if row is None or self.world.market.point(row).as_of > as_of:
                continue
            then = self.world.closed(row)
            for portfolio in self.world.portfolios(partition, now):
                if events := self._live_of(portfolio, then, now, as_of):
                    yield events

    def _live_of(self, portfolio: PortfolioDefined, then: Moment, now: Moment, as_of: datetime) -> list[Event]:
        measured = gain(self.world, portfolio, then, now)
        if measured is None:
            return []
        period_return = _return_of(measured)
        history = History(1)
        history.add(as_of, period_return)
        about = {
            "portfolio_id": portfolio.portfolio_id,
            "period": None,
            "revision": 0,
            "as_of": as_of,
            "basis": Basis.LIVE,
            "currency": portfolio.base_currency,
            "coverage": _coverage(measured),
            "inputs": None,
        }
        return [self._analyzed(about, LIVE_ANALYZER, self._window(measured, period_return, history))]


def _valued(arrival: Arrival) -> PortfolioValued:
    assert isinstance(arrival.event, PortfolioValued)
    return arrival.event


def _identity(about: Mapping[str, object], what: str) -> tuple[str | int | None, ...]:
    when = about["period"] or str(about["as_of"])
    return str(about["portfolio_id"]), what, str(when), 0


def _coverage(measured: Gain) -> float | None:
    """All of the gross exposure, or unknown: what has no price has no known exposure either."""
    return None if measured.valuation.unpriced else 1.0


def _return_of(measured: Gain) -> Figure:
    if measured.first:
        return Figure(value=None, status=Status.INSUFFICIENT)
    if measured.pnl is None:
        return Figure(value=None, status=Status.UNPRICED)
    if measured.before is None:
        return Figure(value=None, status=Status.UNDEFINED)
    if measured.before <= 0:
        return Figure(value=None, status=Status.RUINED)
    period_return = measured.pnl / measured.before
    return _figure(period_return if math.isfinite(period_return) else None, Status.UNDEFINED)


def _figure(value: float | None, otherwise: Status) -> Figure:
    return Figure(value=value) if value is not None else Figure(value=None, status=otherwise)
