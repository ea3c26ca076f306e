"""Many books at once: what they are worth, how much of that the scenarios cover, their historical VaR and ES."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from services.risk.matrix import Line, Scratch, entries, scaled, sizes, with_entries
from services.risk.outlook import Bools, View, Weights
from tailstream.fold.market import Ints
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import Matrix, scenario_pnl_live
from tailstream.quant.var.estimate import LARGEST, Estimate
from tailstream.quant.var.historical import Historical, historical_live


class Exposed(NamedTuple):
    """Books at prices, in their base currency."""

    held: Matrix
    """(books, names), signed, to be multiplied with the weights."""
    weights: Weights
    nav: Floats
    gross: Floats
    coverage: Floats
    """(books,) share of the exposure to anything but money of the base; of what is priced."""
    priced: Bools
    """(books,) whether all that is held has a price."""
    blank: Bools
    """(books,) whether something is held of which nothing is covered."""
    largest: float
    """No book's exposures, without their signs, add up to more."""


class Headline(NamedTuple):
    """The figures of one book."""

    nav: float
    gross: float
    coverage: float
    priced: bool
    n_obs: int
    """In so many scenarios."""
    estimate: Estimate


class Headlines(NamedTuple):
    """The figures of many books."""

    exposed: Exposed
    n_obs: Ints
    var: Floats
    """(books, levels); NaN where refused, as in ``es``."""
    es: Floats
    refused: dict[int, Estimate]
    """Why a book has no VaR."""

    def each(self) -> Iterator[Headline]:
        """Those of one book after the other."""
        of = self.exposed
        columns = (of.nav, of.gross, of.coverage, of.priced, self.n_obs, self.var, self.es)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for book, (nav, gross, coverage, priced, n_obs, var, es) in enumerate(rows):
            estimate = self.refused.get(book) or Estimate("ok", None, {}, tuple(var), tuple(es))
            yield Headline(nav, gross, coverage, priced, n_obs, estimate)


def expose(units: Matrix, view: View, scratch: Scratch) -> Exposed:
    """Books of ``units`` (books, names) at what a unit is worth; an exposure too large to reckon with is unpriced.

    A matrix of exposures is made only where an amount is beyond all reason: without it all else takes a tenth less.
    """
    unpriced = _holding(units, view.unknown)
    with np.errstate(over="ignore", invalid="ignore"):
        if view.of_units is not None:
            exposed = _weighed(units, view.of_units, unpriced, scratch)
            if exposed.largest < LARGEST:
                return exposed
        exposures = scaled(units, view.known_worth)
    unpriced |= _drop_excess(exposures)
    return _weighed(exposures, view.of_money, unpriced, scratch)


def _weighed(held: Matrix, weights: Weights, unpriced: Bools, scratch: Scratch) -> Exposed:
    amounts = sizes(held, scratch.of(*entries(held).shape))
    everything, gross, total, measured, left_out = np.asarray(amounts @ weights.kinds).T
    return Exposed(
        held,
        weights,
        nav=np.asarray(held @ weights.worth),
        gross=gross,
        coverage=1.0 - left_out / np.where(total > 0, total, 1.0),
        priced=~unpriced,
        blank=(measured == 0) & ((total > 0) | unpriced),
        largest=float(everything.max(initial=0.0)),
    )


def _holding(units: Matrix, columns: Ints) -> Bools:
    """(books,) whether a book holds any of these."""
    if not columns.size:
        return np.zeros(units.shape[0], dtype=bool)
    holds: Bools = sizes(units[:, columns]).sum(axis=1) > 0
    return holds


def _drop_excess(exposures: Matrix) -> Bools:
    """Set to 0 what is too large; the books it was in."""
    excess = ~(np.abs(entries(exposures)) < LARGEST)
    entries(exposures)[excess] = 0.0
    concerned: Bools = with_entries(exposures, excess.astype(np.float64)).sum(axis=1) > 0
    return concerned


def left_out(line: Line, view: View) -> tuple[str, ...]:
    """What a book holds that has no price or is not covered, sorted."""
    with np.errstate(over="ignore"):
        amounts = np.abs(line.values * view.known_worth[line.columns])
    unpriced = np.isnan(view.worth[line.columns]) | ~(amounts < LARGEST)
    uncovered = (amounts > 0) & (view.of_money.kinds[line.columns, -1] > 0)
    return tuple(sorted(view.names[column] for column in line.columns[unpriced | uncovered]))


def historical(units: Matrix, view: View, method: Historical, levels: Sequence[float], scratch: Scratch) -> Headlines:
    """The figures of each book, in the scenarios in which all that it holds has a return; a blank one has none."""
    exposed = expose(units, view, scratch)
    count = len(exposed.nav)
    var, es = np.full((2, count, len(levels)), np.nan)
    found = Headlines(exposed, np.zeros(count, dtype=np.int64), var, es, {})
    sound = exposed.largest * view.outcomes.largest < LARGEST
    for books, pnl in _profits(exposed, view.outcomes.gappy, scratch):
        found.n_obs[books] = pnl.shape[1]
        if sound and pnl.shape[1] >= method.minimum_observations:
            var[books], es[books] = historical_live(pnl, levels)
        else:
            _one_by_one(found, books, pnl, method, levels)
    return found


def _one_by_one(found: Headlines, books: Ints, pnl: Floats, method: Historical, levels: Sequence[float]) -> None:
    """Enter what the method says of each row of P&L, of which some may be no amounts of money."""
    for book, of_book in zip(books.tolist(), pnl, strict=True):
        estimate = method.estimate(of_book, levels)
        if estimate.status == "ok":
            found.var[book], found.es[book] = estimate.var, estimate.es
        else:
            found.refused[book] = estimate


def _profits(exposed: Exposed, gappy: Ints, scratch: Scratch) -> Iterator[tuple[Ints, Floats]]:
    """The books in groups that share their scenarios, with their P&L (books, scenarios) in those."""
    gaps = _gaps(exposed, gappy)
    gains = exposed.weights.gains
    with np.errstate(over="ignore", invalid="ignore"):
        pnl = scenario_pnl_live(exposed.held, gains, scratch.of(len(gaps), gains.shape[1]))
    if not gaps.any():
        yield np.arange(len(pnl)), pnl
        return
    kinds, kind_of = np.unique(np.packbits(gaps, axis=1), axis=0, return_inverse=True)
    for kind in range(len(kinds)):
        books = np.flatnonzero(kind_of == kind)
        yield books, pnl[np.ix_(books, ~gaps[books[0]])]


def _gaps(exposed: Exposed, gappy: Ints) -> Bools:
    """(books, scenarios) where something that the book holds has no return; everywhere in a blank book."""
    gaps = np.zeros((len(exposed.blank), exposed.weights.gains.shape[1]), dtype=bool)
    if gappy.size:
        gaps |= sizes(exposed.held[:, gappy]) @ exposed.weights.missing > 0
    gaps[exposed.blank] = True
    return gaps
