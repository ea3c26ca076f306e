"""The gateway's wire protocol ``tailstream.v1.json``: every message that crosses the WebSocket ``/ws/v1``.

A client opens with ``connect``, subscribes, and gets ``subscription_confirmed`` with a snapshot, then every change past
it. ``seq`` counts the frames of a subscription on one connection without gaps; ``position`` is opaque, and handed back
in ``recover`` it resumes where the client was, at any replica.

An update carries the whole newest value of one ``group`` (an analyzer and its basis, a limit, an alert): a client that
keeps the newest ``data`` of each group, and drops a group whose ``data`` is null, has the state of the log.
"""

from enum import IntEnum
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, Field, TypeAdapter

from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Basis, Part, PortfolioId
from contracts.limits import LimitState
from contracts.risk import RiskMeasured

SUBPROTOCOL = "tailstream.v1.json"
MESSAGE_BYTES_MAX = 64 * 1024
"""The longest message a client may send."""

MessageId = Annotated[str, Field(min_length=1, max_length=64)] | int
"""Chosen by the client; the answer repeats it."""
SubscriptionId = Annotated[str, Field(min_length=1, max_length=64)]
FigureName = Annotated[str, Field(min_length=1, max_length=128)]
FigureNames = Annotated[tuple[FigureName, ...], Field(min_length=1, max_length=256)]
AlertType = Literal["limit_warning", "limit_breach", "data_stale", "engine_error"]
Severity = Literal["info", "warning", "critical"]


class CloseCode(IntEnum):
    """Why the server closed. 40xx: do not reconnect; 41xx: back off with full jitter; 42xx and 43xx: resume."""

    TOKEN = 4001
    FORBIDDEN = 4003
    VERSION = 4005
    CONNECT_TIMEOUT = 4008
    TOO_BIG = 4009
    CAPACITY = 4100
    RATE = 4107
    DRAINING = 4200
    NO_PONG = 4201
    TOKEN_EXPIRED = 4202
    SLOW = 4308


class ErrorCode(IntEnum):
    """What was wrong with a message; the socket stays open."""

    INTERNAL = 1000
    UNAUTHORISED = 1001
    FORBIDDEN = 1002
    UNKNOWN_PORTFOLIO = 1003
    BAD_REQUEST = 1004
    ALREADY_SUBSCRIBED = 1005
    LIMIT = 1006
    RATE = 1007
    TOKEN_EXPIRED = 1008
    POSITION_LOST = 1009
    VERSION_CONFLICT = 1010
    UPSTREAM_UNAVAILABLE = 1011


RETRYABLE = frozenset({ErrorCode.INTERNAL, ErrorCode.RATE, ErrorCode.UPSTREAM_UNAVAILABLE})


# What a client sends


class Client(Part):
    """Who is connecting, for the server's logs."""

    name: Annotated[str, Field(max_length=128)]
    version: Annotated[str, Field(max_length=64)]


class Recover(Part):
    """Where a client was: the newest position it has seen of this subscription."""

    position: Annotated[str, Field(max_length=16_384)]


class Connect(Part):
    """The first message. ``token`` may be left out where the upgrade request carried it as a bearer."""

    type: Literal["connect"] = "connect"
    token: str | None = None
    client: Client | None = None


class Refresh(Part):
    """A newer token for the same subject; every subscription is checked against it."""

    type: Literal["refresh"] = "refresh"
    id: MessageId | None = None
    token: str


class SubscribeAnalytics(Part):
    """The metrics of every analyzer and the valuation, closing and live. ``metrics`` keeps the figures so named."""

    type: Literal["subscribe_analytics"] = "subscribe_analytics"
    id: MessageId
    portfolio_id: PortfolioId
    metrics: FigureNames | None = None
    mode: Literal["merge", "distinct"] = "merge"
    """``merge``: the newest value of each group; ``distinct``: every single one."""
    max_rate_hz: Annotated[float, Field(gt=0, le=1_000)] | None = None
    recover: Recover | None = None


class SubscribeRisk(Part):
    """VaR and ES, closing and live. ``metrics`` keeps the methods so named."""

    type: Literal["subscribe_risk"] = "subscribe_risk"
    id: MessageId
    portfolio_id: PortfolioId
    metrics: FigureNames | None = None
    mode: Literal["merge", "distinct"] = "merge"
    max_rate_hz: Annotated[float, Field(gt=0, le=1_000)] | None = None
    recover: Recover | None = None


class SubscribeLimits(Part):
    """Where each limit of the portfolio stands."""

    type: Literal["subscribe_limits"] = "subscribe_limits"
    id: MessageId
    portfolio_id: PortfolioId
    max_rate_hz: Annotated[float, Field(gt=0, le=1_000)] | None = None
    recover: Recover | None = None


class SubscribeRiskAlerts(Part):
    """Every step of every alert, never conflated. ``"*"`` is every portfolio that the token allows."""

    type: Literal["subscribe_risk_alerts"] = "subscribe_risk_alerts"
    id: MessageId
    portfolio_id: PortfolioId | Literal["*"]
    alert_types: Annotated[tuple[AlertType | Literal["all"], ...], Field(min_length=1)] = ("all",)
    severity_level: Severity = "info"
    """The least severity that is sent."""
    recover: Recover | None = None


class UnsubscribeAnalytics(Part):
    """No more of this subscription."""

    type: Literal["unsubscribe_analytics"] = "unsubscribe_analytics"
    id: MessageId
    sub_id: SubscriptionId


class UnsubscribeRisk(Part):
    """No more of this subscription."""

    type: Literal["unsubscribe_risk"] = "unsubscribe_risk"
    id: MessageId
    sub_id: SubscriptionId


class UnsubscribeLimits(Part):
    """No more of this subscription."""

    type: Literal["unsubscribe_limits"] = "unsubscribe_limits"
    id: MessageId
    sub_id: SubscriptionId


class UnsubscribeRiskAlerts(Part):
    """No more of this subscription."""

    type: Literal["unsubscribe_risk_alerts"] = "unsubscribe_risk_alerts"
    id: MessageId
    sub_id: SubscriptionId


class Pong(Part):
    """The answer to a ping."""

    type: Literal["pong"] = "pong"


Subscribe = SubscribeAnalytics | SubscribeRisk | SubscribeLimits | SubscribeRiskAlerts
Unsubscribe = UnsubscribeAnalytics | UnsubscribeRisk | UnsubscribeLimits | UnsubscribeRiskAlerts
ClientMessage = Annotated[Connect | Refresh | Subscribe | Unsubscribe | Pong, Field(discriminator="type")]

# What the server sends


class ConnectionLimits(Part):
    """What one connection may do."""

    max_msg_bytes: int
    max_subs: int
    cmds_per_s: float


class Connected(Part):
    """The token is good; subscribe now."""

    type: Literal["connected"] = "connected"
    session_id: str
    server_id: str
    ping_s: float
    pong_timeout_s: float
    token_ttl_s: int
    limits: ConnectionLimits
    reconnect_jitter_ms: int
    """After a lost connection wait a random time up to this before the first try."""


class SnapshotEntry(Part):
    """The newest value of one group."""

    group: str
    basis: Basis
    as_of: AwareDatetime | None
    data: AnalyticsComputed | PortfolioValued | RiskMeasured | LimitState | AlertChanged


class SubscriptionConfirmed(Part):
    """The subscription stands at ``position``; its first update has ``seq`` + 1.

    ``recovered``: everything missed since the position handed in follows as updates (``replayed`` of them). Otherwise
    ``snapshot`` is the whole state, and whatever the client kept of this subscription is to be forgotten.
    """

    type: Literal["subscription_confirmed"] = "subscription_confirmed"
    id: MessageId
    sub_id: SubscriptionId
    portfolio_id: PortfolioId | Literal["*"]
    metrics: tuple[str, ...] | None = None
    seq: int
    position: str
    recovered: bool
    replayed: int | None = None
    snapshot: tuple[SnapshotEntry, ...] | None = None


class Update(Part):
    """What the updates of merged groups have in common."""

    sub_id: SubscriptionId
    seq: int
    position: str
    full: bool
    """True: ``data`` is the group's whole value and replaces what was there."""
    group: str
    basis: Basis
    conflated: bool
    """True where an earlier value of the group was skipped."""
    as_of: AwareDatetime | None
    sent_at: AwareDatetime


class AnalyticsUpdate(Update):
    """A newer value of an analyzer or of the valuation; null: there is none any more."""

    type: Literal["analytics_update"] = "analytics_update"
    data: AnalyticsComputed | PortfolioValued | None


class RiskUpdate(Update):
    """A newer measurement; null: there is none any more."""

    type: Literal["risk_update"] = "risk_update"
    data: RiskMeasured | None


class LimitUpdate(Update):
    """A newer state of a limit; null: the limit is gone."""

    type: Literal["limit_update"] = "limit_update"
    data: LimitState | None


class RiskAlert(Part):
    """A step of an alert; a repeat has the same ``alert.event_id``."""

    type: Literal["risk_alert"] = "risk_alert"
    sub_id: SubscriptionId
    seq: int
    position: str
    sent_at: AwareDatetime
    alert: AlertChanged


class Gap(Part):
    """These frames of the subscription were dropped, because the client did not read them in time."""

    type: Literal["gap"] = "gap"
    sub_id: SubscriptionId
    from_seq: int
    to_seq: int
    reason: str


Pushed = Annotated[AnalyticsUpdate | RiskUpdate | LimitUpdate | RiskAlert | Gap, Field(discriminator="type")]


class Batch(Part):
    """Several updates in one frame, in order."""

    type: Literal["batch"] = "batch"
    items: tuple[Pushed, ...]


class Ack(Part):
    """Done."""

    type: Literal["ack"] = "ack"
    id: MessageId | None = None


class Ping(Part):
    """Answer with ``pong``. ``positions`` are where the subscriptions stand, also those that were silent."""

    type: Literal["ping"] = "ping"
    positions: dict[SubscriptionId, str]


class TokenExpiring(Part):
    """Send ``refresh`` within ``expires_in_s``, or the connection is closed."""

    type: Literal["token_expiring"] = "token_expiring"
    expires_in_s: int


class SubscriptionRevoked(Part):
    """The newer token does not allow this subscription."""

    type: Literal["subscription_revoked"] = "subscription_revoked"
    sub_id: SubscriptionId
    reason: str


class Draining(Part):
    """This replica is about to stop; reconnect after the delay and resume."""

    type: Literal["draining"] = "draining"
    reconnect_after_ms: int


class Error(Part):
    """The message named by ``id`` was refused; nothing else changed."""

    type: Literal["error"] = "error"
    id: MessageId | None = None
    code: ErrorCode
    message: str
    retryable: bool
    retry_after_ms: int | None = None


ServerMessage = Annotated[
    Connected
    | SubscriptionConfirmed
    | AnalyticsUpdate
    | RiskUpdate
    | LimitUpdate
    | RiskAlert
    | Gap
    | Batch
    | Ack
    | Ping
    | TokenExpiring
    | SubscriptionRevoked
    | Draining
    | Error,
    Field(discriminator="type"),
]

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)
CLIENT_TYPES = tuple(model.model_fields["type"].default for model in get_args(get_args(ClientMessage)[0]))
"""Every ``type`` that a client may send."""


def read_client_message(text: str) -> ClientMessage:
    """A client's message as the server reads it: types are strict, unknown fields are ignored.

    Raises
    ------
    pydantic.ValidationError
        Naming every field that is missing or wrong.
    """
    return _CLIENT.validate_json(text, strict=True, extra="ignore")


def read_server_message(text: str | bytes) -> ServerMessage:
    """A server's message as a client reads it: types are strict, unknown fields are ignored.

    Raises
    ------
    pydantic.ValidationError
        Naming every field that is missing or wrong.
    """
    return _SERVER.validate_json(text, strict=True, extra="ignore")
