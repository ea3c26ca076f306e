"""The gateway's messages as a client reads them: the envelope at once, the data inside when it is asked for."""

from datetime import datetime

import msgspec

NULL = msgspec.Raw(b"null")


class Entry(msgspec.Struct):
    """One group of a snapshot."""

    group: str
    basis: str
    as_of: datetime | None
    data: msgspec.Raw


class Frame(msgspec.Struct):
    """Any message; ``type`` says which of the fields it has."""

    type: str
    id: int | str | None = None
    sub_id: str = ""
    seq: int = 0
    position: str = ""
    # updates
    group: str = ""
    basis: str | None = None
    as_of: datetime | None = None
    sent_at: datetime | None = None
    conflated: bool = False
    data: msgspec.Raw = NULL
    alert: msgspec.Raw = NULL
    items: list["Frame"] = []
    # subscription_confirmed
    snapshot: list[Entry] | None = None
    # ping
    positions: dict[str, str] = {}
    # gap, subscription_revoked
    from_seq: int = 0
    to_seq: int = 0
    reason: str = ""
    # error
    code: int = 0
    message: str = ""
    retry_after_ms: int | None = None
    # connected, draining
    reconnect_jitter_ms: int = 0
    reconnect_after_ms: int = 0


class AlertHead(msgspec.Struct):
    """What of an alert tells it apart."""

    alert_id: str
    state: str
    basis: str
    as_of: datetime


read_frame = msgspec.json.Decoder(Frame).decode
read_alert = msgspec.json.Decoder(AlertHead).decode
