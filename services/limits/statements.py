"""The SQL of the store. Each statement takes a whole batch as arrays: one round trip, whatever the number of rows."""

IS_MIGRATED = "select to_regclass('limits.offsets') is not null"

CLAIM = """
insert into limits.offsets as stored (topic, partition, next, epoch, owner)
select claimed.topic, claimed.partition, 0, 1, %(owner)s
from unnest(%(topics)s::text[], %(partitions)s::integer[]) as claimed (topic, partition)
order by 1, 2
on conflict (topic, partition) do update set epoch = stored.epoch + 1, owner = excluded.owner
returning topic, partition, next, epoch
"""
"""From here on whoever owned these shards before is refused; a shard never owned goes on at its beginning."""

ADVANCE = """
update limits.offsets as stored
set next = moved.next
from unnest(
    %(topics)s::text[], %(partitions)s::integer[], %(expected)s::bigint[], %(next)s::bigint[], %(epochs)s::bigint[]
) as moved (topic, partition, expected, next, epoch)
where stored.topic = moved.topic and stored.partition = moved.partition
    and stored.next = moved.expected and stored.epoch = moved.epoch
"""

POSITIONS = """
select stored.topic, stored.partition, stored.next, stored.epoch
from limits.offsets as stored
join unnest(%(topics)s::text[], %(partitions)s::integer[]) as asked (topic, partition) using (topic, partition)
"""

SAVE_BOOKS = """
insert into limits.books as stored (portfolio_id, partition, version, document)
select * from unnest(%s::text[], %s::integer[], %s::bigint[], %b::text[]::json[])
on conflict (portfolio_id) do update set version = excluded.version, document = excluded.document
where stored.version = excluded.version - 1
"""

SAVE_DEFINITION = """
insert into limits.definitions
    (portfolio_id, limit_id, version, definition, issued_by, issued_at, idempotency_key)
values (%s, %s, %s, %s::json, %s, %s, %s)
"""

SAVE_DECISION = """
insert into limits.commands (portfolio_id, idempotency_key, command, outcome) values (%s, %s, %s::json, %s::json)
"""

SAVE_WAITING = """
insert into limits.waiting (topic, partition, "offset", value)
select * from unnest(%s::text[], %s::integer[], %s::bigint[], %b::bytea[])
"""

DROP_WAITING = """
delete from limits.waiting as stored
using unnest(%s::text[], %s::integer[], %s::bigint[]) as consumed (topic, partition, "offset")
where stored.topic = consumed.topic and stored.partition = consumed.partition and stored."offset" = consumed."offset"
"""

FILL_OUTBOX = """
insert into limits.outbox (partition, records) select * from unnest(%s::integer[], %b::bytea[]) returning id
"""

OUTBOX_IDS = "select id from limits.outbox where partition = any(%s) order by id"

OUTBOX = "select id, records from limits.outbox where partition = any(%s) order by id"

EMPTY_OUTBOX = "delete from limits.outbox where id = any(%s)"

BOOKS = "select document::text from limits.books where partition = any(%s) order by portfolio_id"

WAITING = """
select topic, partition, "offset", value from limits.waiting where partition = any(%s) order by topic, "offset"
"""

DECIDED = """
select command::text, outcome::text
from limits.commands
join unnest(%s::text[], %s::text[]) as asked (portfolio_id, idempotency_key) using (portfolio_id, idempotency_key)
"""
