"""The hours of a trading day, in UTC.

The close is 16:00 in New York in winter. Summer time is not followed, so that every session is as long as the other.
"""

from datetime import UTC, date, datetime, time

OPENS, DEALS, CLOSES = time(14, 30), time(17, 0), time(21, 0)


def opening(day: date) -> datetime:
    """When the session opens."""
    return datetime.combine(day, OPENS, UTC)


def dealing(day: date) -> datetime:
    """When a trade was made that is told of only later."""
    return datetime.combine(day, DEALS, UTC)


def closing(day: date) -> datetime:
    """When the session closes: ``as_of`` of the close."""
    return datetime.combine(day, CLOSES, UTC)
