"""What takes long and is done in turns: fitting models, and looking for the stretch of the past that is the worst."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from zlib import crc32

import numpy as np

from contracts.event import Status
from services.risk.methods import Methods
from services.risk.past import Past
from services.risk.profit import Exposed, Field
from services.risk.terms import Terms
from services.risk.yardstick import Book, Era
from tailstream.fold.market import Ints, Market
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.stress import whole_rows, worst_window
from tailstream.quant.var import Fit
from tailstream.quant.var.answers import fitted
from tailstream.quant.var.estimate import LARGEST


class Search(NamedTuple):
    """What is due for one portfolio at one close, with all it needs."""

    fits: Mapping[str, Callable[[], Fit]]
    era: Callable[[], Era | None] | None

    def run(self) -> "Found":
        """Do it."""
        fits = {method: fit() for method, fit in self.fits.items()}
        return Found(fits, self.era is not None, self.era() if self.era else None)


class Found(NamedTuple):
    """New fits; and the stretch of the past that is the worst, if it was ``searched`` for."""

    fits: Mapping[str, Fit]
    searched: bool
    era: Era | None


def run_all(searches: Mapping[str, Search]) -> dict[str, Found]:
    """What each portfolio's search came to."""
    return {name: search.run() for name, search in searches.items()}


def due(
    portfolio_id: str, book: Book, past: Past, *, market: Market, row: int, methods: Methods, terms: Terms
) -> Search:
    """What is due for the portfolio at the close of ``row``: arrays are made here, work is left to be done."""
    offset = market.point(row).offset
    fits = _fits(book, past, methods, is_due(portfolio_id, offset, terms.refit_every))
    searched = past.stressed_at is not None and not is_due(portfolio_id, offset, terms.stressed_every)
    return Search(fits, None if searched else _era(book, market, row, terms.stressed_window))


def is_due(portfolio_id: str, offset: int, every: int) -> bool:
    """Portfolios take turns by a hash of their names, counted in offsets of closes: all replicas agree."""
    return (offset + crc32(portfolio_id.encode())) % every == 0


def _fits(book: Book, past: Past, methods: Methods, turn: bool) -> dict[str, Callable[[], Fit]]:
    """The fits whose turn it is, from the parameters of the last one; and those that have not come off yet."""
    wanted: dict[str, Callable[[], Fit]] = {}
    for name, method in methods.fitted.items():
        known = past.fit(name)
        came_off = known is not None and known.status == Status.OK
        if turn or not came_off:
            start = known.parameters if known is not None and came_off else None
            wanted[name] = partial(fitted, partial(method.fit, book.fitted_to(method).pnl, start))
    return wanted


def _era(book: Book, market: Market, row: int, length: int) -> Callable[[], Era | None] | None:
    """The search for the worst stretch; None where the history is shorter than one."""
    history = market.history(row, book.currency)
    if len(history.periods) < length or not history.rows:
        return None
    field = Field.of(history, length)
    return partial(_worst, book.exposed, book.exposed.placed(field.rows), field, history.periods, length)


def _worst(exposed: Exposed, placed: Ints, field: Field, periods: Sequence[str], length: int) -> Era | None:
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
