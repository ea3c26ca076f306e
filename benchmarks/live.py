"""What live risk costs: `python benchmarks/live.py`, and again with `OMP_NUM_THREADS=1`.

1. All books at new prices: NAV, coverage, scenario P&L, historical VaR and ES at four levels, against the bare
   product of exposures and scenarios. 1,000 books that hold all of 500 instruments; 10,000 that hold 40 of 2,000,
   against the bare sparse product.
2. One change of one position, from the event folded to the events of its book, its desk and the firm: percentiles.

CPU time of this thread where BLAS has one, else wall time; product and refresh take turns, of each the fastest counts.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from contracts.event import Arrival, Cut, Event
from contracts.market import InstrumentDefined, PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.topics import CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS, PRICES, Topic
from services.risk.headline import historical
from services.risk.live import BOOKS_AT_ONCE, LiveBooks
from services.risk.matrix import Line, Scratch, scaled, stack
from services.risk.outlook import Outlook, View
from tailstream.fold.world import World
from tailstream.quant.scenarios import Matrix
from tailstream.quant.var import Historical

LEVELS = (0.95, 0.975, 0.99, 0.995)
SCENARIOS, ENOUGH, DESKS, REPEATS, CHANGES = 500, 250, 20, 30, 2_000
FIRST_DAY = datetime(2020, 1, 1, 21, tzinfo=UTC)
BASE = "USD"

clock = time.thread_time if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter


class Size(NamedTuple):
    """How much there is."""

    books: int
    instruments: int
    held: int
    """By each book."""


SIZES = (Size(1_000, 500, 500), Size(1_000, 500, 40), Size(10_000, 2_000, 40))


class Market:
    """A world of closes and books, drawn from a seed, and the log that tells of it."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.draw = np.random.default_rng(3)
        self.world = World(partition_of=lambda _: 0, partitions=1, window_periods=SCENARIOS, stale_after_periods=5)
        self.offsets: dict[str, int] = {}
        self.names = [f"I{number:04d}" for number in range(size.instruments)]
        self.books = [f"book-{number:05d}" for number in range(size.books)]
        self.held = {book: self._drawn_positions() for book in self.books}
        self.versions = dict.fromkeys(self.books, 0)
        self._define()
        self._close_all()

    def put(self, topic: Topic, key: str, event: Event) -> None:
        """Fold the next event of a topic."""
        offset = self.offsets[topic.name] = self.offsets.get(topic.name, -1) + 1
        self.world.fold(Arrival(topic.name, 0, offset, key, event))
        self.world.read_to(topic.name, 0, offset + 1)

    def _drawn_positions(self) -> dict[str, float]:
        chosen = np.sort(self.draw.choice(self.size.instruments, self.size.held, replace=False))
        return dict(zip((self.names[i] for i in chosen), self._quantities(self.size.held), strict=True))

    def _quantities(self, count: int) -> list[float]:
        quantities: list[float] = np.round(1_000.0 * self.draw.normal(size=count), 1).tolist()
        return quantities

    def _define(self) -> None:
        for name in self.names:
            self.put(INSTRUMENTS, name, InstrumentDefined(
                instrument_id=name, version=1, effective_at=FIRST_DAY, kind="equity", currency=BASE
            ))  # fmt: skip
        self._portfolio("firm", None)
        for desk in range(DESKS):
            self._portfolio(f"desk-{desk}", "firm")
        for number, book in enumerate(self.books):
            self._portfolio(book, f"desk-{number % DESKS}")
            self.put(HOLDINGS, book, self.replaced(book))

    def _portfolio(self, name: str, parent: str | None) -> None:
        definition = PortfolioDefined(portfolio_id=name, name=name, base_currency=BASE, parent=parent)
        self.put(DEFINITIONS, name, definition)

    def _close_all(self) -> None:
        paths = 100.0 * np.exp(np.cumsum(0.01 * self.draw.standard_t(4, (SCENARIOS + 1, len(self.names))), axis=0))
        cut = Cut(
            holdings=(self.offsets[HOLDINGS.name] + 1,), definitions=(self.offsets[DEFINITIONS.name] + 1,),
            instruments=self.offsets[INSTRUMENTS.name] + 1, actions=0,
        )  # fmt: skip
        for number, prices in enumerate(paths):
            day = FIRST_DAY + timedelta(days=number)
            close = PeriodClosed(
                source="s", period=day.date().isoformat(), as_of=day,
                prices=dict(zip(self.names, prices.tolist(), strict=True)), cut=cut,
            )  # fmt: skip
            self.put(CLOSES, "s", close)
            self.world.open()
        self.world.adopt(0, close.period)
        self.now = FIRST_DAY + timedelta(days=SCENARIOS)

    def replaced(self, book: str) -> HoldingsReplaced:
        """The next version of what a book holds."""
        self.versions[book] += 1
        return HoldingsReplaced(
            portfolio_id=book, version=self.versions[book], effective_at=FIRST_DAY,
            positions=self.held[book], cash={BASE: 1e6},
        )  # fmt: skip

    def trade(self) -> tuple[str, HoldingsReplaced]:
        """Another quantity of one position of one book."""
        book = self.books[int(self.draw.integers(len(self.books)))]
        name = list(self.held[book])[int(self.draw.integers(self.size.held))]
        self.held[book] = self.held[book] | {name: self._quantities(1)[0]}
        return book, self.replaced(book)

    def tick(self) -> None:
        """A slice of new prices."""
        self.now += timedelta(seconds=1)
        prices = (100.0 + self.draw.normal(size=len(self.names))).tolist()
        told = dict(zip(self.names, prices, strict=True))
        self.put(PRICES, "s", PricesObserved(source="s", as_of=self.now, prices=told))

    def view(self) -> View:
        """What books are measured by, now."""
        now, row = self.world.now(), self.world.opened - 1
        assert now is not None
        outlook = Outlook(BASE, self.world.market, SCENARIOS, ENOUGH)
        return outlook.view(tuple(self.names), row, None, now.prices)

    def units(self) -> Matrix:
        """(books, instruments), dense or sparse as the service has it."""
        column = {name: at for at, name in enumerate(self.names)}
        lines = [
            Line(np.array([column[name] for name in held], dtype=np.int32), np.array(list(held.values())))
            for held in self.held.values()
        ]
        return stack(lines, len(self.names))


def compare(market: Market) -> None:
    """The figures of all books against the bare product."""
    last, units, method, scratch = market.view(), market.units(), Historical(ENOUGH), Scratch()
    exposures = scaled(units, last.known_worth)

    def refresh() -> None:
        view = View.of(last.names, last.worth, last.outcomes, last.of_money)
        for first in range(0, units.shape[0], BOOKS_AT_ONCE):
            historical(units[first : first + BOOKS_AT_ONCE], view, method, LEVELS, scratch)

    product, cost = fastest(lambda: exposures @ last.outcomes.returns, refresh)
    print(
        f"  {'all books at new prices':<34}{cost:8.1f} ms   bare product {product:8.1f} ms   ratio {cost / product:.2f}"
    )


def fastest(bare: Callable[[], object], full: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of each, taking turns."""
    times = [(timed(bare), timed(full)) for _ in range(REPEATS)]
    return min(first for first, _ in times), min(second for _, second in times)


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one run."""
    start = clock()
    work()
    return 1e3 * (clock() - start)


def follow(market: Market) -> None:
    """Whole refreshes with their events, then single trades."""
    live = LiveBooks(market.world, levels=LEVELS, scenario_window=SCENARIOS, scenarios_min=ENOUGH, min_coverage=0.95)
    market.tick()
    measured(live)
    gc.collect()
    gc.freeze()
    print(f"  {'the same, and an event of each':<34}{min(refreshes(market, live)):8.1f} ms")
    trades = np.fromiter(trading(market, live), np.float64, CHANGES)
    percentiles = "   ".join(f"p{at:g} {np.percentile(trades, at):.2f}" for at in (50, 90, 99, 99.9))
    print(f"  {'one change of one position':<34}{percentiles} ms")


def refreshes(market: Market, live: LiveBooks) -> Iterator[float]:
    """Of a slice each."""
    for _ in range(REPEATS // 3):
        market.tick()
        yield timed(lambda: measured(live))


def trading(market: Market, live: LiveBooks) -> Iterator[float]:
    """From the event to those of the three portfolios that it concerns."""
    for _ in range(CHANGES):
        book, event = market.trade()
        start = clock()
        market.put(HOLDINGS, book, event)
        events = measured(live)
        yield 1e3 * (clock() - start)
        assert events == len((book, "its desk", "the firm"))


def measured(live: LiveBooks) -> int:
    """How many portfolios were measured, now that something changed."""
    return sum(len(piece) for piece in live.refresh())


def main() -> None:
    for size in SIZES:
        print(f"{size.books:,} books of {size.held} of {size.instruments:,} instruments, {SCENARIOS} scenarios")
        market = Market(size)
        compare(market)
        follow(market)


if __name__ == "__main__":
    main()
