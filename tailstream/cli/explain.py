"""``tailstream explain``: a published figure, recomputed from the log and compared bit for bit."""

import math
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import typer
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Figure, Status
from contracts.risk import Outcome, RiskBacktested, RiskMeasured
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
from tailstream.explain.chain import LEVEL, Holding, Tail
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
"""Money and parameters from here on are shown without decimals; the document has every digit."""
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
    """The explanation as JSON: the event's own fields, and beside them what it is made of."""
    event = told.published.event
    return {
        **event.model_dump(mode="json"),
        "event": type(event).__name__,
        "published_at": told.published.place,
        "same": told.same,
        "sources": _rows(told.sources),
        "holdings": _rows(told.holdings),
        "tail": told.tail and {**told.tail._asdict(), "worst": _rows(told.tail.worst)},
        "differences": _rows(told.differences),
        "doubts": _rows(told.doubts),
        "altered": told.altered and {**told.altered._asdict(), "quotes": _rows(told.altered.quotes)},
    }


def _rows(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in rows]


# -- for people --------------------------------------------------------------------------------------------------


def _print(told: Explanation) -> None:
    event = told.published.event
    _print_event(told.published)
    _print_titled("Inputs", ("input", "read from", "records"), told.sources)
    _print_holdings(told)
    if told.tail is not None:
        _print_tail(told.tail, event.currency)
    if isinstance(event, RiskMeasured):
        _print_methods(event, told.tail)
    if isinstance(event, RiskBacktested):
        _print_backtests(event)
    _print_verdict(told)


def _print_event(published: Published) -> None:
    event = published.event
    typer.echo(f"{type(event).__name__} {event.event_id}")
    place = f"published as {published.place}"
    typer.echo(f"{event.portfolio_id}, close of {published.period}, in {event.currency}; {place}")
    if isinstance(event, RiskMeasured):
        sizes = f"NAV {_figure(event.nav)}, gross exposure {_figure(event.gross)}"
        typer.echo(f"{sizes}; scenarios cover {_share(event.coverage)} of what is exposed")
    if isinstance(event, RiskBacktested):
        realised = f"actual {_figure(event.actual_pnl)}, hypothetical {_figure(event.hypothetical_pnl)}"
        typer.echo(f"P&L since the close of {event.forecast_period or '(none)'}: {realised}")
    if isinstance(event, PortfolioValued):
        came = f"P&L {_figure(event.pnl)} and flow {_figure(event.flow)} since the close before"
        typer.echo(f"NAV {_figure(event.nav)}: {came}, a return of {_figure(event.period_return)}")
    if isinstance(event, AnalyticsComputed):
        typer.echo(f"{event.analyzer} over {event.n_obs} returns: {event.reason or _computed(event)}")


def _computed(event: AnalyticsComputed) -> str:
    return ", ".join(f"{name} {_figure(figure)}" for name, figure in event.figures.items())


def _print_titled(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    typer.echo(f"\n{title}")
    print_table(columns, rows[:SHOWN_MAX])
    if len(rows) > SHOWN_MAX:
        typer.echo(f"and {len(rows) - SHOWN_MAX} more (--json has all of them)")


def _print_holdings(told: Explanation) -> None:
    """A row a holding, and above them what all of them are exposed to and lost together."""
    held, parts, remarks = told.holdings, _parts(told), _remarks(told.published)
    columns = {
        "holding": ["all", *(one.name for one in held)],
        "quantity": _right(["", *map(_quantity, held)]),
        "price": _right(["", *(f"{_price(one.price)} {one.currency or ''}" for one in held)]),
        "exposure": _amounts([_sum([one.exposure for one in held]), *(one.exposure for one in held)]),
        **{
            title: _amounts([math.fsum(part.values()), *(part.get(one.name) for one in held)])
            for title, part in parts.items()
        },
    }
    remarked = [one.remark or remarks.get(one.name, "") for one in held]
    if any(remarked):
        columns["remark"] = ["", *remarked]
    title = f"Holdings and exposures, in {told.published.event.currency}"
    _print_titled(title, tuple(columns), list(zip(*columns.values(), strict=True)))


def _quantity(held: Holding) -> str:
    return f"{held.quantity:,.0f}" if held.name.startswith("cash:") else f"{held.quantity:,.10g}"


def _parts(told: Explanation) -> dict[str, dict[str, float]]:
    """By the column's name, each holding's part: of the loss that is the VaR, and of the ES."""
    event, tail = told.published.event, told.tail
    parts = {} if tail is None else {f"loss on\n{tail.var_period}": dict(tail.var_losses)}
    if isinstance(event, RiskMeasured) and event.contributions is not None:
        positions = event.contributions.positions
        parts[f"adds to\nES {event.contributions.level}"] = {name: one.component_es for name, one in positions.items()}
    return parts


def _remarks(published: Published) -> dict[str, str]:
    """Whose scenarios are missing, or partly those of another."""
    event = published.event
    if not isinstance(event, RiskMeasured):
        return {}
    return dict.fromkeys(event.uncovered, "left out") | {a: f"history of {b}" for a, b in event.proxied.items()}


def _print_tail(tail: Tail, currency: str) -> None:
    worst = tail.worst
    rows = zip(
        _right([str(one.rank) for one in worst]),
        [one.period for one in worst],
        _amounts([one.loss for one in worst]),
        [one.worst for one in worst],
        _amounts([one.worst_loss for one in worst]),
        ["VaR" if one.is_var else "" for one in worst],
        strict=True,
    )
    title = f"Worst of {tail.scenarios} scenarios, in {currency}: these holdings on the returns of past days"
    _print_titled(title, ("rank", "day", "loss", "lost most", "its loss", ""), list(rows))
    typer.echo(
        f"Historical VaR at {tail.level} is the loss of rank {tail.rank}, ES the mean of the worst {tail.mass:g}."
    )


def _print_methods(event: RiskMeasured, tail: Tail | None) -> None:
    figures = [risk.levels.get(str(LEVEL)) for risk in event.methods.values()]
    rows = zip(
        event.methods,
        _amounts([None if found is None else found.var for found in figures]),
        _amounts([None if found is None else found.es for found in figures]),
        [_origin(name, event, tail) for name in event.methods],
        strict=True,
    )
    _print_titled(f"By method, at {LEVEL}, in {event.currency}", ("method", "VaR", "ES", "from"), list(rows))


def _origin(name: str, event: RiskMeasured, tail: Tail | None) -> str:
    """What a method's figures follow from: a scenario, the weights of the others, or its parameters; or why not."""
    risk = event.methods[name]
    origin = _listed(risk.parameters)
    if name == Historical.id and tail is not None:
        origin = f"the scenario of {tail.var_period}, rank {tail.rank} of {tail.scenarios}"
    if name == AVERAGE and event.averaging is not None:
        origin = _listed(event.averaging.weights)
    doubt = risk.status if risk.status != Status.OK else ""
    return "; ".join(filter(None, (doubt, risk.reason, origin)))


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {_number(number)}" for name, number in numbers.items())


def _print_backtests(event: RiskBacktested) -> None:
    rows = [
        (name, of.observations, _exceptions(of.actual), _exceptions(of.hypothetical), method.traffic_light)
        for name, method in event.methods.items()
        if (of := method.levels.get(str(LEVEL))) is not None
    ]
    columns = ("method", "closes", "beyond VaR, actual", "hypothetical", "traffic light")
    _print_titled(f"Closes at which the loss was beyond the VaR at {LEVEL}", columns, rows)


def _exceptions(outcome: Outcome) -> str:
    return f"{outcome.exceptions}, this one too" if outcome.hit else str(outcome.exceptions)


def _print_verdict(told: Explanation) -> None:
    for doubt in told.doubts:
        typer.echo(f"\n{doubt.input}: {doubt.reason}")
    if told.altered is not None:
        _print_altered(told.altered)
    if told.differences:
        _print_titled("What differs", ("field", "published", "recomputed"), told.differences)
    verdict = "same to the last bit" if told.same else _difference(told)
    typer.echo(f"\n{verdict}")


def _print_altered(altered: Altered) -> None:
    rows = [(one.instrument, *map(_price, (one.before, one.price, one.after))) for one in altered.quotes]
    title = f"closes: the close of {altered.period} ({CLOSES.name}:0:{altered.offset}) was altered: {altered.told_by}"
    _print_titled(title, ("instrument", "close before", "price now", "close after"), rows)


def _difference(told: Explanation) -> str:
    if told.recomputed is None:
        return "differs: nothing comes out"
    if not told.differences:
        return "the figure comes out the same, but an input is not what it was"
    count = len(told.differences)
    return f"differs in {count} fields" if count > 1 else "differs in one field"


def _sum(numbers: Sequence[float | None]) -> float | None:
    """None where one is unknown."""
    known = [number for number in numbers if number is not None]
    return math.fsum(known) if len(known) == len(numbers) else None


def _figure(figure: Figure) -> str:
    return str(figure.status) if figure.value is None else _number(figure.value)


def _number(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= WHOLE_FROM else f"{number:.4g}"


def _amounts(amounts: Sequence[float | None]) -> list[str]:
    """A column of money: cents where all of it is small; None is left empty."""
    decimals = 0 if any(abs(amount or 0.0) >= WHOLE_FROM for amount in amounts) else 2
    return _right(["" if amount is None else f"{amount:,.{decimals}f}" for amount in amounts])


def _right(cells: Sequence[str]) -> list[str]:
    """A column's cells at one width, so that digits stand beneath digits."""
    width = max(map(len, cells), default=0)
    return [cell.rjust(width) for cell in cells]


def _share(part: float | None) -> str:
    return "an unknown part" if part is None else f"{part:.1%}"


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:,.6g}"
