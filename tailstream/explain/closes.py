"""Which close is not what it was when it was measured: by the hashes that every closing event carries."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from contracts.event import Arrival, Inputs
from contracts.risk import RiskBacktested, RiskMeasured
from tailstream.fold.market import Market


class Quote(NamedTuple):
    """A price as the log has it now, with those of the closes around it; None where there is none."""

    instrument: str
    before: float | None
    price: float | None
    after: float | None


class Altered(NamedTuple):
    """A close whose prices are not what was published of them, and the prices that it has now."""

    period: str
    offset: int
    """On ``market.closes.v1``."""
    told_by: str
    """What says so, in a sentence."""
    quotes: Sequence[Quote]
    """Those first that leap and leap back most; which of them was altered no hash can tell."""


def altered_close(market: Market, row: int, hashes: Mapping[str, str]) -> Altered | None:
    """The first close up to ``row`` whose prices do not have the hash that was published; None where all have it."""
    for earlier in range(market.first, row + 1):
        told = hashes.get(market.point(earlier).period)
        if told is not None and told != market.prices_hash(earlier):
            return _altered(market, earlier, row, "its prices do not have the hash that was published at it")
    return None


def altered_before(market: Market, row: int, later: Sequence[Arrival], window: int, base: str) -> Altered | None:
    """The close before any that was published, by when it left the windows of ``window`` periods.

    ``later`` are risk's measurements from ``row`` on, oldest first, whose closes ``market`` holds: the last one whose
    returns do not have the published hash still looked back on the altered close, and the next one did not. None
    where they all have it, or none has it yet.
    """
    events = [arrival.event for arrival in later if isinstance(arrival.event, RiskMeasured | RiskBacktested)]
    told = {event.period: event.inputs for event in events if event.period and event.inputs}
    rows = [r for r in range(row, market.end) if market.point(r).period in told]
    count = _leading(rows, lambda r: _differs(market, r, base, window, told[market.point(r).period]))
    if not 0 < count < len(rows) or rows[count] != rows[count - 1] + 1:
        return None
    at = rows[count - 1] - window
    if at < market.first:
        return None
    again = market.point(rows[count]).period
    told_by = f"returns over {window} periods have the published hash again from {again} on, which no longer sees it"
    return _altered(market, at, row, told_by)


def _differs(market: Market, row: int, base: str, window: int, told: Inputs) -> bool:
    return market.scenarios(row, base, window).content_hash != told.market


def _leading(rows: Sequence[int], differs: Callable[[int], bool]) -> int:
    """How many of the first ``rows`` differ, by bisection: an altered close leaves the window once."""
    return bisect_left(rows, True, key=lambda row: not differs(row))


def _altered(market: Market, altered: int, newest: int, told_by: str) -> Altered:
    point = market.point(altered)
    around = [r for r in (altered - 1, altered, altered + 1) if market.first <= r <= newest]
    own = {r: set(market.priced_at(r)) for r in around}
    quotes = [Quote(name, *(_price(market, altered + by, name, own) for by in (-1, 0, 1))) for name in own[altered]]
    return Altered(point.period, point.offset, told_by, sorted(quotes, key=_calm))


def _price(market: Market, row: int, name: str, own: Mapping[int, set[str]]) -> float | None:
    return market.prices(row).of(name)[0] if name in own.get(row, ()) else None


def _calm(quote: Quote) -> tuple[float, str]:
    """Small where the price leaps away from both of its neighbours to the same side."""
    if quote.price is None:
        return 0.0, quote.instrument
    leaps = [math.log(quote.price / other) for other in (quote.before, quote.after) if other]
    same_side = bool(leaps) and (min(leaps) > 0 or max(leaps) < 0)
    return (-min(abs(leap) for leap in leaps) if same_side else 0.0), quote.instrument
