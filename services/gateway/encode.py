"""What goes out: frames of text. An update's body is written once and spliced into every subscriber's envelope."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from contracts.event import Part
from contracts.gateway import Gap, SubscriptionConfirmed
from services.gateway.arrivals import VALUATION, ChannelName, Update
from services.gateway.subscriptions import Queued, Subscription

FRAME_CHARACTERS_MAX = 256 * 1024
"""A batch is split beyond this: many clients refuse a frame of a megabyte."""
UPDATE_TYPES = {
    ChannelName.ANALYTICS: "analytics_update",
    ChannelName.RISK: "risk_update",
    ChannelName.LIMITS: "limit_update",
    ChannelName.ALERTS: "risk_alert",
}
VALUATION_FIGURES = frozenset({"nav", "pnl", "flow", "period_return", "gross", "net"})
_CHOSEN_FROM = {ChannelName.ANALYTICS: "figures", ChannelName.RISK: "methods"}
"""Which part of a payload ``metrics`` chooses from."""


def message(content: Part) -> str:
    """A message that is written for one client."""
    return content.model_dump_json(exclude_none=True)


def instant(seconds: float) -> str:
    """Unix seconds as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def frames(subscription: Subscription, queued: Iterable[Queued], sent_at: str) -> Iterator[str]:
    """What was taken from the queue, each frame with the next ``seq``; what was lost comes first, as a gap."""
    if lost := subscription.queue.lost():
        yield _gap(subscription, lost)
    for update, conflated in queued:
        shared = body(update, subscription.choice.metrics)
        subscription.advance(update)
        if shared is not None:
            yield _frame(subscription, sent_at, conflated, update, shared)


def _gap(subscription: Subscription, lost: int) -> str:
    first, last = subscription.seq + 1, subscription.count(lost)
    reason = f"the client did not read: {lost} updates were dropped"
    return message(Gap(sub_id=subscription.sub_id, from_seq=first, to_seq=last, reason=reason))


def _frame(subscription: Subscription, sent_at: str, conflated: bool, update: Update, shared: str) -> str:
    sub_id, seq, position = subscription.sub_id, subscription.count(), subscription.position
    head = f'{{"type":"{UPDATE_TYPES[update.channel]}","sub_id":"{sub_id}","seq":{seq},"position":"{position}"'
    if update.channel is not ChannelName.ALERTS:
        head = f'{head},"conflated":{"true" if conflated else "false"}'
    return f'{head},"sent_at":"{sent_at}",{shared}}}'


@lru_cache(maxsize=4096)
def body(update: Update, metrics: frozenset[str] | None) -> str | None:
    """What all subscribers of an update with the same choice of figures get alike; None where nothing is left of it."""
    data = _chosen(update, metrics)
    if data is None:
        return None
    if update.channel is ChannelName.ALERTS:
        return f'"alert":{data}'
    return f'"full":true,{_entry(update, data)}'


def snapshot(updates: Sequence[Update], metrics: frozenset[str] | None) -> str:
    """The newest value of every group as a JSON array."""
    chosen = ((update, _chosen(update, metrics)) for update in updates)
    return f"[{','.join(f'{{{_entry(update, data)}}}' for update, data in chosen if data is not None)}]"


def confirmation(confirmed: SubscriptionConfirmed, entries: str | None) -> str:
    """A confirmation with the snapshot's JSON spliced in."""
    head = message(confirmed)
    return head if entries is None else f'{head[:-1]},"snapshot":{entries}}}'


def batches(items: Sequence[str]) -> list[str]:
    """The items in as few frames as fit; one alone needs no batch."""
    frames: list[str] = []
    start = size = 0
    for end, item in enumerate(items):
        if size and size + len(item) > FRAME_CHARACTERS_MAX:
            frames.append(_batch(items[start:end]))
            start, size = end, 0
        size += len(item)
    return [*frames, _batch(items[start:])] if items else frames


def _batch(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f'{{"type":"batch","items":[{",".join(items)}]}}'


def _entry(update: Update, data: str) -> str:
    group = msgspec.json.encode(update.group).decode()
    as_of = msgspec.json.encode(update.as_of).decode()
    return f'"group":{group},"basis":"{update.basis}","as_of":{as_of},"data":{data}'


def _chosen(update: Update, metrics: frozenset[str] | None) -> str | None:
    """The payload with the figures so named alone; None where there is none of them."""
    part = _CHOSEN_FROM.get(update.channel)
    if update.payload is None:
        return "null"
    if metrics is None or part is None:
        return update.payload
    if update.group.startswith(f"{VALUATION}/"):
        return update.payload if metrics & VALUATION_FIGURES else None
    content: dict[str, Any] = msgspec.json.decode(update.payload)
    content[part] = {name: value for name, value in content[part].items() if name in metrics}
    return msgspec.json.encode(content).decode() if content[part] else None
