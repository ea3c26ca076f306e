"""One event of each topic, as documentation and tests show it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType

from contracts import topics
from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Basis, Cut, Event, Figure, Inputs, Status, event_id
from contracts.limits import Limit, LimitCommandDecided, LimitCommandIssued, LimitState
from contracts.market import CorporateAction, InstrumentDefined, PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.risk import (
    Averaging,
    Contribution,
    Contributions,
    FittedAt,
    LevelBacktest,
    MethodBacktest,
    MethodRisk,
    Outcome,
    RiskBacktested,
    RiskMeasured,
    Stressed,
    StressedRisk,
    TailRisk,
    WhatIfMeasured,
    WhatIfRequested,
)
from contracts.system import RecordQuarantined, ServiceStatus

_CLOSE = datetime(2008, 9, 15, 21, tzinfo=UTC)
_SESSION = datetime(2008, 9, 15, 15, 30, tzinfo=UTC)
_PERIOD = "2008-09-15"
_BOOK = "equity-01"
_LIMIT = "equity-01:var_99"

_cut = Cut(holdings=(120, 96, 131, 88), definitions=(18, 14, 21, 15), instruments=22, actions=0)
_prices = {"AAPL": 4.27, "JPM": 24.83, "fx:EURUSD": 1.4151}


def _inputs(**models: str) -> Inputs:
    return Inputs(
        close_offset=926, cut=_cut, book=_hash("positions and cash"), market=_hash("prices"), models=models, seed=None
    )


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _analytics(topic: str, basis: Basis) -> AnalyticsComputed:
    closing = basis is Basis.CLOSE
    return AnalyticsComputed(
        event_id=event_id(topic, _BOOK, "risk", _PERIOD, 0),
        portfolio_id=_BOOK,
        period=_PERIOD if closing else None,
        as_of=_CLOSE if closing else _SESSION,
        basis=basis,
        currency="USD",
        coverage=1.0,
        inputs=_inputs(risk="1") if closing else None,
        analyzer="risk",
        n_obs=252,
        figures={"volatility": Figure(value=0.2134), "sortino": Figure(value=None, status=Status.NO_DOWNSIDE)},
    )


def _risk(topic: str, basis: Basis) -> RiskMeasured:
    closing = basis is Basis.CLOSE
    tail = TailRisk(var=412_870.5, es=561_004.2, var_fraction=0.0331, es_fraction=0.0450)
    return RiskMeasured(
        event_id=event_id(topic, _BOOK, "historical", _PERIOD, 0),
        portfolio_id=_BOOK,
        period=_PERIOD if closing else None,
        as_of=_CLOSE if closing else _SESSION,
        basis=basis,
        currency="USD",
        coverage=1.0,
        inputs=_inputs(historical="1") if closing else None,
        nav=Figure(value=12_466_500.0),
        gross=Figure(value=12_310_000.0),
        n_obs=500,
        methods={"historical": MethodRisk(status=Status.OK, levels={"0.99": tail})},
        **(_closing_parts(tail) if closing else {}),
    )


def _tail(var: float, es: float) -> TailRisk:
    return TailRisk(var=var, es=es, var_fraction=var / 12_466_500.0, es_fraction=es / 12_466_500.0)


def _closing_parts(tail: TailRisk) -> dict[str, object]:
    """What only the measurement of a close has."""
    method = MethodRisk(status=Status.OK, levels={"0.99": tail})
    position = Contribution(exposure=512_400.0, component_es=31_800.0, marginal_es=0.0621, component_var=22_410.0)
    return {
        "fit_n_obs": 1_000,
        "fit_coverage": 1.0,
        "averaging": Averaging(
            weights={"historical": 0.41, "student_t": 0.59},
            losses=250,
            dispersion={"0.99": 1.27},
            equal_weight={"0.99": tail},
        ),
        "horizons": {"10": {"historical": method}},
        "contributions": Contributions(level="0.975", es=480_120.0, var=350_940.0, positions={"AAPL": position}),
        "stress": {
            "2000-03": Stressed(kind="window", status=Status.OK, loss=-88_000.0, loss_fraction=-0.0071, coverage=1.0)
        },
        "stressed": StressedRisk(
            status=Status.OK, first_period="2001-09-20", last_period="2002-09-18", levels={"0.99": tail}
        ),
    }


def _outcome(hit: bool) -> Outcome:
    return Outcome(
        hit=hit,
        exceptions=4,
        kupiec=0.7691,
        kupiec_p_value=0.3805,
        independence=0.1311,
        independence_p_value=0.7173,
        conditional_coverage=0.9002,
        conditional_coverage_p_value=0.6376,
        z2=-0.4213,
        tick_loss=0.000412,
        fz0_loss=-2.9041,
    )


_backtested = RiskBacktested(
    event_id=event_id(topics.BACKTESTS.name, _BOOK, "historical", _PERIOD, 0),
    portfolio_id=_BOOK,
    period=_PERIOD,
    as_of=_CLOSE,
    basis=Basis.CLOSE,
    currency="USD",
    coverage=1.0,
    inputs=_inputs(historical="1"),
    forecast_period="2008-09-12",
    actual_pnl=Figure(value=-598_120.0),
    hypothetical_pnl=Figure(value=-601_774.0),
    methods={
        "historical": MethodBacktest(
            levels={"0.99": LevelBacktest(observations=250, actual=_outcome(True), hypothetical=_outcome(True))},
            traffic_light="green",
            multiplier=1.5,
        )
    },
    weights={"historical": 0.41, "student_t": 0.59},
    fits={"student_t": FittedAt(period="2008-09-02", status=Status.OK, parameters={"df": 4.2})},
    stressed_window=("2001-09-20", "2002-09-18"),
    stressed_at="2008-09-02",
)


_valued = PortfolioValued(
    event_id=event_id(topics.VALUATIONS.name, _BOOK, _PERIOD, 0),
    portfolio_id=_BOOK,
    period=_PERIOD,
    as_of=_CLOSE,
    basis=Basis.CLOSE,
    currency="USD",
    coverage=1.0,
    inputs=_inputs(valuation="1"),
    nav=Figure(value=12_466_500.0),
    pnl=Figure(value=-598_120.0),
    flow=Figure(value=250_000.0),
    period_return=Figure(value=-0.0467),
    gross=Figure(value=12_310_000.0),
    net=Figure(value=12_310_000.0),
    holdings_version=8,
)

_limit = Limit(limit_id=_LIMIT, portfolio_id=_BOOK, metric="var_99", base=0.03, owner="desk-head")

_state = LimitState(
    event_id=event_id(topics.STATES.name, _LIMIT, _PERIOD, 0),
    limit_id=_LIMIT,
    portfolio_id=_BOOK,
    metric="var_99",
    version=1,
    base=0.03,
    effective=0.03,
    currency=None,
    basis=Basis.CLOSE,
    period=_PERIOD,
    as_of=_CLOSE,
    value=0.0331,
    status=Status.OK,
    utilisation=1.1033,
    level="breach",
    live_level="breach",
    evaluations=178,
    chain=_hash("evaluations"),
)

_alert = AlertChanged(
    event_id=event_id(topics.ALERTS.name, _LIMIT, "raised", _PERIOD),
    alert_id=event_id("alert", _LIMIT, _PERIOD),
    portfolio_id=_BOOK,
    limit_id=_LIMIT,
    type="limit_breach",
    severity="critical",
    state="raised",
    basis=Basis.CLOSE,
    period=_PERIOD,
    as_of=_CLOSE,
    value=0.0331,
    threshold=0.03,
    utilisation=1.1033,
    message="equity-01 var_99: 0.0331 is above 0.03",
    raised_at=_CLOSE,
)

_garbage = b'{"source": "replay", "as_of": "yesterday"'

EXAMPLES: Mapping[str, Event] = MappingProxyType(
    {
        topics.INSTRUMENTS.name: InstrumentDefined(
            instrument_id="AAPL", version=1, effective_at=_CLOSE, kind="equity", currency="USD", name="Apple"
        ),
        topics.ACTIONS.name: CorporateAction(
            instrument_id="AAPL", action="split", effective_at=_CLOSE, ratio=7.0, amount=None
        ),
        topics.PRICES.name: PricesObserved(source="replay", as_of=_SESSION, prices=_prices, synthetic=True),
        topics.CLOSES.name: PeriodClosed(source="replay", period=_PERIOD, as_of=_CLOSE, prices=_prices, cut=_cut),
        topics.DEFINITIONS.name: PortfolioDefined(
            portfolio_id=_BOOK, name="Equity 1", base_currency="USD", parent="equity", benchmark="SPX"
        ),
        topics.HOLDINGS.name: HoldingsReplaced(
            portfolio_id=_BOOK,
            version=8,
            effective_at=_CLOSE,
            positions={"AAPL": 120_000.0, "JPM": -15_000.0},
            cash={"USD": 156_500.0},
            external_flow=250_000.0,
        ),
        topics.METRICS.name: _analytics(topics.METRICS.name, Basis.CLOSE),
        topics.VALUATIONS.name: _valued,
        topics.ANALYTICS_LIVE.name: _analytics(topics.ANALYTICS_LIVE.name, Basis.LIVE),
        topics.RISK.name: _risk(topics.RISK.name, Basis.CLOSE),
        topics.RISK_LIVE.name: _risk(topics.RISK_LIVE.name, Basis.LIVE),
        topics.BACKTESTS.name: _backtested,
        topics.REQUESTS.name: WhatIfRequested(
            request_id="desk-7:42",
            portfolio_id=_BOOK,
            requested_by="trader-7",
            requested_at=_SESSION,
            trades={"AAPL": 10_000.0},
        ),
        topics.REPLIES.name: WhatIfMeasured(
            event_id=event_id(topics.REPLIES.name, "desk-7:42"),
            request_id="desk-7:42",
            portfolio_id=_BOOK,
            as_of=_SESSION,
            currency="USD",
            status=Status.OK,
            nav=12_466_500.0,
            coverage=1.0,
            before={"historical": MethodRisk(status=Status.OK, levels={"0.99": _tail(412_870.5, 561_004.2)})},
            after={"historical": MethodRisk(status=Status.OK, levels={"0.99": _tail(415_102.9, 563_911.0)})},
            difference={"historical": {"0.99": _tail(2_232.4, 2_906.8)}},
        ),
        topics.COMMANDS.name: LimitCommandIssued(
            command="define_limit",
            idempotency_key="limits-2008-09",
            portfolio_id=_BOOK,
            issued_by="desk-head",
            issued_at=_SESSION,
            limit=_limit,
        ),
        topics.OUTCOMES.name: LimitCommandDecided(
            event_id=event_id(topics.OUTCOMES.name, "limits-2008-09"),
            idempotency_key="limits-2008-09",
            portfolio_id=_BOOK,
            command="define_limit",
            outcome="accepted",
            message="var_99 of equity-01: at most 0.03",
            limit_id=_LIMIT,
            version=1,
        ),
        topics.STATES.name: _state,
        topics.ALERTS.name: _alert,
        topics.STATUS.name: ServiceStatus(
            service="risk", replica="risk-0", state="ready", as_of=_SESSION, shards=(0, 1, 2, 3), closes_behind=1
        ),
        topics.QUARANTINE.name: RecordQuarantined(
            event_id=event_id(topics.QUARANTINE.name, topics.PRICES.name, 0, 4711),
            service="risk",
            topic=topics.PRICES.name,
            partition=0,
            offset=4711,
            key="replay",
            field=None,
            reason="as_of: expected a time with its zone, was 'yesterday'",
            size_bytes=len(_garbage),
            sha256=sha256(_garbage).hexdigest(),
            value_base64="eyJzb3VyY2UiOiAicmVwbGF5IiwgImFzX29mIjogInllc3RlcmRheSI=",
        ),
    }
)
