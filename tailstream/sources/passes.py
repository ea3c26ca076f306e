"""Which prices are quoted on which day: the warm-up, the days themselves, and as many further passes as are wanted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from tailstream.sources.history import Floats, History, Prices, priced

WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Plan:
    """Which days are replayed, and how."""

    first: date
    last: date
    warm_up_closes: int = 500
    """So many closes before the first day are published ahead of it, prices only."""
    once: bool = False
    """Otherwise the days are repeated, pass after pass, until the calendar ends."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Quoted:
    """A day and its closing prices."""

    day: date
    prices: Prices
    warm_up: bool = False
    synthetic: bool = False
    begins_pass: bool = False
    """True on the first day of every pass but the first."""


def window(history: History, plan: Plan) -> tuple[int, int]:
    """Begin and end (exclusive) of the plan's days in the history.

    Raises
    ------
    ValueError
        When there is none.
    """
    begin, end = history.first_on_or_after(plan.first), history.first_on_or_after(plan.last + timedelta(days=1))
    if begin >= end:
        raise ValueError(
            f"from, to: expected a range with a trading day between {history.dates[0]} and {history.dates[-1]}, "
            f"was {plan.first} to {plan.last}"
        )
    return begin, end


def quoted(history: History, plan: Plan) -> Iterator[Quoted]:
    """All days of the plan in order.

    Raises
    ------
    ValueError
        When the history has no day of it.
    """
    begin, end = window(history, plan)
    for number in range(max(0, begin - plan.warm_up_closes), end):
        yield Quoted(history.dates[number], history.prices(number), warm_up=number < begin)
    if not plan.once:
        yield from _passes(history, begin, end)


def _passes(history: History, begin: int, end: int) -> Iterator[Quoted]:
    """The days again and again, shifted by whole weeks so that a Monday stays one, until the year 9999."""
    shifted = history.dates[begin:end]
    shift = timedelta(days=WEEK_DAYS * ((shifted[-1] - shifted[0]).days // WEEK_DAYS + 1))
    rows = [priced(history.instruments, row) for row in linked(history.closes, begin, end)]
    while shifted[-1] <= date.max - shift:
        shifted = tuple(day + shift for day in shifted)
        for number, (day, prices) in enumerate(zip(shifted, rows, strict=True)):
            yield Quoted(day, prices, synthetic=True, begins_pass=number == 0)


def linked(closes: Floats, begin: int, end: int) -> Floats:
    """The prices of a further pass over the days ``begin`` to ``end``, going on from the last close.

    A pass has the real returns of its days with the trend over the pass taken out (in logs, an equal part each day),
    so that it ends where it began: prices neither run away nor vanish however many passes follow. An instrument
    that had no price yet on a day of the pass has no return on it.

    Returns
    -------
    shape (end - begin, instruments); NaN for an instrument that has no price on the last day either.
    """
    rows = closes[max(0, begin - 1) : end]
    first_priced = np.argmax(~np.isnan(rows), axis=0)
    filled = np.where(np.isnan(rows), rows[first_priced, np.arange(rows.shape[1])], rows)
    count = end - begin
    relative = (filled / filled[0])[-count:]
    elapsed = np.arange(1, count + 1)[:, None] / count
    untrended: Floats = closes[end - 1] * relative * np.exp(-np.log(relative[-1]) * elapsed)
    return untrended
