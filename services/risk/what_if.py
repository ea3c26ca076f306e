"""What the risk of a portfolio would be after some trades: a question about the book of this moment, and its answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from contracts.event import Status, event_id
from contracts.risk import WhatIfMeasured, WhatIfRequested
from contracts.topics import REPLIES
from services.risk.tail import Plain, method_risk
from tailstream.fold.books import Book, book_of, sum_of
from tailstream.fold.valuation import Valuation
from tailstream.fold.world import Moment, World
from tailstream.quant.var import Estimate


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
    traded = _traded(world, request.trades, now)
    if isinstance(traded, str):
        return Unanswerable(node.base_currency, as_of, Status.UNPRICED, traded)
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
    coverage: float | None,
    levels: Sequence[float],
    before: Mapping[str, Estimate],
    after: Mapping[str, Estimate],
) -> WhatIfMeasured:
    """The reply, from what methods say ``before`` and ``after`` the trades; ``coverage`` is that after them."""
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
        coverage=coverage,
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


def _traded(world: World, trades: Mapping[str, float], now: Moment) -> Book | str:
    """The trades as a book: what is bought, and the money that it costs. In words what has no price."""
    cash: dict[str, float] = {}
    for name, quantity in trades.items():
        instrument = world.market.instrument(name)
        price, _ = now.prices.of(name)
        if instrument is None or price is None or instrument.kind == "fx":
            return f"trades.{name}: expected an instrument that is held by quantity and has a price"
        spent = quantity * price * instrument.multiplier
        cash[instrument.currency] = cash.get(instrument.currency, 0.0) - spent
    return book_of(dict(trades), cash)


def _difference(before: Plain, after: Plain) -> dict[str, Plain]:
    """After minus before, by level."""
    return {
        level: {name: _less(figure, before["levels"][level][name]) for name, figure in tail.items()}
        for level, tail in after["levels"].items()
    }


def _less(minuend: float | None, subtrahend: float | None) -> float | None:
    return None if minuend is None or subtrahend is None else minuend - subtrahend
