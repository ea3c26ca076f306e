-- The limits service's system of record. Every table is written in one transaction with the offsets it comes from.

create schema limits;

-- Where each input partition goes on, and who may say so: whoever adopts a partition raises its epoch, and a write at
-- an older epoch, or from another offset than the one stored, changes no row and is refused.
create table limits.offsets (
    topic text not null,
    partition integer not null,
    next bigint not null check (next >= 0),
    epoch bigint not null,
    owner text not null,
    primary key (topic, partition)
);

-- The engine's state, a document for each portfolio, updated by compare-and-set on its version.
create table limits.books (
    portfolio_id text primary key,
    partition integer not null,
    version bigint not null,
    document json not null
) with (fillfactor = 50);
create index books_by_partition on limits.books (partition);

-- Every version of every limit, and who asked for it.
create table limits.definitions (
    portfolio_id text not null,
    limit_id text not null,
    version integer not null,
    definition json not null,
    issued_by text not null,
    issued_at timestamptz not null,
    idempotency_key text not null,
    primary key (portfolio_id, limit_id, version)
);

-- Every command that was decided, with its one outcome (json, not jsonb: a repeated outcome has the same bytes).
create table limits.commands (
    portfolio_id text not null,
    idempotency_key text not null,
    command json not null,
    outcome json not null,
    primary key (portfolio_id, idempotency_key)
);

-- Records whose close is not settled: the other parts of it have not arrived.
create table limits.waiting (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    value bytea not null,
    primary key (topic, partition, "offset")
);
alter table limits.waiting alter column value set storage external;

-- What a transaction announces, one row for each partition, until it is on the bus.
create table limits.outbox (
    id bigint generated always as identity primary key,
    partition integer not null,
    records bytea not null
);

-- Where every limit stands, for people.
create view limits.states as
select
    book.portfolio_id,
    held.key as limit_id,
    (held.value ->> 'version')::integer as version,
    held.value -> 'limit' ->> 'metric' as metric,
    (held.value -> 'limit' ->> 'base')::double precision as base,
    case
        when (held.value -> 'ladder' ->> 'breached')::boolean then 'breach'
        when (held.value -> 'ladder' ->> 'warned')::boolean then 'warn'
        else 'ok'
    end as level,
    held.value -> 'newest' ->> 'period' as period,
    (held.value -> 'newest' ->> 'value')::double precision as value,
    held.value -> 'newest' ->> 'status' as status,
    (held.value -> 'newest' ->> 'utilisation')::double precision as utilisation,
    (held.value ->> 'evaluations')::bigint as evaluations,
    held.value ->> 'chain' as chain
from limits.books as book
cross join lateral json_each(book.document -> 'limits') as held;
