"""The Python client of the gateway."""

from tailstream.client.client import Client
from tailstream.client.errors import ClientError, ConnectionRefused, RequestRefused, SequenceBroken
from tailstream.client.updates import Ended, Gap, Item, Snapshot, Subscription, Update

__all__ = [
    "Client",
    "ClientError",
    "ConnectionRefused",
    "Ended",
    "Gap",
    "Item",
    "RequestRefused",
    "SequenceBroken",
    "Snapshot",
    "Subscription",
    "Update",
]
