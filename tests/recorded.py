"""What the tests of history share: events of every kind that is recorded, and a recorder process."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Basis, Cut, Figure, Inputs, Status, event_id
from contracts.limits import LimitState
from contracts.portfolio import HoldingsReplaced
from contracts.risk import (
    FittedAt,
    LevelBacktest,
    MethodBacktest,
    MethodRisk,
    Outcome,
    RiskBacktested,
    RiskMeasured,
    TailRisk,
)
from contracts.topics import ALERTS, BACKTESTS, METRICS, RISK, STATES, VALUATIONS, Topic
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission, emission
from tailstream.runtime.settings import ServiceSettings

PARTITIONS = 4
FIRST_CLOSE = datetime(2020, 1, 2, 21, tzinfo=UTC)
CUT = Cut(holdings=(3,) * PARTITIONS, definitions=(2,) * PARTITIONS, instruments=25, actions=0)
OK = Figure(value=1.0)
DEADLINE_SECONDS = 40.0


def close_of(day: int, portfolio: str) -> dict[str, Any]:
    as_of = FIRST_CLOSE + timedelta(days=day)
    inputs = Inputs(close_offset=day, cut=CUT, book="b" * 64, market="m" * 64, models={"basic": "1"})
    return {
        "portfolio_id": portfolio,
        "period": as_of.date().isoformat(),
        "as_of": as_of,
        "basis": Basis.CLOSE,
        "currency": "USD",
        "coverage": 1.0,
        "inputs": inputs,
    }


def metrics_of(day: int, portfolio: str, analyzer: str = "basic") -> AnalyticsComputed:
    close = close_of(day, portfolio)
    return AnalyticsComputed(
        event_id=event_id(METRICS.name, portfolio, analyzer, close["period"], 0),
        analyzer=analyzer,
        n_obs=500,
        figures={"nav": Figure(value=0.1 + day), "sharpe": Figure(value=None, status=Status.ZERO_VARIANCE)},
        **close,
    )


def valuation_of(day: int, portfolio: str) -> PortfolioValued:
    close = close_of(day, portfolio)
    undefined = Figure(value=None, status=Status.INSUFFICIENT)
    return PortfolioValued(
        event_id=event_id(VALUATIONS.name, portfolio, close["period"], 0),
        **{"nav": Figure(value=1e6 + 1 / 3), "pnl": OK, "period_return": undefined, "gross": OK, "net": OK},
        flow=OK,
        holdings_version=1,
        **close,
    )


def risk_of(day: int, portfolio: str) -> RiskMeasured:
    close = close_of(day, portfolio)
    levels = {"0.99": TailRisk(var=2.0, es=3.0, var_fraction=0.02, es_fraction=0.03)}
    return RiskMeasured(
        event_id=event_id(RISK.name, portfolio, close["period"], 0),
        nav=OK,
        gross=OK,
        n_obs=500,
        methods={"historical": MethodRisk(status=Status.OK, levels=levels)},
        **close,
    )


def backtest_of(day: int, portfolio: str) -> RiskBacktested:
    close = close_of(day, portfolio)
    outcome = Outcome(
        hit=True,
        exceptions=3,
        kupiec=0.1 + day,
        kupiec_p_value=0.7,
        independence=None,
        independence_p_value=None,
        conditional_coverage=None,
        conditional_coverage_p_value=None,
        z2=-1 / 3,
        tick_loss=0.0004,
        fz0_loss=None,
    )
    tested = LevelBacktest(observations=250, actual=outcome, hypothetical=outcome)
    return RiskBacktested(
        event_id=event_id(BACKTESTS.name, portfolio, close["period"], 0),
        forecast_period=(FIRST_CLOSE + timedelta(days=day - 1)).date().isoformat() if day else None,
        actual_pnl=Figure(value=-1e4 / 3),
        hypothetical_pnl=Figure(value=None, status=Status.UNPRICED),
        methods={"historical": MethodBacktest(levels={"0.99": tested}, traffic_light="green", multiplier=1.5)},
        weights={"historical": 1.0},
        fits={"student_t": FittedAt(period=close["period"], status=Status.OK, parameters={"df": 10 / 3})},
        **close,
    )


def state_of(portfolio: str, utilisation: float, *, as_of: datetime | None = FIRST_CLOSE) -> LimitState:
    return LimitState(
        event_id=event_id(STATES.name, portfolio, "var", str(utilisation)),
        limit_id="var",
        portfolio_id=portfolio,
        metric="var_99",
        version=1,
        base=0.05,
        effective=0.05,
        currency=None,
        basis=Basis.CLOSE,
        period=None if as_of is None else as_of.date().isoformat(),
        as_of=as_of,
        value=utilisation * 0.05,
        status=Status.OK,
        utilisation=utilisation,
        level="ok",
        live_level="ok",
        evaluations=1,
        chain="c" * 64,
    )


def alert_of(portfolio: str, state: str = "raised") -> AlertChanged:
    return AlertChanged.model_validate(
        {
            "event_id": event_id(ALERTS.name, portfolio, state),
            "alert_id": event_id(ALERTS.name, portfolio),
            "portfolio_id": portfolio,
            "limit_id": "var",
            "type": "limit_breach",
            "severity": "critical",
            "state": state,
            "basis": "close",
            "period": "2020-01-02",
            "as_of": FIRST_CLOSE,
            "value": 0.06,
            "threshold": 0.05,
            "utilisation": 1.2,
            "message": "VaR 99 is above its limit",
            "raised_at": FIRST_CLOSE,
        }
    )


def holdings_of(portfolio: str, version: int = 1) -> HoldingsReplaced:
    return HoldingsReplaced(
        portfolio_id=portfolio,
        version=version,
        effective_at=FIRST_CLOSE,
        positions={"JPM": 10.0},
        cash={"USD": 5.0},
    )


def records(topic: Topic, *events: Any) -> list[Emission]:
    return [emission(topic, event, key=event.portfolio_id, portfolio_id=event.portfolio_id) for event in events]


def raw(topic: Topic, portfolio: str, value: bytes | None, *, placed_as: str | None = None) -> Emission:
    return Emission(topic, portfolio, placed_as or portfolio, value)


class Recorder:
    """A recorder process of a test."""

    def __init__(self, settings: ServiceSettings, database: str, logs: Path) -> None:
        self._environment = {
            **os.environ,
            "TAILSTREAM_KAFKA": settings.kafka,
            "TAILSTREAM_TOPIC_PREFIX": settings.topic_prefix,
            "TAILSTREAM_POSTGRES": database,
            "TAILSTREAM_SESSION_TIMEOUT_MS": "6000",
            "TAILSTREAM_HEARTBEAT_INTERVAL_MS": "500",
        }
        self._logs = logs

    @contextmanager
    def running(self, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A replica; killed at the end if it still lives."""
        with self._logs.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.recorder"], env={**self._environment, **environment}, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def logged(self) -> str:
        return self._logs.read_text()


async def publish(settings: ServiceSettings, emissions: Sequence[Emission]) -> None:
    """Put the records onto the bus, in order, and wait until they are safe."""
    outlet = Outlet(settings, "test", partitions=lambda: PARTITIONS)
    await outlet.start()
    try:
        await outlet.publish(emissions)
    finally:
        await outlet.stop()


async def until(condition: Callable[[], Awaitable[Any]], expected: Any, seconds: float = DEADLINE_SECONDS) -> None:
    """Await that ``condition`` answers ``expected``."""
    deadline = time.monotonic() + seconds
    while (found := await condition()) != expected:
        assert time.monotonic() < deadline, f"expected {expected} within {seconds} s, was {found}"
        await asyncio.sleep(0.05)


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]
