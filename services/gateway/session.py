"""One connection's side of the protocol, without its socket: messages and the time in, frames and a close code out."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from pydantic import ValidationError

from contracts.event import Part
from contracts.gateway import (
    CLIENT_TYPES,
    MESSAGE_BYTES_MAX,
    RETRYABLE,
    Ack,
    ClientMessage,
    CloseCode,
    Connect,
    Connected,
    ConnectionLimits,
    Draining,
    Error,
    ErrorCode,
    MessageId,
    Ping,
    Pong,
    Refresh,
    Subscribe,
    SubscribeAnalytics,
    SubscribeLimits,
    SubscribeRisk,
    SubscribeRiskAlerts,
    SubscriptionConfirmed,
    SubscriptionRevoked,
    TokenExpiring,
    Unsubscribe,
    UnsubscribeAnalytics,
    UnsubscribeLimits,
    UnsubscribeRisk,
    UnsubscribeRiskAlerts,
    read_client_message,
)
from services.gateway import encode
from services.gateway.arrivals import ChannelName
from services.gateway.auth import Claims, Refused
from services.gateway.channels import ALL
from services.gateway.engine import Engine
from services.gateway.subscriptions import Subscription, choice_of
from tailstream.runtime.records import partition_of

Authenticate = Callable[[str, float], Claims | Refused]

_UNSUBSCRIBED_BY = {
    ChannelName.ANALYTICS: UnsubscribeAnalytics,
    ChannelName.RISK: UnsubscribeRisk,
    ChannelName.LIMITS: UnsubscribeLimits,
    ChannelName.ALERTS: UnsubscribeRiskAlerts,
}
_SHOWN_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What a connection may do and how it is kept alive."""

    server_id: str
    ping_seconds: float = 25.0
    pong_timeout_seconds: float = 10.0
    connect_timeout_seconds: float = 10.0
    token_warning_seconds: float = 60.0
    subscriptions_max: int = 1_000
    messages_per_second: float = 50.0
    messages_at_once_max: int = 1_000
    """A client that shows many portfolios subscribes to all of them at once."""
    refusals_max: int = 100
    """So many messages in a row that came too fast end the connection."""
    reconnect_jitter_ms: int = 1_000


class Close(NamedTuple):
    """Why and with which code the server closes."""

    code: CloseCode
    reason: str


class Flush(NamedTuple):
    """What is to be written now; ``oldest_ms`` is the record timestamp of the oldest update in it."""

    frames: list[str]
    oldest_ms: int | None


class Session:
    """One connection, from its first message to its close.

    The caller hands every message to ``receive``, writes what ``take`` returns, calls ``take`` again when something was
    received or folded and no later than ``due``, and closes the socket once ``closing`` is set and all is written.
    """

    def __init__(
        self, session_id: str, engine: Engine, terms: Terms, authenticate: Authenticate, partitions: int, now: float
    ) -> None:
        """``partitions`` is how many a portfolio topic has; ``now`` is in Unix seconds, as everywhere."""
        self.session_id = session_id
        self.claims: Claims | None = None
        self.closing: Close | None = None
        self._engine = engine
        self._terms = terms
        self._authenticate = authenticate
        self._partitions = partitions
        self._subscriptions: dict[str, Subscription] = {}
        self._fresh: dict[Subscription, None] = {}
        self._waiting: dict[Subscription, float] = {}
        self._answers: list[str] = []
        self._numbered = 0
        self._budget = Budget(terms.messages_per_second, terms.messages_at_once_max, now)
        self._refusals = 0
        self._connect_by = now + terms.connect_timeout_seconds
        self._ping_at = math.inf
        self._pong_by = math.inf
        self._warn_at = math.inf
        self._flush_at = math.inf

    @property
    def answers_waiting(self) -> int:
        """Answers not taken yet; a caller stops reading while they are many."""
        return len(self._answers)

    @property
    def updates_waiting(self) -> int:
        """Updates not taken yet."""
        return sum(len(subscription.queue) for subscription in (*self._fresh, *self._waiting))

    def authorise(self, token: str, now: float) -> None:
        """Take the bearer token of the upgrade request, so that ``connect`` needs none."""
        found = self._authenticate(token, now)
        if isinstance(found, Refused):
            self.close(CloseCode.TOKEN, found.reason)
        else:
            self.claims = found

    def receive(self, text: str, now: float) -> None:
        """Take a message in; the answer is among what ``take`` returns next."""
        if self.closing:
            return
        self._pong_by = math.inf
        if not self._budget.spend(now):
            self._refuse_rate(now, _id_in(text))
            return
        self._refusals = 0
        try:
            message = read_client_message(text)
        except ValidationError as error:
            self._error(ErrorCode.BAD_REQUEST, explain(error), _id_in(text))
        else:
            self._handle(message, now)

    def refuse_binary(self) -> None:
        """A binary message came."""
        self._error(ErrorCode.BAD_REQUEST, "message: expected text, was binary", None)

    def refuse_size(self, size_bytes: int) -> None:
        """A message came that is too long."""
        self.close(CloseCode.TOO_BIG, f"message: expected at most {MESSAGE_BYTES_MAX} bytes, was {size_bytes}")

    def wake(self, subscription: Subscription) -> bool:
        """The subscription has something to send; False where it waits for its time anyway."""
        if subscription in self._waiting:
            return False
        self._fresh[subscription] = None
        return True

    def take(self, now: float) -> Flush:
        """What is to be written now, in order: answers, then updates."""
        self._keep_time(now)
        answers, self._answers = self._answers, []
        if self.closing:
            return Flush(answers, None)
        items, oldest_ms = self._updates(now)
        self._engine.counts.frames += len(items)
        return Flush(answers + encode.batches(items), oldest_ms)

    def due(self) -> float:
        """When ``take`` is to be called again, even if nothing comes until then (Unix seconds)."""
        expires_at = self.claims.expires_at if self.claims else math.inf
        flush_at = -math.inf if self._fresh else self._flush_at
        return min(self._connect_by, self._ping_at, self._pong_by, self._warn_at, flush_at, expires_at)

    def drain(self, reconnect_after_ms: int) -> None:
        """This replica stops: tell the client when to come back, elsewhere."""
        self._say(Draining(reconnect_after_ms=reconnect_after_ms))
        self.close(CloseCode.DRAINING, "this replica is stopping")

    def close(self, code: CloseCode, reason: str) -> None:
        """Close once what is waiting was written; the first reason stands."""
        self.closing = self.closing or Close(code, reason)
        self.end()

    def end(self) -> None:
        """Watch for nothing any more."""
        for subscription in self._subscriptions.values():
            self._engine.end(subscription)
        self._subscriptions.clear()
        self._fresh.clear()
        self._waiting.clear()

    def _updates(self, now: float) -> tuple[list[str], int | None]:
        taken = self._due(now)
        if not taken:
            return [], None
        sent_at = encode.instant(now)
        frames: list[str] = []
        stamps: list[int] = []
        for subscription in taken:
            queued = subscription.queue.take(now)
            if subscription.seq:  # what comes first may be a replay, as old as the client's absence
                stamps += (update.timestamp_ms for update, _ in queued)
            frames += encode.frames(subscription, queued, sent_at)
        return frames, min(stamps, default=None)

    def _due(self, now: float) -> list[Subscription]:
        """The subscriptions whose time it is; the others wait for theirs."""
        asking, self._fresh = [*self._fresh], {}
        if now >= self._flush_at:
            asking, self._waiting, self._flush_at = [*self._waiting, *asking], {}, math.inf
        due: list[Subscription] = []
        for subscription in asking:
            at = subscription.queue.due(now)
            if at <= now:
                due.append(subscription)
            else:
                self._waiting[subscription] = at
                self._flush_at = min(self._flush_at, at)
        return due

    def _handle(self, message: ClientMessage, now: float) -> None:
        match message:
            case Connect():
                self._connect(message, now)
            case _ if not math.isinf(self._connect_by):
                self.close(CloseCode.TOKEN, f"type: expected connect first, was {message.type}")
            case Refresh():
                self._refresh(message, now)
            case SubscribeAnalytics() | SubscribeRisk() | SubscribeLimits() | SubscribeRiskAlerts():
                self._subscribe(message)
            case UnsubscribeAnalytics() | UnsubscribeRisk() | UnsubscribeLimits() | UnsubscribeRiskAlerts():
                self._unsubscribe(message)
            case Pong():
                pass  # any message shows that the client is there

    def _connect(self, message: Connect, now: float) -> None:
        if math.isinf(self._connect_by):
            self._error(ErrorCode.BAD_REQUEST, "type: expected connect once, was the second", None)
            return
        if message.token is not None:
            self.authorise(message.token, now)
        if self.claims is None or self.closing:
            self.close(CloseCode.TOKEN, "token: expected one, was none")
            return
        self._connect_by = math.inf
        self._ping_at = now + self._terms.ping_seconds
        self._admit(self.claims, now)
        self._say(self._connected(self.claims, now))

    def _admit(self, claims: Claims, now: float) -> None:
        self.claims = claims
        self._warn_at = claims.expires_at - min(self._terms.token_warning_seconds, (claims.expires_at - now) / 2)

    def _connected(self, claims: Claims, now: float) -> Connected:
        terms = self._terms
        return Connected(
            session_id=self.session_id,
            server_id=terms.server_id,
            ping_s=terms.ping_seconds,
            pong_timeout_s=terms.pong_timeout_seconds,
            token_ttl_s=int(claims.expires_at - now),
            limits=ConnectionLimits(
                max_msg_bytes=MESSAGE_BYTES_MAX,
                max_subs=terms.subscriptions_max,
                cmds_per_s=terms.messages_per_second,
            ),
            reconnect_jitter_ms=terms.reconnect_jitter_ms,
        )

    def _refresh(self, message: Refresh, now: float) -> None:
        found = self._authenticate(message.token, now)
        if isinstance(found, Refused):
            code = ErrorCode.TOKEN_EXPIRED if found.expired else ErrorCode.UNAUTHORISED
            self._error(code, found.reason, message.id)
        elif self.claims is not None and found.subject != self.claims.subject:
            self._error(ErrorCode.FORBIDDEN, "token: expected one of the same subject, was another's", message.id)
        else:
            self._admit(found, now)
            self._say(Ack(id=message.id))
            self._recheck(found)

    def _recheck(self, claims: Claims) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.claims = claims
            portfolio_id = subscription.choice.portfolio_id
            if portfolio_id != ALL and not claims.allows(portfolio_id):
                self._drop(subscription)
                reason = f"portfolio_id: {portfolio_id} is not among the portfolios of the newer token"
                self._say(SubscriptionRevoked(sub_id=subscription.sub_id, reason=reason))

    def _subscribe(self, message: Subscribe) -> None:
        assert self.claims is not None
        choice = choice_of(message)
        refusal = self._refusal(message)
        if refusal:
            self._error(*refusal, message.id)
            return
        partition = None if choice.portfolio_id == ALL else partition_of(choice.portfolio_id, self._partitions)
        self._numbered += 1
        subscription = Subscription(self.session_id, f"s{self._numbered}", choice, self.claims, partition)
        self._subscriptions[subscription.sub_id] = subscription
        self._confirm(message, subscription)

    def _refusal(self, message: Subscribe) -> tuple[ErrorCode, str] | None:
        portfolio_id = message.portfolio_id
        if portfolio_id != ALL and self.claims is not None and not self.claims.allows(portfolio_id):
            return ErrorCode.FORBIDDEN, f"portfolio_id: {portfolio_id} is not among the portfolios of the token"
        if portfolio_id != ALL and portfolio_id not in self._engine.definitions:
            return ErrorCode.UNKNOWN_PORTFOLIO, f"portfolio_id: expected a defined portfolio, was {portfolio_id}"
        choice = choice_of(message)
        if any(subscription.choice == choice for subscription in self._subscriptions.values()):
            return ErrorCode.ALREADY_SUBSCRIBED, f"{message.type}: {portfolio_id} is subscribed to in just this way"
        if len(self._subscriptions) >= self._terms.subscriptions_max:
            return ErrorCode.LIMIT, f"subscriptions: expected at most {self._terms.subscriptions_max}"
        return None

    def _confirm(self, message: Subscribe, subscription: Subscription) -> None:
        begun = self._engine.begin(subscription, message.recover.position if message.recover else None)
        metrics = subscription.choice.metrics
        confirmed = SubscriptionConfirmed(
            id=message.id,
            sub_id=subscription.sub_id,
            portfolio_id=message.portfolio_id,
            metrics=None if metrics is None else tuple(sorted(metrics)),
            seq=subscription.seq,
            position=subscription.position,
            recovered=begun.snapshot is None,
            replayed=begun.replayed,
        )
        entries = None if begun.snapshot is None else encode.snapshot(begun.snapshot, metrics)
        self._answers.append(encode.confirmation(confirmed, entries))
        if len(subscription.queue):
            self.wake(subscription)

    def _unsubscribe(self, message: Unsubscribe) -> None:
        subscription = self._subscriptions.get(message.sub_id)
        if subscription is None or not isinstance(message, _UNSUBSCRIBED_BY[subscription.choice.channel]):
            reason = f"sub_id: expected a subscription that {message.type} ends, was {message.sub_id}"
            self._error(ErrorCode.BAD_REQUEST, reason, message.id)
        else:
            self._drop(subscription)
            self._say(Ack(id=message.id))

    def _drop(self, subscription: Subscription) -> None:
        self._engine.end(subscription)
        del self._subscriptions[subscription.sub_id]
        self._fresh.pop(subscription, None)
        self._waiting.pop(subscription, None)

    def _keep_time(self, now: float) -> None:
        """Do what the time asks for: end, warn, ping."""
        if now >= self._connect_by:
            self.close(CloseCode.CONNECT_TIMEOUT, f"no connect within {self._terms.connect_timeout_seconds:g} s")
        elif self.claims is not None and now >= self.claims.expires_at:
            self.close(CloseCode.TOKEN_EXPIRED, "the token is expired")
        elif now >= self._pong_by:
            self.close(CloseCode.NO_PONG, f"no pong within {self._terms.pong_timeout_seconds:g} s")
        if self.closing:
            return
        if self.claims is not None and now >= self._warn_at:
            self._warn_at = math.inf
            self._say(TokenExpiring(expires_in_s=max(0, int(self.claims.expires_at - now))))
        if now >= self._ping_at:
            self._ping(now)

    def _ping(self, now: float) -> None:
        self._ping_at = now + self._terms.ping_seconds
        self._pong_by = min(self._pong_by, now + self._terms.pong_timeout_seconds)
        for subscription in self._subscriptions.values():
            self._engine.catch_up(subscription)
        self._say(Ping(positions={sub_id: s.position for sub_id, s in self._subscriptions.items()}))

    def _refuse_rate(self, now: float, message_id: MessageId | None) -> None:
        self._refusals += 1
        if self._refusals > self._terms.refusals_max:
            self.close(CloseCode.RATE, f"more than {self._terms.messages_per_second:g} messages per second")
            return
        reason = f"messages: expected at most {self._terms.messages_per_second:g} per second"
        self._error(ErrorCode.RATE, reason, message_id, retry_after_ms=self._budget.wait_ms(now))

    def _error(
        self, code: ErrorCode, reason: str, message_id: MessageId | None, retry_after_ms: int | None = None
    ) -> None:
        retryable = code in RETRYABLE
        self._say(Error(id=message_id, code=code, message=reason, retryable=retryable, retry_after_ms=retry_after_ms))

    def _say(self, message: Part) -> None:
        self._answers.append(encode.message(message))


class Budget:
    """A token bucket: ``rate`` messages a second, and ``at_once_max`` after a quiet time."""

    def __init__(self, rate: float, at_once_max: float, now: float) -> None:
        self._rate = rate
        self._at_once_max = at_once_max
        self._left = at_once_max
        self._then = now

    def spend(self, now: float) -> bool:
        """Take one message out of the budget, if there is one left."""
        self._left = min(self._at_once_max, self._left + max(0.0, now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def wait_ms(self, now: float) -> int:
        """How long until there is one again."""
        return int(max(0.0, 1 - self._left) / self._rate * 1000) + 1


def explain(error: ValidationError) -> str:
    """Every field that is wrong, what was expected and what came."""
    return "; ".join(
        _sentence(detail["type"], detail["loc"], detail["msg"], detail["input"]) for detail in error.errors()
    )


def _sentence(kind: str, where: Iterable[object], expected: str, came: object) -> str:
    if kind == "union_tag_invalid" and isinstance(came, dict):
        return f"type: expected one of {', '.join(CLIENT_TYPES)}, was {_shown(came.get('type'))}"
    if kind == "union_tag_not_found":
        return "type: expected one, was missing"
    path = ".".join(str(part) for part in where if part not in CLIENT_TYPES)
    return f"{path or 'message'}: {expected}, was {_shown(came)}"


def _shown(came: object) -> str:
    shown = repr(came)
    return shown if len(shown) <= _SHOWN_CHARACTERS_MAX else f"{shown[:_SHOWN_CHARACTERS_MAX]}…"


def _id_in(text: str) -> MessageId | None:
    """The id of a message that is otherwise wrong, if it has one that can be repeated."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    name = found.get("id") if isinstance(found, dict) else None
    if isinstance(name, str):
        return name if 0 < len(name) <= 64 else None
    return name if type(name) is int else None
