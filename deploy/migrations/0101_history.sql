-- What the recorder keeps of the bus. A row carries the event's own bytes, as they stand on the log at log_offset;
-- its columns are what one searches by. json keeps those bytes, where jsonb would rewrite them and cost twice as much
-- to take in. Every primary key holds the time column, so that a table can become a hypertable later.

create schema history;

create table history.analytics_metrics (
    portfolio_id text collate "C" not null,
    analyzer text collate "C" not null,
    period text collate "C" not null,
    revision integer not null,
    as_of timestamptz not null,
    event_id uuid not null,
    currency text not null,
    coverage double precision,
    n_obs bigint not null,
    log_offset bigint not null,
    event json not null,
    primary key (portfolio_id, analyzer, period, revision, as_of)
);
create index analytics_metrics_by_portfolio on history.analytics_metrics (portfolio_id, as_of desc);
create index analytics_metrics_by_analyzer on history.analytics_metrics (analyzer, as_of desc);

create table history.portfolio_valuations (
    portfolio_id text collate "C" not null,
    period text collate "C" not null,
    revision integer not null,
    as_of timestamptz not null,
    event_id uuid not null,
    currency text not null,
    coverage double precision,
    nav double precision,
    pnl double precision,
    flow double precision,
    period_return double precision,
    gross double precision,
    net double precision,
    holdings_version bigint not null,
    log_offset bigint not null,
    event json not null,
    primary key (portfolio_id, period, revision, as_of)
);
create index portfolio_valuations_by_portfolio on history.portfolio_valuations (portfolio_id, as_of desc);
create index portfolio_valuations_by_time on history.portfolio_valuations using brin (as_of);

create table history.risk_metrics (
    portfolio_id text collate "C" not null,
    period text collate "C" not null,
    revision integer not null,
    as_of timestamptz not null,
    event_id uuid not null,
    currency text not null,
    coverage double precision,
    nav double precision,
    gross double precision,
    n_obs bigint not null,
    log_offset bigint not null,
    event json not null,
    primary key (portfolio_id, period, revision, as_of)
);
create index risk_metrics_by_portfolio on history.risk_metrics (portfolio_id, as_of desc);
create index risk_metrics_by_time on history.risk_metrics using brin (as_of);

-- Where a limit stood at as_of, the newest word of it; a live state never replaces a close's.
create table history.limit_states (
    portfolio_id text collate "C" not null,
    limit_id text collate "C" not null,
    basis text collate "C" not null,
    as_of timestamptz not null,
    event_id uuid not null,
    period text collate "C",
    metric text not null,
    version bigint not null,
    effective double precision not null,
    value double precision,
    status text not null,
    utilisation double precision,
    level text not null,
    live_level text not null,
    evaluations bigint not null,
    log_offset bigint not null,
    event json not null,
    primary key (portfolio_id, limit_id, basis, as_of)
);
create index limit_states_by_portfolio on history.limit_states (portfolio_id, as_of desc);
create index limit_states_by_time on history.limit_states using brin (as_of);

-- Every step of every alert.
create table history.risk_events (
    event_id uuid not null,
    as_of timestamptz not null,
    alert_id uuid not null,
    portfolio_id text collate "C" not null,
    limit_id text collate "C" not null,
    event_type text collate "C" not null,
    severity text not null,
    state text not null,
    basis text not null,
    period text collate "C",
    value double precision,
    threshold double precision not null,
    utilisation double precision,
    raised_at timestamptz not null,
    log_offset bigint not null,
    event json not null,
    primary key (event_id, as_of)
);
create index risk_events_by_portfolio on history.risk_events (portfolio_id, as_of desc);
create index risk_events_by_type on history.risk_events (event_type, as_of desc);
create index risk_events_by_alert on history.risk_events (alert_id, as_of);

-- Every version of every book, also those that the compacted topic no longer has.
create table history.holdings (
    portfolio_id text collate "C" not null,
    version bigint not null,
    effective_at timestamptz not null,
    external_flow double precision not null,
    log_offset bigint not null,
    event json not null,
    primary key (portfolio_id, version, effective_at)
);
create index holdings_by_portfolio on history.holdings (portfolio_id, effective_at desc);
