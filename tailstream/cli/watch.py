"""``tailstream watch``: a portfolio's figures as they come, over the gateway's WebSocket; a line an update."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from tailstream.client import Client, Ended, Gap, Item, Snapshot, Update

app = typer.Typer()
_FIGURES_SHOWN = ("nav", "pnl", "period_return", "volatility", "drawdown", "gross", "leverage", "concentration_hhi")
_UNDEFINED = "-"


@app.command()
def watch(
    portfolio: Annotated[str, typer.Argument(help="Its id, such as equity-01.")],
    url: Annotated[str, typer.Option(envvar="TAILSTREAM_URL", help="The gateway's WebSocket.")] = (
        "ws://127.0.0.1:8000/ws/v1"
    ),
    token: Annotated[str, typer.Option(envvar="TAILSTREAM_TOKEN", help="From `tailstream token`.")] = "",
    max_rate_hz: Annotated[float | None, typer.Option(help="At most so many updates a second of each kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """A portfolio's figures as they come, over the WebSocket; Ctrl-C ends it."""
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(_watch(portfolio, url, token, max_rate_hz, as_json))


async def _watch(portfolio: str, url: str, token: str, max_rate_hz: float | None, as_json: bool) -> None:
    async with Client(url, token, name="tailstream-watch") as client:
        await client.analytics(portfolio, max_rate_hz=max_rate_hz)
        await client.risk(portfolio, max_rate_hz=max_rate_hz)
        await client.limits(portfolio, max_rate_hz=max_rate_hz)
        await client.alerts(portfolio)
        async for item in client:
            for line in _lines(item, as_json):
                sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


def _lines(item: Item, as_json: bool) -> Iterator[str]:
    match item:
        case Snapshot(_, updates):
            for update in updates:
                yield _json_line(update) if as_json else _line(update)
        case Update():
            yield _json_line(item) if as_json else _line(item)
        case Gap(subscription, from_seq, to_seq, reason):
            print(f"{subscription.kind}: {to_seq - from_seq + 1} updates are missing: {reason}", file=sys.stderr)
        case Ended(subscription, reason):
            print(f"{subscription.kind}: ended: {reason}", file=sys.stderr)


def _json_line(update: Update) -> str:
    document = {
        "kind": update.subscription.kind,
        "portfolio_id": update.subscription.portfolio_id,
        "group": update.group,
        "seq": update.seq,
        "basis": update.basis,
        "as_of": None if update.as_of is None else update.as_of.isoformat(),
        "conflated": update.conflated,
        "data": update.data,
    }
    return json.dumps(document, separators=(",", ":"))


def _line(update: Update) -> str:
    data = update.data
    as_of = _UNDEFINED if update.as_of is None else f"{update.as_of:%Y-%m-%d %H:%M:%S}"
    told = "gone" if data is None else "  ".join(_told(update.subscription.kind, data))
    return f"{as_of}  {update.subscription.kind:<11}  {update.group:<20}  {told}"


def _told(kind: str, data: dict[str, Any]) -> Iterable[str]:
    match kind:
        case "risk":
            return _risk(data)
        case "limits":
            return _limit(data)
        case "risk_alerts":
            return (data["severity"], data["state"], data["message"])
    figures = data.get("figures", data)
    return [f"{name} {_figure(figures[name])}" for name in _shown(figures)]


def _shown(figures: dict[str, Any]) -> list[str]:
    """The best known figures, or the first few of an analyzer that has none of them."""
    known = [name for name in _FIGURES_SHOWN if name in figures]
    return known or list(figures)[:5]


def _figure(figure: dict[str, Any]) -> str:
    return figure["status"] if figure["value"] is None else _number(figure["value"])


def _risk(data: dict[str, Any]) -> Iterator[str]:
    for name, method in data["methods"].items():
        level = method["levels"].get("0.99")
        yield (
            f"{name} {method['status']}"
            if level is None
            else (f"{name} VaR 99 {_number(level['var'])} ES 99 {_number(level['es'])}")
        )


def _limit(data: dict[str, Any]) -> Iterator[str]:
    yield data["level"]
    yield f"{data['metric']} {_number(data['value'])} of {_number(data['effective'])} {data['currency'] or ''}".rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return _UNDEFINED
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
