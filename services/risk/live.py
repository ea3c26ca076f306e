"""The live headline of all books at once: one product of exposures with scenarios, one selection."""

from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from contracts.event import Basis, Event, Status, event_id
from contracts.risk import RiskMeasured
from contracts.topics import RISK_LIVE
from services.risk.headline import Headline, historical, left_out
from services.risk.matrix import Scratch
from services.risk.outlook import Outlook, View
from services.risk.positions import Block, Holding, Positions
from services.risk.tail import method_risk, shortfall_of
from tailstream.fold.world import Moment, World
from tailstream.quant.scenarios import Matrix
from tailstream.quant.var.historical import Historical

METHOD = Historical.id
EVENTS_AT_ONCE = 100
"""A step of a refresh: so many events are made before anything else may have its turn."""

BOOKS_AT_ONCE = 500
"""So many rows are reckoned with together; 1,000 showed no sure gain, in steps that take twice as long."""


class LiveBooks:
    """The owned books, measured when prices, closes or instruments change, and singly when holdings do.

    A change of holdings touches the rows of its portfolio and of those above it, and no other figures. BLAS orders its
    sums by the shape of the block, so live figures may differ in their last bits from a close's.
    """

    def __init__(
        self,
        world: World,
        *,
        levels: Sequence[float],
        scenario_window: int,
        scenarios_min: int,
        min_coverage: float,
    ) -> None:
        self._world = world
        self._levels = levels
        self._window = scenario_window, scenarios_min
        self._min_coverage = min_coverage
        self._method = Historical(scenarios_min)
        self._scratch = Scratch()
        self._structure: tuple[object, ...] | None = None
        self._positions = Positions((), world.books.tree(None))
        self._outlooks: dict[str, Outlook] = {}
        self._holding_changes = 0
        self._moment: tuple[int, int] | None = None

    def refresh(self) -> Generator[Sequence[Event], Any, None]:
        """The events of the owned portfolios whose figures may have changed since the last time."""
        now, as_of = self._world.now(), self._world.board.as_of
        row = self._world.opened - 1
        if now is None or as_of is None or self._world.market.point(row).as_of > as_of:
            return
        touched = self._touched(now, row)
        names = tuple(self._positions.columns)
        for block in self._positions.blocks:
            if rows := touched.get(block, ()):
                view = self._outlooks[block.base].view(names, row, self._moment, now.prices)
                yield from self._measure(block, rows, view, as_of)

    # -- what changed --------------------------------------------------------------------------------------------

    def _touched(self, now: Moment, row: int) -> dict[Block, Sequence[int]]:
        """Take in what changed; of each block the rows to be measured, ascending."""
        structure = (self._world.owned, self._world.books.definition_changes)
        moment = (self._world.market_changes, row)
        anew = structure != self._structure
        if anew:
            self._collect(now)
        touched = self._replaced()
        if anew or moment != self._moment:
            touched = {block: range(len(block.holdings)) for block in self._positions.blocks}
        self._structure, self._moment = structure, moment
        return touched

    def _collect(self, now: Moment) -> None:
        world = self._world
        portfolios = [of_shard for shard in world.owned for of_shard in world.portfolios(shard, now)]
        self._positions = Positions(portfolios, world.books.tree(None))
        self._positions.read(world.books)
        self._holding_changes = world.books.holding_changes
        self._outlooks = {
            block.base: Outlook(block.base, world.market, *self._window) for block in self._positions.blocks
        }

    def _replaced(self) -> dict[Block, Sequence[int]]:
        books = self._world.books
        touched: dict[Block, set[int]] = {}
        for name in books.changed_since(self._holding_changes):
            for block, row in self._positions.replace(name, books.held(name)):
                touched.setdefault(block, set()).add(row)
        self._holding_changes = books.holding_changes
        return {block: sorted(rows) for block, rows in touched.items()}

    # -- what that comes to --------------------------------------------------------------------------------------

    def _measure(self, block: Block, rows: Sequence[int], view: View, as_of: datetime) -> Iterator[Sequence[Event]]:
        width = len(view.names)
        units = block.units(width) if len(rows) == len(block.holdings) else block.units_of(rows, width)
        for first in range(0, len(rows), BOOKS_AT_ONCE):
            some = slice(first, first + BOOKS_AT_ONCE)
            yield from self._measured([block.holdings[row] for row in rows[some]], units[some], view, as_of)

    def _measured(
        self, holdings: Sequence[Holding], units: Matrix, view: View, as_of: datetime
    ) -> Iterator[Sequence[Event]]:
        headlines = historical(units, view, self._method, self._levels, self._scratch)
        books = zip(holdings, headlines.each(), strict=True)
        events = (self._event(view, as_of, held, headline) for held, headline in books if held.holders)
        while piece := list(islice(events, EVENTS_AT_ONCE)):
            yield piece

    def _event(self, view: View, as_of: datetime, held: Holding, headline: Headline) -> RiskMeasured:
        nav = headline.nav if headline.priced else None
        covered = headline.coverage if headline.priced else None
        shortfall = shortfall_of(covered, self._min_coverage)
        portfolio = held.portfolio
        return RiskMeasured(
            event_id=event_id(RISK_LIVE.name, portfolio.portfolio_id, METHOD, str(as_of), 0),
            portfolio_id=portfolio.portfolio_id,
            period=None,
            as_of=as_of,
            basis=Basis.LIVE,
            currency=portfolio.base_currency,
            coverage=covered,
            inputs=None,
            nav={"value": nav, "status": Status.UNPRICED if nav is None else Status.OK},
            gross={"value": headline.gross, "status": Status.OK if headline.priced else Status.DEGRADED},
            n_obs=headline.n_obs,
            uncovered=left_out(held.line, view) if covered != 1.0 else (),
            methods={METHOD: method_risk(headline.estimate, self._levels, nav, shortfall)},
        )
