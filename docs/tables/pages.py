"""The generated tables of docs/models, as Markdown, and where they stand."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from contracts.event import Status
from docs.tables.backtests import EQUAL, LEVELS, WINDOWS, Record
from docs.tables.statuses import ERAS, Census, Tally
from tailstream.files.verdicts import BASEL_LEVEL, Test, Verdict
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.quant.var import Window
from tailstream.runtime.plugins import OWN, VARIANTS

MODELS = Path(__file__).parents[1] / "models"
INDEX_PAGE = MODELS / "README.md"
ALL = (*OWN, AVERAGE, EQUAL)

Row = Sequence[str]


def page_of(method: str) -> str:
    """The page that a method stands on: a variant on that of the method that it is one of."""
    if method == EQUAL:
        return AVERAGE
    return method if method not in VARIANTS else next(name for name in OWN if method.startswith(f"{name}_"))


def methods_of(page: str) -> tuple[str, ...]:
    """The methods that stand on a page."""
    return tuple(method for method in ALL if page_of(method) == page)


PAGES = tuple(method for method in ALL if page_of(method) == method)


def path_of(page: str) -> Path:
    """Where a page is."""
    return MODELS / f"{page}.md"


def between(name: str) -> re.Pattern[str]:
    """What stands between two markers, without them."""
    return re.compile(rf"(?<=<!-- {name}: begin -->\n).*?(?=<!-- {name}: end -->)", flags=re.DOTALL)


def replaced(text: str, name: str, table: str) -> str:
    """The text with another table between its markers.

    Raises
    ------
    ValueError
        When the markers are not there exactly once.
    """
    made, count = between(name).subn(lambda _: table, text)
    if count != 1:
        raise ValueError(f"expected the markers of {name} once, found them {count} times")
    return made


# -- one page ------------------------------------------------------------------------------------------------


def backtest_of(page: str, records: Mapping[str, Record]) -> str:
    """How the methods of a page did: a table for each."""
    return "".join(_of_method(method, records[method]) for method in methods_of(page)) + "\n"


def _of_method(method: str, record: Record) -> str:
    rows = (_verdict_row(level, verdict) for level, verdict in zip(LEVELS, record.verdicts, strict=True))
    head = ("level", "exceptions", "expected", "Kupiec p", "Christoffersen p", "both p", "Z2", "tick loss", "FZ0 loss")
    return "\n".join([f"\n`{method}`: {_days(record)}\n", _table(head, rows), f"\n{_light(record)}\n"])


def _days(record: Record) -> str:
    observed = record.verdicts[0].observations
    told = f"{observed:,} forecasts of the S&P 500, for {record.first_day} to {record.last_day}."
    return " ".join([told, *(f"{count:,} days without: {reason}." for reason, count in record.missing.items())])


def _verdict_row(level: float, verdict: Verdict) -> Row:
    tests = (verdict.kupiec, verdict.independence, verdict.conditional_coverage)
    return (
        f"{100 * level:g} %",
        str(verdict.exceptions),
        f"{verdict.expected:.1f}",
        *(_p_value(test) for test in tests),
        _number(verdict.z2, "+.2f"),
        _number(verdict.tick_loss, ".3e"),
        _number(verdict.fz0_loss, ".4f"),
    )


def _light(record: Record) -> str:
    shares = ", ".join(f"{zone} on {100 * share:.1f} %" for zone, share in record.zones.items())
    return f"Basel's light at 99 %, over the last 250 forecasts: {shares} of {record.lit_days:,} days."


# -- the index -----------------------------------------------------------------------------------------------


def comparison(records: Mapping[str, Record]) -> str:
    """All methods side by side at 99 %."""
    at = LEVELS.index(BASEL_LEVEL)
    head = (
        "method",
        "exceptions",
        "Kupiec p",
        "Christoffersen p",
        "Z2",
        "tick loss",
        "FZ0 loss",
        "green",
        "amber",
        "red",
    )
    rows = (_comparison_row(method, records[method], records[method].verdicts[at]) for method in ALL)
    record = records[ALL[0]]
    verdict = record.verdicts[at]
    told = (
        f"{verdict.observations:,} forecasts for {record.first_day} to {record.last_day}, each from the "
        f"{WINDOWS[Window.SCENARIOS]} or {WINDOWS[Window.FIT]:,} days before it; {verdict.expected:.1f} exceptions are "
        "expected."
    )
    return f"\n{told}\n\n{_table(head, rows)}\n\n"


def _comparison_row(method: str, record: Record, verdict: Verdict) -> Row:
    return (
        _linked(method),
        str(verdict.exceptions),
        *(_p_value(test) for test in (verdict.kupiec, verdict.independence)),
        _number(verdict.z2, "+.2f"),
        _number(verdict.tick_loss, ".3e"),
        _number(verdict.fz0_loss, ".4f"),
        *(f"{100 * share:.1f} %" for share in record.zones.values()),
    )


def status_table(census: Census) -> str:
    """How often every method came to figures, and why it did not."""
    head = ("method", *_SEEN, "other", "remarks")
    rows = (_status_row(method, census.tallies[method]) for method in PAGES)
    books = ", ".join(f"`{name}`" for name in census.portfolios)
    measured = census.tallies[AVERAGE].statuses.total()
    told = (
        f"{census.closes:,} closes from {ERAS[0][0]:%Y} to {ERAS[-1][1]:%Y}, {measured:,} measurements of the "
        f"portfolios {books}, with default settings and 1,000 closes before the first."
    )
    return f"\n{told}\n\n{_table(head, rows)}\n\n"


_SEEN = (Status.OK, Status.DEGRADED, Status.INSUFFICIENT)


def _status_row(method: str, tally: Tally) -> Row:
    total = tally.statuses.total()
    other = total - sum(tally.statuses[status] for status in _SEEN)
    counted = (*(tally.statuses[status] for status in _SEEN), other)
    return (_linked(method), *(f"{100 * count / total:.2f} %" for count in counted), "; ".join(_remarks(tally, total)))


def _remarks(tally: Tally, total: int) -> Iterable[str]:
    if tally.matched:
        yield f"matched {100 * tally.matched / total:.2f} %"
    yield from (f"{count:,} times {reason}" for reason, count in tally.reasons.most_common(3))


# -- Markdown ------------------------------------------------------------------------------------------------


def _table(head: Row, rows: Iterable[Row]) -> str:
    return "\n".join([_line(head), "|" + "---|" * len(head), *map(_line, rows)])


def _line(cells: Row) -> str:
    return f"| {' | '.join(cells)} |"


def _linked(method: str) -> str:
    return f"[{method}]({page_of(method)}.md)"


def _p_value(test: Test | None) -> str:
    return "< 0.001" if test and test.p_value < 0.001 else _number(test.p_value if test else None, ".3f")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
