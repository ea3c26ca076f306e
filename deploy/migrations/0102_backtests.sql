-- Each close against the VaR and ES of the close before, forecast_period; hits, tests and weights are in the event.
create table history.risk_backtests (
    portfolio_id text collate "C" not null,
    period text collate "C" not null,
    revision integer not null,
    as_of timestamptz not null,
    event_id uuid not null,
    currency text not null,
    coverage double precision,
    forecast_period text collate "C",
    actual_pnl double precision,
    hypothetical_pnl double precision,
    log_offset bigint not null,
    event json not null,
    primary key (portfolio_id, period, revision, as_of)
);
create index risk_backtests_by_portfolio on history.risk_backtests (portfolio_id, as_of desc);
create index risk_backtests_by_time on history.risk_backtests using brin (as_of);
