"""Risk goes on where another replica left it: the same bytes, and no model is fitted for that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from typing import Any

import pytest

from contracts.event import Measured
from contracts.risk import RiskBacktested
from services.risk.engine import Engine
from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Fit, FittedMethod, MarketMethod, Method, Simulation
from tailstream.runtime.plugins import VARIANTS, methods
from tailstream.sources.history import load_history
from tests.engines import log
from tests.engines.log import Log, Replica
from tests.engines.scripted_methods import Fitted, of_ids, worst

pytestmark = pytest.mark.filterwarnings("error")

WARM_UP, CLOSES, KILLED = 510, 420, 400
"""Closes before there are books, closes with books, and that of these before which a replica dies."""
STOCKS = ("AAPL", "GE", "JPM", "XOM")
QUOTED = (*STOCKS, "fx:EURUSD")
MINIMUM = 50
WINDOWS = {"window": 60, "fit_window": 505, "history": 540, "refit_every": 20, "horizons": (10,)}
PAST = {"backtest_window": 250, "stressed_window": 55, "stressed_every": 30}
Calls = list[tuple[str, bool]]
"""Every fit by the method's id, and whether it had parameters to begin from."""


@dataclass(frozen=True)
class CountingFitted:
    """A fitted method that notes each fit."""

    method: FittedMethod
    calls: Calls = field(repr=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        self.calls.append((self.method.id, start is not None))
        return self.method.fit(pnl, start)

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        return self.method.estimate_with(fit, pnl, levels)


@dataclass(frozen=True)
class CountingMarket:
    """A method for the whole market that notes each simulation that needs a fit."""

    method: MarketMethod
    calls: Calls = field(repr=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        if fitted is None:
            self.calls.append((self.method.id, False))
        return self.method.simulate(returns, seed, fitted)

    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Sequence[float]) -> Estimate:
        return self.method.estimate_simulated(simulation, pnl, levels)


def counting(method: Method, calls: Calls) -> Method:
    """The method, noting its fits."""
    if isinstance(method, FittedMethod):
        return CountingFitted(method, calls)  # type: ignore[return-value]  # the rest is the method's own
    if isinstance(method, MarketMethod):
        return CountingMarket(method, calls)  # type: ignore[return-value]
    return method


def counted(calls: Calls) -> Callable[..., Engine]:
    """Makes engines with every method that is installed, whose fits are noted in ``calls``."""
    all_methods = {name: counting(method, calls) for name, method in methods(MINIMUM).items()}
    return partial(log.risk, minimum=MINIMUM, measured_by=all_methods, **WINDOWS, **PAST)


@cache
def story() -> Log:
    """Real prices of 1999 to 2002, three books that trade, one of them short, one of them abroad, and a desk."""
    history = load_history()
    first = history.first_on_or_after(date(1999, 1, 4))
    of = Log()
    of.instruments(*QUOTED)
    of.portfolio("x")
    of.portfolio("a", parent="x")
    of.portfolio("b", base="EUR", parent="x")
    of.portfolio("c")
    for day in range(WARM_UP + CLOSES):
        if day >= WARM_UP and day % 35 == WARM_UP % 35:
            trade(of, day - WARM_UP)
        prices = history.prices(first + day)
        of.close_at({name: prices[name] for name in QUOTED})
    return of


def trade(of: Log, day: int) -> None:
    """Books as of so many days, with money that came in."""
    of.hold("a", {"AAPL": 100.0 + day, "GE": 50.0}, flow=10.0, USD=1_000.0 + day)
    of.hold("b", {"JPM": 40.0, "XOM": 10.0 + day}, EUR=500.0, USD=70.0)
    of.hold("c", {"GE": 80.0, "XOM": -20.0 - day / 10}, flow=-5.0, USD=10_000.0 - day)


class Told:
    """What an undisturbed replica published, and its fits, close by close."""

    def __init__(self) -> None:
        self.closes: list[list[Measured]] = []
        self.fits: list[Calls] = []
        calls: Calls = []
        replica = Replica(counted(calls)()).adopt().read(story().arrivals)
        replica.measure(closes=WARM_UP)
        for _ in range(CLOSES):
            replica.measure(closes=1)
            self.closes.append(list(replica.events))
            self.fits.append(list(calls))
            replica.events.clear()
            calls.clear()

    def before(self, close: int) -> list[Measured]:
        """All that was published before a close."""
        return [event for of_close in self.closes[:close] for event in of_close]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


def killed(told: Told, at: int, make: Callable[..., Engine], *, sparing: bool = False) -> Replica:
    """A replica that takes over from one that was killed before close ``at``; ``sparing``: it reads what it needs."""
    before = Replica(make())
    before.events = told.before(at)
    start = log.first_close(make, before) if sparing else 0
    return log.restored(make, story(), before, start=start)


def test_every_method_has_figures_and_some_weights_moved(told: Told) -> None:
    """Otherwise the tests below would show little."""
    last = told.closes[-1]
    risk = {e.portfolio_id: e for e in last if not isinstance(e, RiskBacktested)}
    assert set(risk) == {"a", "b", "c", "x"}
    assert {m.status for e in risk.values() for m in e.methods.values()} == {"ok"}  # type: ignore[attr-defined]
    (backtested,) = (e for e in last if isinstance(e, RiskBacktested) and e.portfolio_id == "a")
    assert len(set(backtested.weights.values())) > 1
    assert set(risk["a"].methods) == {*methods(MINIMUM), "average"}  # type: ignore[attr-defined]
    assert not VARIANTS & set(risk["a"].methods)  # type: ignore[attr-defined]


def test_killed_at_close_400_weights_hits_and_figures_are_the_undisturbed_ones_and_nothing_is_fitted_for_it(
    told: Told,
) -> None:
    calls: Calls = []
    replica = killed(told, KILLED, counted(calls))
    assert calls == []
    for close in range(KILLED, CLOSES):
        assert_next_close(replica, calls, told, close)


@pytest.mark.parametrize("at", [1, 30, 60, 251, 315, 316, 390, 401, 419])
def test_killed_at_any_close_the_next_ones_are_the_undisturbed_ones(told: Told, at: int) -> None:
    calls: Calls = []
    replica = killed(told, at, counted(calls))
    for close in range(at, min(at + 3, CLOSES)):
        assert_next_close(replica, calls, told, close)


def test_a_replica_that_reads_no_more_closes_than_it_needs_goes_on_the_same(told: Told) -> None:
    calls: Calls = []
    make = counted(calls)
    replica = killed(told, KILLED, make, sparing=True)
    assert replica.engine.world.market.begins_within_history
    for close in range(KILLED, KILLED + 5):
        assert_next_close(replica, calls, told, close)


def test_killed_again_and_again_it_still_goes_on_the_same(told: Told) -> None:
    for close in range(KILLED, KILLED + 3):
        calls: Calls = []
        assert_next_close(killed(told, close, counted(calls)), calls, told, close)


@pytest.mark.parametrize("closes_away", range(4, 9))
def test_a_portfolio_that_comes_back_after_long_is_the_same_to_whoever_read_what_it_told_before(
    monkeypatch: pytest.MonkeyPatch, closes_away: int
) -> None:
    """Its fits, weights and worst stretch are forgotten with the closes that backtests look at: here the last five."""
    monkeypatch.setattr("services.risk.pasts.SLACK_CLOSES", 2)
    of, came_back = away(closes_away)
    scripted = of_ids(Fitted("scripted", worst)) | log.methods()
    make = partial(log.risk, measured_by=scripted, refit_every=50, stressed_every=50, window=6)
    whole = log.measured(make(), of)
    before = Replica(make()).adopt().read(of.arrivals).measure(closes=came_back)
    after = log.restored(make, of, before, start=0).measure()
    assert log.by_shard(before.events + after.events) == log.by_shard(whole.events)
    fitted_at = {event.fits["scripted"].period for event in log.backtested(after, "a")}
    assert (fitted_at == {log.period(came_back)}) == (closes_away >= 5)


def away(closes: int) -> tuple[Log, int]:
    """A book that is closed after a while and comes back so many closes later, and the close at which it does."""
    of = Log()
    of.instruments("A", "B")
    of.book("a", {"A": 1.0})
    of.book("d", {"B": 1.0})
    opened = 8
    for day in range(opened + closes + 3):
        if day == opened:
            of.tombstone("a")
        if day == opened + closes:
            of.portfolio("a")
        of.close(A=100.0 + 3 * ((day * 37) % 11), B=50.0 + 2 * ((day * 17) % 7))
    return of, opened + closes


def test_three_replicas_that_take_over_a_shard_each_go_on_the_same(told: Told) -> None:
    published: dict[int, Any] = {}
    for shard in range(log.PARTITIONS):
        before = Replica(counted([])(), [shard])
        before.events = [e for e in told.before(KILLED) if log.partition_of(e.portfolio_id) == shard]
        after = log.restored(counted([]), story(), before, start=0).measure(closes=1)
        published |= log.by_shard(after.events)
    assert published == log.by_shard(told.closes[KILLED])


def assert_next_close(replica: Replica, calls: Calls, told: Told, close: int) -> None:
    """The next close has the bytes of the undisturbed one, and needed no other fits."""
    replica.events.clear()
    calls.clear()
    replica.measure(closes=1)
    assert {e.period for e in replica.events} == {log.period(WARM_UP + close)}
    assert log.by_shard(replica.events) == log.by_shard(told.closes[close])
    assert calls == told.fits[close]
