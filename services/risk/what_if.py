"""What the risk of a portfolio would be after some trades: a question about the book of this moment, and its answer."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from contracts.event import Status, event_id
from contracts.risk import WhatIfMeasured, WhatIfRequested
from contracts.topics import REPLIES
from services.risk.profit import Profit
from services.risk.tail import Plain, method_risk
from tailstream.fold.books import Book, book_of, sum_of
from tailstream.fold.valuation import Valuation
from tailstream.fold.world import Moment, World
from tailstream.quant.var import Estimate
from tailstream.quant.var.estimate import LARGEST


class Question(NamedTuple):
    """The book of the portfolio at this moment, and as it would be after the trades."""

    currency: str
    as_of: datetime
    before: Valuation
    after: Valuation


class Unanswerable(NamedTuple):
    """Why there is no answer."""

    currency: str
    as_of: datetime
    status: Status
    reason: str


def pose(world: World, request: WhatIfRequested) -> Question | Unanswerable:
    """Look up what the request is about; trades are paid in the instrument's currency, at the price of now."""
    now = world.now()
    if now is None:
        return Unanswerable("XXX", request.requested_at, Status.INSUFFICIENT, "no close is there yet")
    closed_at = world.market.point(world.opened - 1).as_of
    as_of = max(closed_at, world.board.as_of or closed_at)
    node = world.books.tree(None).nodes.get(request.portfolio_id)
    members = world.members(request.portfolio_id, now) if node else ()
    if node is None or not members:
        reason = f"portfolio_id: expected one that holds something, was {request.portfolio_id}"
        return Unanswerable(node.base_currency if node else "XXX", as_of, Status.UNDEFINED, reason)
    traded = _traded(world, request.trades, node.base_currency, now)
    if isinstance(traded, _Refused):
        return Unanswerable(node.base_currency, as_of, *traded)
    after = sum_of([world.books.total(members), traded])
    return Question(
        node.base_currency,
        as_of,
        world.value(members, node.base_currency, now),
        world.value([(request.portfolio_id, after)], node.base_currency, now),
    )


def answered(
    request: WhatIfRequested,
    question: Question,
    measured: Profit,
    levels: Sequence[float],
    before: Mapping[str, Estimate],
    after: Mapping[str, Estimate],
) -> WhatIfMeasured:
    """The reply, from what methods say ``before`` and ``after`` the trades; ``measured`` is the book after them."""
    told_before = {name: method_risk(e, levels, question.before.nav) for name, e in before.items()}
    told_after = {name: method_risk(e, levels, question.after.nav) for name, e in after.items()}
    return WhatIfMeasured(
        event_id=event_id(REPLIES.name, request.portfolio_id, request.request_id),
        request_id=request.request_id,
        portfolio_id=request.portfolio_id,
        as_of=question.as_of,
        currency=question.currency,
        status=Status.OK,
        nav=question.after.nav,
        coverage=measured.coverage,
        uncovered=measured.uncovered,
        before=told_before,
        after=told_after,
        difference={name: _difference(told_before[name], told_after[name]) for name in told_after},
    )


def unanswered(request: WhatIfRequested, why: Unanswerable) -> WhatIfMeasured:
    """The reply that there are no figures, and why."""
    return WhatIfMeasured(
        event_id=event_id(REPLIES.name, request.portfolio_id, request.request_id),
        request_id=request.request_id,
        portfolio_id=request.portfolio_id,
        as_of=why.as_of,
        currency=why.currency,
        status=why.status,
        reason=why.reason,
    )


class _Refused(NamedTuple):
    status: Status
    reason: str


def _traded(world: World, trades: Mapping[str, float], base: str, now: Moment) -> Book | _Refused:
    """The trades as a book: what is bought, and the money that it costs; or why one of them has no cost."""
    cash: dict[str, float] = {}
    for name, quantity in trades.items():
        cost = _cost(world, name, quantity, base, now)
        if isinstance(cost, _Refused):
            return cost
        currency, amount = cost
        cash[currency] = cash.get(currency, 0.0) - amount
    return book_of(dict(trades), cash)


def _cost(world: World, name: str, quantity: float, base: str, now: Moment) -> tuple[str, float] | _Refused:
    """The currency and the amount of money that so much of an instrument costs."""
    instrument = world.market.instrument(name)
    if instrument is None:
        return _Refused(Status.UNPRICED, f"trades.{name}: expected an instrument that is defined, was {name}")
    if instrument.kind == "fx":
        return _Refused(Status.UNDEFINED, f"trades.{name}: expected an instrument that is held, was an exchange rate")
    price, _ = now.prices.of(name)
    if price is None:
        return _Refused(Status.UNPRICED, f"trades.{name}: expected an instrument with a price, was one without")
    rate, _ = now.prices.fx(base, instrument.currency)
    if rate is None:
        reason = f"trades.{name}: expected a currency with a rate to {base}, was {instrument.currency}"
        return _Refused(Status.UNPRICED, reason)
    cost = quantity * price * instrument.multiplier
    if not abs(cost * rate) < LARGEST:
        return _Refused(Status.UNDEFINED, f"trades.{name}: expected less than {LARGEST:g} {base}, was {cost * rate:g}")
    return instrument.currency, cost


def _difference(before: Plain, after: Plain) -> dict[str, Plain]:
    """After minus before, by level."""
    return {
        level: {name: _less(figure, before["levels"][level][name]) for name, figure in tail.items()}
        for level, tail in after["levels"].items()
    }


def _less(minuend: float | None, subtrahend: float | None) -> float | None:
    """The difference; none where either is none, or where it overflows."""
    if minuend is None or subtrahend is None:
        return None
    difference = minuend - subtrahend
    return difference if math.isfinite(difference) else None
