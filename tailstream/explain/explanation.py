"""A published figure explained: what it was computed from, whether it comes out the same, and what it is made of."""

from collections.abc import Sequence
from typing import NamedTuple

from contracts.event import Inputs, Measured
from contracts.risk import RiskMeasured
from services.risk.settings import RiskSettings
from tailstream.explain.chain import Holding, Tail, holdings_of, tail_of
from tailstream.explain.closes import Altered, altered_before, altered_close
from tailstream.explain.differences import Difference, differences
from tailstream.explain.evidence import Evidence, gather, gather_later
from tailstream.explain.measurers import settings_of
from tailstream.explain.published import Published
from tailstream.explain.recomputation import Recomputed, recompute
from tailstream.explain.sources import Doubt, Source
from tailstream.fold.world import World
from tailstream.runtime.closing import ClosingEngine
from tailstream.runtime.lookup import LogReader
from tailstream.runtime.settings import ClosingSettings


class Explanation(NamedTuple):
    """All there is to say about one closing event. Money is in its base currency, positive = loss in the tail."""

    published: Published
    recomputed: Measured | None
    sources: Sequence[Source]
    holdings: Sequence[Holding]
    tail: Tail | None
    """Of risk's measurements."""
    differences: Sequence[Difference]
    doubts: Sequence[Doubt]
    altered: Altered | None

    @property
    def same(self) -> bool:
        """Whether it comes out the same to the last bit, from inputs that are what they were."""
        return self.recomputed is not None and not self.differences and self.altered is None


async def explain(log: LogReader, published: Published, postgres: str | None) -> Explanation:
    """Recompute the event from the log, and tell what it is made of.

    Raises
    ------
    NotRecomputable
        When the close that it names is not on the log.
    ConfigurationError
        When the settings are wrong, or a method that it names is not installed.
    """
    settings = settings_of(published.measurer, published.inputs.models)
    engine = _engine(published, settings, log.partitions)
    evidence = await gather(log, published, engine, postgres)
    recomputed = recompute(engine, published, evidence)
    differing = differences(published.record.value or b"", recomputed.value) if recomputed.value is not None else []
    altered = altered_close(engine.world.market, recomputed.row, evidence.hashes)
    market_differs = any(difference.path == "inputs.market" for difference in differing)
    if altered is None and market_differs and isinstance(settings, RiskSettings):
        altered = await _altered_before(log, published, evidence, settings)
    doubts = _doubts(published, recomputed, engine.world, evidence)
    if market_differs and altered is None:
        doubts.append(Doubt("closes", _UNLOCATED))
    return _told(published, recomputed, engine.world, settings, evidence, differing, doubts, altered)


_UNLOCATED = (
    "the hash of the market differs, and every close whose prices were published has them still: an older close was "
    "altered, or the service's settings were others (windows, stale_after_periods); explain with the service's "
    "TAILSTREAM_ environment"
)

_SETTINGS = (
    "every input has the hash that was published, and still the figures differ: the service's settings (TAILSTREAM_ "
    "environment), the terms of instruments, what it had published before or its code were others"
)


def _engine(published: Published, settings: ClosingSettings, partitions: int) -> ClosingEngine:
    return published.measurer.make_engine(settings, partitions)


async def _altered_before(
    log: LogReader, published: Published, evidence: Evidence, settings: RiskSettings
) -> Altered | None:
    later = await gather_later(log, published, evidence, settings.fit_window)
    world = _engine(published, settings, log.partitions).world
    evidence._replace(arrivals=later.arrivals, ends=later.ends).fold_into(world)
    row = world.market.row_after(published.period) - 1
    return altered_before(world.market, row, later.measured, settings.fit_window, published.event.currency)


def _doubts(published: Published, recomputed: Recomputed, world: World, evidence: Evidence) -> list[Doubt]:
    differs = recomputed.value != published.record.value
    found = [doubt for doubt in evidence.doubts if differs or doubt.input != "holdings"]
    found += [*_models(published, recomputed.event), *_books(published, recomputed.row, world, evidence)]
    if recomputed.event is None:
        found.append(Doubt("holdings", "below the cut the portfolio holds nothing, and so nothing comes out"))
    elif differs and not found and _inputs(recomputed.event) == published.inputs:
        found.append(Doubt("settings", _SETTINGS))
    return found


def _inputs(event: Measured | None) -> Inputs | None:
    return event.inputs if event is not None else None


def _models(published: Published, recomputed: Measured | None) -> list[Doubt]:
    """Models that are not of the version that the event names."""
    then = published.inputs.models
    inputs = _inputs(recomputed)
    now = inputs.models if inputs is not None else then
    return [
        Doubt("models", f"{name}: expected version {then.get(name)} as published, is {now.get(name)}")
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]


def _books(published: Published, row: int, world: World, evidence: Evidence) -> list[Doubt]:
    """The books of this close and the one before that do not have the published hash."""
    told = {published.period: published.inputs.book}
    for arrival in evidence.own:
        event = arrival.event
        if isinstance(event, Measured) and event.portfolio_id == published.event.portfolio_id and event.inputs:
            told[event.period or ""] = event.inputs.book
    return [doubt for r in (row - 1, row) if (doubt := _book(published.event.portfolio_id, r, world, told))]


def _book(portfolio_id: str, row: int, world: World, told: dict[str, str]) -> Doubt | None:
    if row < world.market.first or world.market.point(row).period not in told:
        return None
    period = world.market.point(row).period
    members = world.members(portfolio_id, world.closed(row))
    there = world.books.total(members).content_hash if members else "nothing"
    if there == told[period]:
        return None
    return Doubt("holdings", f"the book of {period}: expected the hash {told[period][:12]}, was {there[:12]}")


def _tail(about: tuple[World, int, str, str], published: Published, settings: ClosingSettings) -> Tail | None:
    if not isinstance(settings, RiskSettings) or not isinstance(published.event, RiskMeasured):
        return None
    return tail_of(*about, settings)


def _told(
    published: Published,
    recomputed: Recomputed,
    world: World,
    settings: ClosingSettings,
    evidence: Evidence,
    differing: Sequence[Difference],
    doubts: Sequence[Doubt],
    altered: Altered | None,
) -> Explanation:
    about = (world, recomputed.row, published.event.portfolio_id, published.event.currency)
    return Explanation(
        published=published,
        recomputed=recomputed.event,
        sources=evidence.sources,
        holdings=holdings_of(*about),
        tail=_tail(about, published, settings),
        differences=differing,
        doubts=doubts,
        altered=altered,
    )
