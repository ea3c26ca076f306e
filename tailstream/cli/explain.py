"""``tailstream explain``: a published figure, recomputed from the log and compared bit for bit."""

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import typer
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from contracts.risk import MethodRisk, RiskBacktested, RiskMeasured
from contracts.topics import (
    ACTIONS,
    ANALYTICS_LIVE,
    BACKTESTS,
    CLOSES,
    DEFINITIONS,
    HOLDINGS,
    INSTRUMENTS,
    METRICS,
    RISK,
    RISK_LIVE,
    VALUATIONS,
)
from tailstream.cli.answers import Json, print_document, print_table
from tailstream.explain.chain import LEVEL, Tail
from tailstream.explain.closes import Altered
from tailstream.explain.explanation import Explanation, explain
from tailstream.explain.published import Published, find_as_of, find_by_id
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.quant.var.historical import Historical
from tailstream.runtime.errand import answered, bus_settings
from tailstream.runtime.lookup import LogReader, open_log
from tailstream.runtime.settings import ServiceSettings

app = typer.Typer(help="A published figure: recomputed from the log, compared, and what it is made of.")

TOPICS = (
    INSTRUMENTS, ACTIONS, CLOSES, DEFINITIONS, HOLDINGS,
    METRICS, VALUATIONS, ANALYTICS_LIVE, RISK, BACKTESTS, RISK_LIVE,
)  # fmt: skip
"""What is read."""
SECONDS_MAX = 1_800.0
"""A long log takes a while to search and to read."""
WHOLE_FROM = 1_000.0
"""Parameters from here on are shown without decimals."""
SHOWN_MAX = 20
"""Holdings, differences and prices in a table; the document has all of them."""


@app.command()
def command(
    what: Annotated[
        str, typer.Argument(metavar="EVENT_ID | PORTFOLIO", help="Of a closing event of analytics or risk.")
    ],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="T", help="The portfolio's newest risk close at or before T.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute a published closing figure from the log, compare it bit for bit, and show how it came about.

    T is a date (all of that day) or an RFC 3339 time. Exit 0: the same to the last bit; 1: it, or an input, differs.
    """
    asked = _asked(what, as_of)
    bus = bus_settings()
    postgres = os.environ.get("TAILSTREAM_POSTGRES") or None
    told = answered(bus.kafka, _explained(bus, asked, postgres), SECONDS_MAX)
    if as_json:
        print_document(document(told))
    else:
        _print(told)
    if not told.same:
        raise typer.Exit(1)


class AsOf(NamedTuple):
    """A portfolio's newest risk close at or before a time."""

    portfolio_id: str
    at: datetime


def _asked(what: str, as_of: str | None) -> UUID | AsOf:
    if as_of is not None:
        return AsOf(what, _time(as_of))
    try:
        return UUID(what)
    except ValueError as error:
        raise typer.BadParameter(
            f"EVENT_ID: expected a UUID, or a portfolio together with --as-of, was {what!r}"
        ) from error


def _time(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time.max, UTC)
    except ValueError:
        pass
    try:
        return TypeAdapter(AwareDatetime).validate_python(text)
    except ValidationError as error:
        expected = "a date, as 2024-03-28, or a time with its zone, as 2024-03-28T21:00:00Z"
        raise typer.BadParameter(f"--as-of: expected {expected}, was {text!r}") from error


async def _explained(bus: ServiceSettings, asked: UUID | AsOf, postgres: str | None) -> Explanation:
    async with open_log(bus, TOPICS) as log:
        return await explain(log, await _found(log, asked), postgres)


async def _found(log: LogReader, asked: UUID | AsOf) -> Published:
    if isinstance(asked, UUID):
        return await find_by_id(log, asked)
    return await find_as_of(log, asked.portfolio_id, asked.at)


# -- as JSON -----------------------------------------------------------------------------------------------------


def document(told: Explanation) -> dict[str, Any]:
    """The explanation as JSON."""
    published = told.published
    return {
        "event_id": str(published.event.event_id),
        "event": type(published.event).__name__,
        "portfolio_id": published.event.portfolio_id,
        "period": published.period,
        "currency": published.event.currency,
        "published_at": published.place,
        "same": told.same,
        "inputs": published.inputs.model_dump(mode="json"),
        "sources": _rows(told.sources),
        "holdings": _rows(told.holdings),
        "tail": told.tail and _tail_document(told.tail),
        **(_risk_document(published.event) if isinstance(published.event, RiskMeasured) else {}),
        "differences": _rows(told.differences),
        "doubts": _rows(told.doubts),
        "altered": told.altered and {**told.altered._asdict(), "quotes": _rows(told.altered.quotes)},
    }


def _tail_document(tail: Tail) -> dict[str, Any]:
    return {**tail._asdict(), "worst": _rows(tail.worst)}


def _rows(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in rows]


def _risk_document(event: RiskMeasured) -> dict[str, Any]:
    return event.model_dump(mode="json", include={"nav", "gross", "coverage", "methods", "averaging", "contributions"})


# -- for people --------------------------------------------------------------------------------------------------


def _print(told: Explanation) -> None:
    _print_event(told)
    typer.echo("\nHoldings and exposures")
    _print_holdings(told)
    if told.tail is not None:
        typer.echo(f"\nWorst of {told.tail.scenarios} scenarios: losses of these holdings on the returns of the past")
        _print_tail(told.tail, told.published.event.currency)
    if isinstance(told.published.event, RiskMeasured):
        typer.echo("\nMethods")
        _print_methods(told.published.event, told.tail)
    _print_verdict(told)


def _print_event(told: Explanation) -> None:
    published = told.published
    event = published.event
    typer.echo(f"{type(event).__name__} {event.event_id}")
    typer.echo(
        f"{event.portfolio_id}, close of {published.period}, in {event.currency}; published as {published.place}"
    )
    if isinstance(event, RiskMeasured):
        sizes = f"NAV {_money(event.nav.value)}, gross exposure {_money(event.gross.value)}"
        typer.echo(f"{sizes}; scenarios cover {_share(event.coverage)} of what is exposed")
    if isinstance(event, RiskBacktested):
        realised = f"actual {_money(event.actual_pnl.value)}, hypothetical {_money(event.hypothetical_pnl.value)}"
        typer.echo(f"P&L since the close of {event.forecast_period}: {realised}")
    typer.echo("\nInputs")
    print_table(("input", "read from", "records"), told.sources)


def _print_holdings(told: Explanation) -> None:
    currency, adds = told.published.event.currency, _contributions(told.published)
    remarks = _remarks(told.published)
    columns = ("holding", "quantity", "price", f"exposure {currency}", *(f"adds to {name}" for name in adds), "")
    shown = [
        (
            one.name,
            f"{one.quantity:,.10g}",
            _price(one.price),
            _money(one.exposure),
            *(_money(components.get(one.name)) for components in adds.values()),
            one.remark or remarks.get(one.name),
        )
        for one in told.holdings[:SHOWN_MAX]
    ]
    print_table(columns, shown)
    _print_rest(len(told.holdings))


def _contributions(published: Published) -> dict[str, dict[str, float]]:
    """What each position adds to the book's ES, by the name of that, where risk told it."""
    event = published.event
    if not isinstance(event, RiskMeasured) or event.contributions is None:
        return {}
    positions = event.contributions.positions
    return {f"ES {event.contributions.level}": {name: one.component_es for name, one in positions.items()}}


def _remarks(published: Published) -> dict[str, str]:
    """Whose scenarios are missing, or partly those of another."""
    event = published.event
    if not isinstance(event, RiskMeasured):
        return {}
    return dict.fromkeys(event.uncovered, "left out") | {a: f"history of {b}" for a, b in event.proxied.items()}


def _print_tail(tail: Tail, currency: str) -> None:
    shown = [
        (one.rank, one.period, _money(one.loss), one.worst, _money(one.worst_loss), "VaR" if one.is_var else "")
        for one in tail.worst
    ]
    print_table(("", "period", f"loss {currency}", "lost most", f"its loss {currency}", ""), shown)
    typer.echo(
        f"Historical VaR at {tail.level} is the loss of rank {tail.rank}, ES the mean of the worst {tail.mass:g}."
    )


def _print_methods(event: RiskMeasured, tail: Tail | None) -> None:
    rows = [
        (name, risk.status, *_figures(risk), "; ".join(filter(None, (risk.reason, _origin(name, event, tail)))))
        for name, risk in event.methods.items()
    ]
    print_table(("method", "status", f"VaR {LEVEL} {event.currency}", f"ES {LEVEL} {event.currency}", "from"), rows)


def _figures(risk: MethodRisk) -> tuple[str, str]:
    figures = risk.levels.get(str(LEVEL))
    return (_money(figures.var), _money(figures.es)) if figures else ("", "")


def _origin(name: str, event: RiskMeasured, tail: Tail | None) -> str:
    """What a method's figures follow from: a scenario, the weights of the others, or its parameters."""
    if name == Historical.id and tail is not None:
        (var,) = (one.period for one in tail.worst if one.is_var)
        return f"the scenario of {var}, rank {tail.rank} of {tail.scenarios}"
    if name == AVERAGE:
        return _listed(event.averaging.weights) if event.averaging else ""
    return _listed(event.methods[name].parameters)


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {_number(number)}" for name, number in numbers.items())


def _number(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= WHOLE_FROM else f"{number:.4g}"


def _print_verdict(told: Explanation) -> None:
    typer.echo()
    for doubt in told.doubts:
        typer.echo(f"{doubt.input}: {doubt.reason}")
    if told.altered is not None:
        _print_altered(told.altered)
    if told.differences:
        print_table(("field", "published", "recomputed"), told.differences[:SHOWN_MAX])
        _print_rest(len(told.differences))
    typer.echo("same to the last bit" if told.same else _difference(told))


def _print_altered(altered: Altered) -> None:
    typer.echo(
        f"closes: the close of {altered.period} ({CLOSES.name}:0:{altered.offset}) was altered: {altered.told_by}"
    )
    rows = [(one.instrument, _price(one.before), _price(one.price), _price(one.after)) for one in altered.quotes]
    print_table(("instrument", "close before", "price now", "close after"), rows[:SHOWN_MAX])
    _print_rest(len(rows))


def _difference(told: Explanation) -> str:
    if told.recomputed is None:
        return "differs: nothing comes out"
    if not told.differences:
        return "the figure comes out the same, but an input is not what it was"
    count = len(told.differences)
    return f"differs in {count} fields" if count > 1 else "differs in one field"


def _print_rest(count: int) -> None:
    if count > SHOWN_MAX:
        typer.echo(f"and {count - SHOWN_MAX} more (--json has all of them)")


def _money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.2f}"


def _share(part: float | None) -> str:
    return "an unknown part" if part is None else f"{part:.1%}"


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:,.6g}"
