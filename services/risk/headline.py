"""Many books at once: what they are worth, how much of that the scenarios cover, their historical VaR and ES."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from services.risk.matrix import Line, entries, scaled, sizes, with_entries
from services.risk.outlook import Bools, Outcomes, View
from tailstream.fold.market import Ints
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import Matrix, scenario_pnl_live
from tailstream.quant.var.estimate import LARGEST, Estimate
from tailstream.quant.var.historical import Historical, historical_live


class Exposed(NamedTuple):
    """Books at prices, in their base currency."""

    exposures: Matrix
    """(books, names), signed; 0 of what is unpriced."""
    nav: Floats
    gross: Floats
    coverage: Floats
    """(books,) share of the exposure to anything but money of the base; of what is priced."""
    priced: Bools
    """(books,) whether all that is held has a price."""
    blank: Bools
    """(books,) whether something is held of which nothing is covered."""


class Headline(NamedTuple):
    """The historical figures of one book."""

    n_obs: int
    """In so many scenarios."""
    estimate: Estimate


def expose(units: Matrix, view: View) -> Exposed:
    """Books of ``units`` (books, names) at what a unit is worth; an exposure too large to reckon with is unpriced."""
    with np.errstate(over="ignore"):
        exposures = scaled(units, view.known_worth)
    amounts = sizes(exposures)
    unpriced = _holding(units, view.unknown)
    if not entries(amounts).max(initial=0.0) < LARGEST:
        unpriced |= _drop_excess(exposures, amounts)
    gross, total, measured, left_out = np.asarray(amounts @ view.kinds).T
    return Exposed(
        exposures,
        nav=exposures.sum(axis=1),
        gross=gross,
        coverage=1.0 - left_out / np.where(total > 0, total, 1.0),
        priced=~unpriced,
        blank=(measured == 0) & ((total > 0) | unpriced),
    )


def _holding(units: Matrix, columns: Ints) -> Bools:
    """(books,) whether a book holds any of these."""
    if not columns.size:
        return np.zeros(units.shape[0], dtype=bool)
    holds: Bools = sizes(units[:, columns]).sum(axis=1) > 0
    return holds


def _drop_excess(exposures: Matrix, amounts: Matrix) -> Bools:
    """Set to 0, in both, what is too large; the books it was in."""
    excess = ~(entries(amounts) < LARGEST)
    entries(exposures)[excess] = 0.0
    entries(amounts)[excess] = 0.0
    concerned: Bools = with_entries(amounts, excess.astype(np.float64)).sum(axis=1) > 0
    return concerned


def left_out(line: Line, view: View) -> tuple[str, ...]:
    """What a book holds that has no price or is not covered, sorted."""
    with np.errstate(over="ignore"):
        amounts = np.abs(line.values * view.known_worth[line.columns])
    unpriced = np.isnan(view.worth[line.columns]) | ~(amounts < LARGEST)
    uncovered = (amounts > 0) & (view.kinds[line.columns, -1] > 0)
    return tuple(sorted(view.names[column] for column in line.columns[unpriced | uncovered]))


def historical(exposed: Exposed, outcomes: Outcomes, method: Historical, levels: Sequence[float]) -> list[Headline]:
    """The figures of each book, in the scenarios in which all that it holds has a return; a blank one has none."""
    found: dict[int, Headline] = {}
    for books, pnl in _profits(exposed, outcomes):
        headlines = [Headline(pnl.shape[1], estimate) for estimate in _estimates(pnl, method, levels)]
        found.update(zip(books.tolist(), headlines, strict=True))
    return [found[book] for book in range(len(exposed.nav))]


def _profits(exposed: Exposed, outcomes: Outcomes) -> Iterator[tuple[Ints, Floats]]:
    """The books in groups that share their scenarios, with their P&L (books, scenarios) in those."""
    with np.errstate(over="ignore", invalid="ignore"):
        pnl = scenario_pnl_live(exposed.exposures, outcomes.returns)
    gaps = _gaps(exposed, outcomes)
    if not gaps.any():
        yield np.arange(len(pnl)), pnl
        return
    kinds, kind_of = np.unique(np.packbits(gaps, axis=1), axis=0, return_inverse=True)
    for kind in range(len(kinds)):
        books = np.flatnonzero(kind_of == kind)
        yield books, pnl[np.ix_(books, ~gaps[books[0]])]


def _gaps(exposed: Exposed, outcomes: Outcomes) -> Bools:
    """(books, scenarios) where something that the book holds has no return; everywhere in a blank book."""
    gaps = np.zeros((len(exposed.blank), outcomes.returns.shape[1]), dtype=bool)
    if outcomes.gappy.size:
        gaps |= sizes(exposed.exposures[:, outcomes.gappy]) @ outcomes.missing > 0
    gaps[exposed.blank] = True
    return gaps


def _estimates(pnl: Floats, method: Historical, levels: Sequence[float]) -> list[Estimate]:
    """VaR and ES of each row of P&L (books, scenarios), or why there are none; the rows are reordered."""
    if pnl.shape[1] < method.minimum_observations or not _within(pnl, LARGEST):
        return [method.estimate(row, levels) for row in pnl]
    var, es = ((figure + 0.0).tolist() for figure in historical_live(pnl, levels))  # minus zero becomes zero
    return [Estimate("ok", None, {}, *of_book) for of_book in zip(map(tuple, var), map(tuple, es), strict=True)]


def _within(values: Floats, bound: float) -> bool:
    """Whether all are nearer to 0 than ``bound``; nothing that is not a number is."""
    return bool(-bound < values.min(initial=0.0) and values.max(initial=0.0) < bound)
