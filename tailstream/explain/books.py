"""Who was defined and what they held below a cut: from the log, and from PostgreSQL what compaction took from it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from contracts.event import Arrival, Cut
from contracts.portfolio import PortfolioDefined
from contracts.topics import DEFINITIONS, HOLDINGS
from tailstream.explain.kept import KeptNothing, kept_holdings
from tailstream.explain.published import Published
from tailstream.explain.sources import Doubt, Source, gone, listed
from tailstream.fold.books import Books
from tailstream.runtime.decoding import decode
from tailstream.runtime.lookup import LogReader
from tailstream.runtime.records import Shard, partition_of

STANDS_IN_AT = -1
"""Below every cut: where a later definition is put that stands in for one that is gone."""

Place = tuple[int, int]


class BooksRead(NamedTuple):
    """The books that an event is of: its portfolio's and those of all that was below it, by offset."""

    members: frozenset[str]
    arrivals: Sequence[Arrival]
    sources: Sequence[Source]
    doubts: Sequence[Doubt]


async def read_books(log: LogReader, published: Published, before: Cut | None, postgres: str | None) -> BooksRead:
    """Definitions and holdings below the cut; ``before`` is the cut of the close before, whose books are compared.

    Of definitions that compaction took, the oldest that is left stands in; the hash of the book in the event tells
    whether that holds the same.
    """
    cut = published.inputs.cut
    definitions, missing = await _definitions(log, cut)
    standing_in = [] if not missing else _stand_ins(definitions, cut, published)
    known = [*standing_in, *(a for a in definitions if a.offset < cut.definitions[a.partition])]
    members = _members(known, log.partitions, published.event.portfolio_id, (cut, before or cut))
    of_members = [arrival for arrival in known if arrival.key in members]
    holdings, sources, doubts = await _holdings(log, cut, members, postgres)
    replaced = sorted(arrival.key for arrival in standing_in if arrival.key in members)
    if replaced:
        doubts = [Doubt("definitions", _replaced(replaced)), *doubts]
    if missing:
        doubts = [*doubts, Doubt("holdings", _closed(missing))]
    read = Source("definitions", f"{DEFINITIONS.name} below the cut{gone(missing)}", len(of_members))
    return BooksRead(members, [*of_members, *holdings], [read, *sources], doubts)


async def _definitions(log: LogReader, cut: Cut) -> tuple[list[Arrival], int]:
    """All that the log still has, also above the cut; and how many offsets below it hold nothing any more."""
    found: list[Arrival] = []
    missing = 0
    for partition, stop in enumerate(cut.definitions):
        arrivals, _ = decode(await log.read(Shard(DEFINITIONS.name, partition)), log.partitions)
        missing += stop - sum(arrival.offset < stop for arrival in arrivals)
        found += arrivals
    return found, missing


def _stand_ins(definitions: Sequence[Arrival], cut: Cut, published: Published) -> list[Arrival]:
    """For each portfolio without a definition below the cut its oldest one; for the event's own what the event says."""
    below = {a.key for a in definitions if a.offset < cut.definitions[a.partition]}
    oldest = {a.key: a for a in reversed(definitions) if a.event is not None and a.key not in below}
    own = published.event.portfolio_id
    if own not in below | oldest.keys():
        event = PortfolioDefined(portfolio_id=own, name=own, base_currency=published.event.currency)
        oldest[own] = Arrival(DEFINITIONS.name, published.record.partition, STANDS_IN_AT, own, event)
    return [arrival._replace(offset=STANDS_IN_AT) for arrival in oldest.values()]


def _members(
    definitions: Iterable[Arrival], partitions: int, portfolio_id: str, cuts: tuple[Cut, Cut]
) -> frozenset[str]:
    """The portfolio and all that is below it, at either cut."""
    books = Books(lambda name: partition_of(name, partitions))
    for arrival in definitions:
        event = arrival.event
        books.define(arrival.offset, arrival.key, event if isinstance(event, PortfolioDefined) else None)
    found = (books.tree(cut).subtrees.get(portfolio_id, ()) for cut in cuts)
    return frozenset((portfolio_id, *(name for subtree in found for name in subtree)))


async def _holdings(
    log: LogReader, cut: Cut, members: frozenset[str], postgres: str | None
) -> tuple[list[Arrival], list[Source], list[Doubt]]:
    found: dict[Place, Arrival] = {}
    missing = 0
    for partition in sorted({partition_of(name, log.partitions) for name in members}):
        stop = cut.holdings[partition]
        records = await log.read(Shard(HOLDINGS.name, partition), 0, stop)
        missing += stop - len(records)
        arrivals, _ = decode([r for r in records if r.key in members], log.partitions)
        found |= {(a.partition, a.offset): a for a in arrivals}
    sources = [Source("holdings", f"{HOLDINGS.name} below the cut{gone(missing)}", len(found))]
    if not missing:
        return list(found.values()), sources, []
    kept, doubts = _kept(postgres, members, log.partitions, missing)
    added = {at: a for a in kept if (at := (a.partition, a.offset)) not in found and a.offset < cut.holdings[at[0]]}
    if kept:
        sources.append(Source("holdings", "PostgreSQL, table history.holdings", len(added)))
    return _in_order(found | added), sources, doubts


def _kept(
    postgres: str | None, members: frozenset[str], partitions: int, missing: int
) -> tuple[list[Arrival], list[Doubt]]:
    if postgres is None:
        reason = (
            f"{HOLDINGS.name} no longer holds {missing} of the offsets below the cut, and TAILSTREAM_POSTGRES does "
            "not say where the recorder keeps every version"
        )
        return [], [Doubt("holdings", reason)]
    try:
        return kept_holdings(postgres, members, partitions), []
    except KeptNothing as error:
        return [], [Doubt("holdings", f"{HOLDINGS.name} no longer holds {missing} of the offsets; {error}")]


def _in_order(arrivals: Mapping[Place, Arrival]) -> list[Arrival]:
    return [arrivals[at] for at in sorted(arrivals)]


def _replaced(names: Sequence[str]) -> str:
    return (
        f"{DEFINITIONS.name} no longer has the definition below the cut of {listed(names)}: the oldest that is left "
        "stands in"
    )


def _closed(missing: int) -> str:
    return (
        f"{DEFINITIONS.name} no longer holds {missing} of the offsets below the cut: a portfolio that was closed since "
        "may have been part of the book"
    )
