"""The pasts of the portfolios of owned shards: read back from the shards' own outputs, and how far back they reach."""

from collections.abc import Callable, Sequence
from typing import Any

from contracts.event import Arrival
from contracts.risk import FittedAt
from contracts.topics import BACKTESTS
from services.risk.past import Past
from tailstream.fold.world import World

SLACK_CLOSES = 64
"""Closes beyond the backtest's window that are remembered, because some of them may have told nothing."""

Learn = Callable[[str, dict[str, FittedAt]], None]
"""Takes a base currency, and the fits that an event of a portfolio in it tells."""


class Pasts:
    """A past for every portfolio that was ever measured, or asked about."""

    def __init__(self, world: World, begin: Callable[[int], Past], *, backtest_window: int, learn: Learn) -> None:
        """``begin`` makes a past of nothing, which is to remember so many closes; ``learn`` is told of all fits."""
        self._world = world
        self._begin = begin
        self._closes = backtest_window + SLACK_CLOSES
        self._learn = learn
        self._pasts: dict[str, Past] = {}

    def enough(self, published: Sequence[Arrival]) -> bool:
        """Whether these outputs reach back over all closes that backtests look at, and one before."""
        return len({_period(arrival) for arrival in published}) > self._closes + 1

    def restore(self, partition: int, published: Sequence[Arrival]) -> str | None:
        """Take a shard's measurements and backtests, in any order; return the last period."""
        self.release(partition)
        last = None
        for arrival in sorted(published, key=_in_order):
            event: Any = arrival.event
            past = self.of(event.portfolio_id)
            if arrival.topic == BACKTESTS.name:
                past.backtested(event)
                self._learn(event.currency, event.fits)
            else:
                past.measured(event)
                last = event.period
        return last

    def release(self, partition: int) -> None:
        """Forget a shard's pasts."""
        for name in [name for name in self._pasts if self._world.partition_of(name) == partition]:
            del self._pasts[name]

    def of(self, portfolio_id: str) -> Past:
        """All that is remembered of the portfolio; a past of nothing where that is nothing."""
        if portfolio_id not in self._pasts:
            self._pasts[portfolio_id] = self._begin(self._closes)
        return self._pasts[portfolio_id]

    def at(self, portfolio_id: str, row: int) -> Past:
        """The past that the close of ``row`` looks back on; what is older does not come back.

        It is a past of nothing for a portfolio that told nothing in all that time, because it was closed and comes
        back: whoever takes over the shard does not read back to what it told before.
        """
        oldest = self._oldest(row)
        if self.of(portfolio_id).told_last <= oldest:
            del self._pasts[portfolio_id]
        past = self.of(portfolio_id)
        past.forget_to(oldest)
        return past

    def _oldest(self, row: int) -> str:
        """The period of the last close that backtests at ``row`` do not look at; empty where none is held."""
        first = row - self._closes - 1
        return self._world.market.point(first).period if first >= self._world.market.first else ""


def _in_order(arrival: Arrival) -> tuple[str, bool]:
    """By period; of one close the backtest first, because it is of the measurement before."""
    return _period(arrival), arrival.topic != BACKTESTS.name


def _period(arrival: Arrival) -> str:
    return arrival.event.period  # type: ignore[union-attr, no-any-return]  # whatever it was read as
