"""The gateway's fold: records of the output topics in, last-value tables and the queues of those who watch out.

Pure and synchronous. What is to be written to a socket is fetched from its ``Session``, which hands the time in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from contracts.portfolio import PortfolioDefined
from contracts.system import ServiceStatus
from services.gateway.arrivals import Arrival, ChannelName, Defined, Reported, Update
from services.gateway.channels import ALL, Channel
from services.gateway.positions import position_of
from services.gateway.subscriptions import QUEUED_CHARACTERS_MAX, QUEUED_UPDATES_MAX, Subscription

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Counts:
    """What the gateway has done since it started."""

    frames: int = 0
    conflated: int = 0
    dropped: int = 0
    repeats: int = 0


class Begun(NamedTuple):
    """How a subscription begins: with what was missed, already queued, or with a snapshot of everything."""

    replayed: int | None
    snapshot: Sequence[Update] | None


class Engine:
    """All that this replica knows, and who is watching it."""

    def __init__(self, ring_updates_max: int) -> None:
        self.counts = Counts()
        self._channels = {name: Channel(name, ring_updates_max) for name in ChannelName}
        self._definitions: dict[str, PortfolioDefined] = {}
        self._replicas: dict[str, ServiceStatus] = {}
        self._watchers: dict[tuple[ChannelName, str], dict[Subscription, None]] = {}

    @property
    def definitions(self) -> Mapping[str, PortfolioDefined]:
        """Every open portfolio, by id."""
        return MappingProxyType(self._definitions)

    @property
    def replicas(self) -> Mapping[str, ServiceStatus]:
        """The last word of every replica of every service, by ``service/replica``."""
        return MappingProxyType(self._replicas)

    def fold(self, arrivals: Iterable[Arrival]) -> Iterable[Subscription]:
        """Take in what arrived, in order; return the subscriptions that have something to send because of it."""
        touched: dict[Subscription, None] = {}
        for arrival in arrivals:
            match arrival:
                case Update():
                    touched.update(dict.fromkeys(self._offer(arrival)))
                case Defined(portfolio_id, definition):
                    _put(self._definitions, portfolio_id, definition)
                case Reported(replica, status):
                    _put(self._replicas, replica, status)
        return touched

    def begin(self, subscription: Subscription, recover: str | None) -> Begun:
        """Watch for a subscription from now on, beginning where ``recover`` says if the rings can vouch for it."""
        choice = subscription.choice
        self._watchers.setdefault((choice.channel, choice.portfolio_id), {})[subscription] = None
        missed = self._missed(subscription, recover)
        if missed is not None:
            for update in missed:
                self.counts.conflated += subscription.queue.put(update)
            return Begun(len(subscription.queue), None)
        channel = self._channels[choice.channel]
        subscription.stand_at(channel.position(subscription.partition))
        return Begun(None, [update for update in channel.newest(choice.portfolio_id) if subscription.wants(update)])

    def end(self, subscription: Subscription) -> None:
        """Watch for it no more."""
        where = (subscription.choice.channel, subscription.choice.portfolio_id)
        watchers = self._watchers.get(where, {})
        watchers.pop(subscription, None)
        if not watchers:
            self._watchers.pop(where, None)

    def catch_up(self, subscription: Subscription) -> None:
        """Let a subscription with nothing waiting stand where its channel does."""
        if not len(subscription.queue):
            channel = self._channels[subscription.choice.channel]
            subscription.stand_at(channel.position(subscription.partition))

    def _offer(self, update: Update) -> Iterable[Subscription]:
        if not self._channels[update.channel].fold(update):
            self.counts.repeats += 1
            return
        watchers = self._watchers
        for where in ((update.channel, update.portfolio_id), (update.channel, ALL)):
            for subscription in watchers.get(where, ()):
                if subscription.wants(update):
                    self._put(subscription, update)
                    yield subscription

    def _put(self, subscription: Subscription, update: Update) -> None:
        passed_over = subscription.queue.put(update)
        if subscription.choice.distinct:
            self.counts.dropped += passed_over
        else:
            self.counts.conflated += passed_over

    def _missed(self, subscription: Subscription, recover: str | None) -> list[Update] | None:
        """What the subscription missed; None where that is not known, or is more than its queue may hold."""
        position = None if recover is None else position_of(recover)
        if position is None:
            return None
        channel = self._channels[subscription.choice.channel]
        missed = channel.missed(position, subscription.partition)
        if missed is None:
            return None
        subscription.stand_at(position)
        portfolio_id = subscription.choice.portfolio_id
        wanted = [u for u in missed if portfolio_id in (ALL, u.portfolio_id) and subscription.wants(u)]
        return wanted if not subscription.choice.distinct or _fits(wanted) else None


def _fits(updates: Sequence[Update]) -> bool:
    characters = sum(len(update.payload or "") for update in updates)
    return len(updates) <= QUEUED_UPDATES_MAX and characters <= QUEUED_CHARACTERS_MAX


def _put(table: dict[K, V], key: K, value: V | None) -> None:
    """Keep the newest value; None takes it away."""
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
