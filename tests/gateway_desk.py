"""The gateway without sockets for tests: an engine, its sessions, and clients that keep what they are sent."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal

from contracts.gateway import (
    Connect,
    ServerMessage,
    Subscribe,
    SubscribeAnalytics,
    SubscribeLimits,
    SubscribeRisk,
    SubscribeRiskAlerts,
    read_server_message,
)
from services.gateway.auth import make_token, read_token
from services.gateway.decode import decode
from services.gateway.engine import Engine
from services.gateway.session import Session, Terms
from tailstream.client.frames import read_frame
from tailstream.client.ledger import Ledger
from tailstream.client.updates import Item, Subscription
from tailstream.runtime.records import Record, Rejected
from tests.gateway_log import PARTITIONS

SECRET = "a secret of the tests, long enough for HS256"
NOW = 1_200_000_000.0
TERMS = Terms(server_id="gateway-test")


def token(
    portfolios: Iterable[str] | Literal["*"] = "*", *, subject: str = "ann", ttl: int = 3600, now: float = NOW
) -> str:
    """A token of a viewer."""
    return make_token(SECRET, subject, ["viewer"], portfolios if portfolios == "*" else list(portfolios), ttl, now)


class Desk:
    """One replica."""

    def __init__(self, *, ring_updates_max: int = 1_000, terms: Terms = TERMS) -> None:
        self.engine = Engine(ring_updates_max)
        self.terms = terms
        self.sessions: dict[str, Session] = {}
        self.rejected: list[Rejected] = []

    def read(self, *records: Record) -> None:
        """Read a batch of records, and wake who watches."""
        found = [decode(record, PARTITIONS) for record in records]
        self.rejected += [each for each in found if isinstance(each, Rejected)]
        for subscription in self.engine.fold([each for each in found if not isinstance(each, Rejected)]):
            self.sessions[subscription.session_id].wake(subscription)

    def session(self, now: float = NOW) -> Session:
        """A connection that has said nothing yet."""
        name = f"session-{len(self.sessions)}"
        session = Session(name, self.engine, self.terms, partial(read_token, SECRET), PARTITIONS, now)
        self.sessions[name] = session
        return session

    def connected(self, with_token: str | None = None, now: float = NOW) -> Session:
        """A connection whose token was taken."""
        session = self.session(now)
        say(session, Connect(token=with_token or token(now=now)), now=now)
        assert [message.type for message in taken(session, now)] == ["connected"]
        return session


class Watcher:
    """A client that keeps what it is sent, on one connection after another."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.items: list[Item] = []
        self._session: Session | None = None
        self._now = NOW

    def join(self, desk: Desk) -> None:
        """Connect to a replica, losing the connection before, and ask for everything again."""
        if self._session is not None:
            self._session.end()
        self._session = desk.connected(now=self._now)
        for asked in list(self.ledger.reconnected()):
            say(self._session, asked, now=self._now)

    def subscribe(self, asked: Subscribe) -> Subscription:
        """Subscribe, now and after every reconnect."""
        subscription = self.ledger.add(asked)
        assert self._session is not None
        say(self._session, asked, now=self._now)
        return subscription

    def take(self, seconds: float = 1.0) -> list[ServerMessage]:
        """Read what the gateway writes once so much time has passed."""
        assert self._session is not None
        self._now += seconds
        frames = self._session.take(self._now).frames
        for frame in frames:
            self.items += self.ledger.receive(read_frame(frame))
        return [read_server_message(frame) for frame in frames]


def say(session: Session, message: Any, now: float = NOW) -> None:
    """Hand a message over: a model, plain text, or nonsense."""
    session.receive(message if isinstance(message, str) else message.model_dump_json(exclude_none=True), now)


def taken(session: Session, now: float = NOW) -> list[ServerMessage]:
    """What the session would write, read by the contract; batches are taken apart."""
    messages = [read_server_message(frame) for frame in session.take(now).frames]
    return [each for message in messages for each in (message.items if message.type == "batch" else (message,))]


def analytics(portfolio_id: str = "A", **fields: Any) -> SubscribeAnalytics:
    """Ask for analytics."""
    return SubscribeAnalytics(id=fields.pop("id", f"analytics {portfolio_id}"), portfolio_id=portfolio_id, **fields)


def risk(portfolio_id: str = "A", **fields: Any) -> SubscribeRisk:
    """Ask for risk."""
    return SubscribeRisk(id=fields.pop("id", f"risk {portfolio_id}"), portfolio_id=portfolio_id, **fields)


def limits(portfolio_id: str = "A", **fields: Any) -> SubscribeLimits:
    """Ask for limits."""
    return SubscribeLimits(id=fields.pop("id", f"limits {portfolio_id}"), portfolio_id=portfolio_id, **fields)


def alerts(portfolio_id: str = "*", **fields: Any) -> SubscribeRiskAlerts:
    """Ask for alerts."""
    return SubscribeRiskAlerts(id=fields.pop("id", f"alerts {portfolio_id}"), portfolio_id=portfolio_id, **fields)


def state_of(subscription: Subscription) -> Mapping[str, Any]:
    """What the client knows: the data of each group."""
    return {group: update.data for group, update in subscription.state.items()}
