"""A client's subscriptions and where each stands, without a socket: frames in, what to hand on out."""

from collections.abc import Iterable, Iterator

from contracts.gateway import Recover, Subscribe
from tailstream.client.errors import SequenceBroken
from tailstream.client.frames import Entry, Frame, read_alert
from tailstream.client.updates import Ended, Gap, Item, Snapshot, Subscription, Update


class Ledger:
    """The subscriptions of a client, through all of its connections."""

    def __init__(self) -> None:
        self._by_id: dict[int | str, Subscription] = {}
        self._by_sub_id: dict[str, Subscription] = {}

    def add(self, asked: Subscribe) -> Subscription:
        """A subscription that is to be asked for under ``asked.id``, now and after every reconnect."""
        subscription = Subscription(asked)
        self._by_id[asked.id] = subscription
        return subscription

    def remove(self, subscription: Subscription) -> str | None:
        """Forget a subscription; its id on this connection, if it has one."""
        self._by_id.pop(subscription.asked.id, None)
        sub_id = next((name for name, known in self._by_sub_id.items() if known is subscription), None)
        if sub_id is not None:
            del self._by_sub_id[sub_id]
        return sub_id

    def reconnected(self) -> Iterator[Subscribe]:
        """What to ask for on a new connection, each from where it stands."""
        self._by_sub_id.clear()
        for subscription in self._by_id.values():
            position = subscription.position
            recover = None if position is None else Recover(position=position)
            yield subscription.asked.model_copy(update={"recover": recover or subscription.asked.recover})

    def receive(self, frame: Frame) -> Iterable[Item]:
        """Take a frame in; what it says of subscriptions, in order.

        Raises
        ------
        SequenceBroken
            When a frame of a subscription is missing.
        """
        match frame.type:
            case "batch":
                return [item for inner in frame.items for item in self.receive(inner)]
            case "subscription_confirmed":
                return self._confirmed(frame)
            case "ping":
                self._moved(frame.positions)
                return ()
            case "error":
                return self._refused(frame)
        subscription = self._by_sub_id.get(frame.sub_id)
        if subscription is None:
            return ()
        match frame.type:
            case "analytics_update" | "risk_update" | "limit_update":
                return (self._updated(subscription, frame),)
            case "risk_alert":
                return (self._alerted(subscription, frame),)
            case "gap":
                return (self._gap(subscription, frame),)
            case "subscription_revoked":
                self.remove(subscription)
                return (Ended(subscription, frame.reason),)
        return ()

    def _confirmed(self, frame: Frame) -> Iterable[Item]:
        subscription = self._by_id.get(frame.id) if frame.id is not None else None
        if subscription is None:
            return ()
        self._by_sub_id[frame.sub_id] = subscription
        subscription.seq, subscription.position = frame.seq, frame.position
        if frame.snapshot is None:
            return ()
        updates = tuple(_entry(subscription, entry) for entry in frame.snapshot)
        subscription.state = {update.group: update for update in updates}
        return (Snapshot(subscription, updates),)

    def _updated(self, subscription: Subscription, frame: Frame) -> Update:
        self._advance(subscription, frame.seq, frame.position)
        update = Update(
            subscription, frame.group, bytes(frame.data), frame.seq,
            frame.basis, frame.as_of, frame.conflated, frame.sent_at,
        )  # fmt: skip
        if update.raw == b"null":
            subscription.state.pop(update.group, None)
        else:
            subscription.state[update.group] = update
        return update

    def _alerted(self, subscription: Subscription, frame: Frame) -> Update:
        self._advance(subscription, frame.seq, frame.position)
        raw = bytes(frame.alert)
        head = read_alert(raw)
        update = Update(
            subscription, head.alert_id, raw, frame.seq, head.basis, head.as_of, sent_at=frame.sent_at
        )  # fmt: skip
        if head.state == "resolved":
            subscription.state.pop(head.alert_id, None)
        else:
            subscription.state[head.alert_id] = update
        return update

    def _gap(self, subscription: Subscription, frame: Frame) -> Gap:
        self._advance(subscription, frame.from_seq, subscription.position)
        subscription.seq = frame.to_seq
        return Gap(subscription, frame.from_seq, frame.to_seq, frame.reason)

    def _refused(self, frame: Frame) -> Iterable[Item]:
        subscription = self._by_id.get(frame.id) if frame.id is not None else None
        if subscription is None:
            return ()
        self.remove(subscription)
        return (Ended(subscription, f"{frame.code}: {frame.message}"),)

    def _moved(self, positions: dict[str, str]) -> None:
        for sub_id, position in positions.items():
            if subscription := self._by_sub_id.get(sub_id):
                subscription.position = position

    @staticmethod
    def _advance(subscription: Subscription, seq: int, position: str | None) -> None:
        if seq != subscription.seq + 1:
            raise SequenceBroken(f"{subscription.asked.type}: expected seq {subscription.seq + 1}, was {seq}")
        subscription.seq, subscription.position = seq, position


def _entry(subscription: Subscription, entry: Entry) -> Update:
    return Update(subscription, entry.group, bytes(entry.data), basis=entry.basis, as_of=entry.as_of)
