"""The tables of history: the topic each one keeps, where in the event its columns are, what makes records equal."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from contracts.topics import ALERTS, BACKTESTS, HOLDINGS, METRICS, RISK, STATES, VALUATIONS, Topic

SCHEMA = "history"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table of history. Beside its columns it has ``log_offset``, and ``event``: the event's own bytes."""

    topic: Topic
    name: str
    key: tuple[str, ...]
    """The primary key: records with the same key are the same record."""
    columns: Mapping[str, str]
    """Where in the event each column is found; the types are the database's."""
    newest_wins: bool = False
    """Of records with one key the last on the log stays; else the first."""


def _columns(same: str, /, **elsewhere: str) -> Mapping[str, str]:
    """Columns that are called as in the event, and those that are found elsewhere in it."""
    return MappingProxyType({name: name for name in same.split()} | elsewhere)


def _figures(*names: str) -> dict[str, str]:
    return {name: f"{name}.value" for name in names}


CLOSE = "portfolio_id period revision as_of event_id currency coverage"

TABLES: tuple[Table, ...] = (
    Table(
        METRICS,
        "analytics_metrics",
        ("portfolio_id", "analyzer", "period", "revision", "as_of"),
        _columns(f"{CLOSE} analyzer n_obs"),
    ),
    Table(
        VALUATIONS,
        "portfolio_valuations",
        ("portfolio_id", "period", "revision", "as_of"),
        _columns(f"{CLOSE} holdings_version", **_figures("nav", "pnl", "flow", "period_return", "gross", "net")),
    ),
    Table(
        RISK,
        "risk_metrics",
        ("portfolio_id", "period", "revision", "as_of"),
        _columns(f"{CLOSE} n_obs", **_figures("nav", "gross")),
    ),
    Table(
        BACKTESTS,
        "risk_backtests",
        ("portfolio_id", "period", "revision", "as_of"),
        _columns(f"{CLOSE} forecast_period", **_figures("actual_pnl", "hypothetical_pnl")),
    ),
    Table(
        STATES,
        "limit_states",
        ("portfolio_id", "limit_id", "basis", "as_of"),
        _columns(
            "portfolio_id limit_id basis as_of event_id period metric version effective value status utilisation"
            " level live_level evaluations"
        ),
        newest_wins=True,
    ),
    Table(
        ALERTS,
        "risk_events",
        ("event_id", "as_of"),
        _columns(
            "event_id as_of alert_id portfolio_id limit_id severity state basis period value threshold utilisation"
            " raised_at",
            event_type="type",
        ),
    ),
    Table(
        HOLDINGS,
        "holdings",
        ("portfolio_id", "version", "effective_at"),
        _columns("portfolio_id version effective_at external_flow"),
    ),
)
"""In the order in which a batch is written, the same for every replica."""

BY_TOPIC: Mapping[str, Table] = MappingProxyType({table.topic.name: table for table in TABLES})
