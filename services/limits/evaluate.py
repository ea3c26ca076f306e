"""One limit, held against one close or one live figure: what changes, and which alerts that raises and resolves.

Closes decide: they move the level and they alone resolve. Live figures raise early warnings, which the next close
overrules; no closing evaluation reads them. A figure that is missing, stale or degraded holds everything as it is.
"""

from contracts.alerts import AlertChanged
from contracts.event import Basis, Status
from services.limits.alerts import LEVEL_ALERTS, Occasion, raise_alert, resolve_alert
from services.limits.book import Early, Evaluation, Held
from services.limits.figures import ABSENT, Assessment, Measurement, assess
from services.limits.levels import RANK, early_level, worse
from services.limits.waiting import CloseKey

CLOSE, LIVE = Basis.CLOSE, Basis.LIVE  # Python 3.11 calls a function for every look-up of an enum's member
FAILED = Assessment(None, Status.DEGRADED, None)
"""The evaluation itself went wrong."""
LIVE_STEP = 0.01
"""A live utilisation that moved by less than this since the last one that was announced is no news."""


def at_close(held: Held, key: CloseKey, measured: Measurement, stale_after: int) -> list[AlertChanged]:
    """Count the close; ``stale_after`` closes in a row without a usable figure raise ``data_stale``.

    Whatever goes wrong within is this limit's ``engine_error`` alert: it holds its level and the other limits go on.
    """
    occasion = Occasion(CLOSE, key.period, key, measured.as_of)
    try:
        assessed = assess(held.limit, measured) or ABSENT
    except Exception as error:
        assessed, changes = FAILED, _error(held, occasion, error)
    else:
        changes = resolve_alert(held, "engine_error", CLOSE, occasion, assessed, "the limit is evaluated again")
        changes += _decide(held, occasion, assessed, stale_after)
    _note(held, occasion, assessed)
    held.count(key, assessed)
    return changes


def at_live(held: Held, measured: Measurement, since: CloseKey | None) -> tuple[bool, list[AlertChanged]]:
    """Warn early when the live figure asks for it; whether there is news, and the alerts raised."""
    occasion = Occasion(LIVE, None, since, measured.as_of)
    try:
        assessed = assess(held.limit, measured) or ABSENT
    except Exception as error:
        assessed, changes = FAILED, _error(held, occasion, error)
    else:
        changes = _warn_early(held, occasion, assessed)
    if changes:
        held.early.as_of = occasion.as_of
    news = bool(changes) or _moved(held, assessed)
    if news:
        _note(held, occasion, assessed)
    return news, changes


def _decide(held: Held, occasion: Occasion, assessed: Assessment, stale_after: int) -> list[AlertChanged]:
    if assessed.utilisation is None:
        return _hold(held, occasion, assessed, stale_after)
    held.measured, held.closes_missing = True, 0
    changes = resolve_alert(held, "data_stale", CLOSE, occasion, assessed, f"{_subject(held)} is measured again")
    held.ladder.climb(assessed.utilisation, held.limit.warn_at, held.limit.alert_at)
    changes += _follow_level(held, occasion, assessed)
    return changes + _overrule(held, occasion, assessed)


def _hold(held: Held, occasion: Occasion, assessed: Assessment, stale_after: int) -> list[AlertChanged]:
    if assessed.status == Status.INSUFFICIENT and not held.measured:
        return []
    held.closes_missing += 1
    if held.closes_missing < stale_after:
        return []
    message = (
        f"{_subject(held)} has had no usable figure for {held.closes_missing} closes ({assessed.status}); "
        f"the level is held at {held.ladder.level}"
    )
    return raise_alert(held, "data_stale", occasion, assessed, message)


def _error(held: Held, occasion: Occasion, error: Exception) -> list[AlertChanged]:
    message = f"{_subject(held)} could not be evaluated, the level is held at {held.ladder.level}: {error!r}"
    return raise_alert(held, "engine_error", occasion, FAILED, message)


def _follow_level(held: Held, occasion: Occasion, assessed: Assessment) -> list[AlertChanged]:
    """Raise the alert of the level reached; resolve those of worse levels. A warning stays open under a breach."""
    level, changes = held.ladder.level, list[AlertChanged]()
    for worse_level, kind in LEVEL_ALERTS.items():
        if kind in held.alerts and RANK[worse_level] > RANK[level]:
            changes += resolve_alert(held, kind, CLOSE, occasion, assessed, _told(held, assessed))
    if level != "ok" and LEVEL_ALERTS[level] not in held.alerts:
        changes += raise_alert(held, LEVEL_ALERTS[level], occasion, assessed, _told(held, assessed))
    return changes


def _overrule(held: Held, occasion: Occasion, assessed: Assessment) -> list[AlertChanged]:
    """Let the close replace what live figures said before it; what they said of the time after it stays."""
    early = held.early
    if early.as_of is None or early.as_of > occasion.as_of:
        return []
    message = f"the close decided: {_told(held, assessed)}"
    changes = list[AlertChanged]()
    for kind in sorted(early.alerts):
        changes += resolve_alert(held, kind, LIVE, occasion, assessed, message)
    held.early = Early()
    return changes


def _warn_early(held: Held, occasion: Occasion, assessed: Assessment) -> list[AlertChanged]:
    if assessed.utilisation is None:
        return []
    said = early_level(assessed.utilisation, held.limit.alert_at)
    if RANK[said] <= RANK[worse(held.early.level, held.ladder.level)]:
        return []
    held.early.level = said
    return raise_alert(held, LEVEL_ALERTS[said], occasion, assessed, _told(held, assessed))


def _moved(held: Held, assessed: Assessment) -> bool:
    if assessed.utilisation is None:
        return False
    known = held.newest.utilisation if held.newest else None
    return known is None or abs(assessed.utilisation - known) >= LIVE_STEP


def _note(held: Held, occasion: Occasion, assessed: Assessment) -> None:
    held.newest = Evaluation(
        occasion.basis,
        occasion.period,
        occasion.as_of,
        assessed.value,
        Status(assessed.status),
        assessed.utilisation,
    )


def _subject(held: Held) -> str:
    return f"{held.limit.metric} of {held.limit.portfolio_id}"


def _told(held: Held, assessed: Assessment) -> str:
    limit = held.limit
    unit = f" {limit.currency}" if limit.currency else ""
    used = f"{assessed.utilisation:.1%} of" if assessed.utilisation is not None else "held against"
    return f"{_subject(held)} is {assessed.value:.6g}{unit}, {used} its limit of {limit.base:.6g}{unit}"
