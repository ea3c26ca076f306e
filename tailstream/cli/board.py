"""What the demo shows of each portfolio: the newest of every event that the gateway sent, as rows and as a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Event
from contracts.limits import LimitState
from contracts.portfolio import PortfolioDefined
from contracts.risk import RiskMeasured

METHOD = "historical"
_EVERY_KIND = {kind.__name__ for kind in (AnalyticsComputed, RiskMeasured, LimitState)}
LEVELS = ("ok", "warn", "breach")
_STYLES = {"ok": "green", "warn": "yellow", "breach": "bold red"}


@dataclass
class Row:
    """One portfolio. Money is in ``currency``; None is not known (yet), or undefined."""

    definition: PortfolioDefined
    nav: float | None = None
    pnl: float | None = None
    """Since the last close."""
    var_99: float | None = None
    es_975: float | None = None
    levels: dict[str, str] = field(default_factory=dict)
    alerts: set[str] = field(default_factory=set)
    received: set[str] = field(default_factory=set)
    """Which kinds of events have come."""

    @property
    def level(self) -> str | None:
        """The worst level of its limits; None without limits."""
        return max(self.levels.values(), key=LEVELS.index, default=None)


class Board:
    """Every portfolio that is defined, with the newest of what came for it."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.alerts_raised = 0

    def define(self, definition: PortfolioDefined) -> None:
        """Show a portfolio, or show it under its newer name."""
        row = self.rows.setdefault(definition.portfolio_id, Row(definition))
        row.definition = definition

    def close(self, portfolio_id: str) -> None:
        """Show a portfolio no more."""
        self.rows.pop(portfolio_id, None)

    def apply(self, event: Event) -> None:
        """Take in what the gateway sent; an event of an unknown portfolio is not shown."""
        row = self.rows.get(getattr(event, "portfolio_id", ""))
        if row is None:
            return
        row.received.add(type(event).__name__)
        match event:
            case AnalyticsComputed(analyzer="basic"):
                row.nav, row.pnl = event.figures["nav"].value, event.figures["pnl"].value
            case PortfolioValued():
                row.nav, row.pnl = event.nav.value, event.pnl.value
            case RiskMeasured():
                _measure(row, event)
            case LimitState():
                row.levels[event.limit_id] = max(event.level, event.live_level, key=LEVELS.index)
            case AlertChanged():
                self._alert(row, event)

    def _alert(self, row: Row, event: AlertChanged) -> None:
        identity = str(event.alert_id)
        if event.state == "resolved":
            row.alerts.discard(identity)
        else:
            self.alerts_raised += identity not in row.alerts
            row.alerts.add(identity)

    def complete(self) -> list[str]:
        """The portfolios for which metrics, risk and limits have all come."""
        return sorted(name for name, row in self.rows.items() if row.received >= _EVERY_KIND)


def _measure(row: Row, event: RiskMeasured) -> None:
    method = event.methods.get(METHOD)
    levels = method.levels if method else {}
    row.var_99 = levels["0.99"].var if "0.99" in levels else None
    row.es_975 = levels["0.975"].es if "0.975" in levels else None


def table(rows: Mapping[str, Row], *, lines_max: int) -> Table:
    """The rows as a table of at most ``lines_max`` lines: parents first, then the books closest to their limits."""
    shown = sorted(rows.values(), key=lambda row: _rank(row, rows))[: max(1, lines_max)]
    drawn = Table(expand=True, pad_edge=False, caption=_caption(len(shown), len(rows)))
    drawn.add_column("portfolio", no_wrap=True)
    for column in ("NAV", "P&L", "VaR 99", "ES 97.5"):
        drawn.add_column(column, justify="right", no_wrap=True)
    drawn.add_column("limits")
    drawn.add_column("alerts", justify="right")
    for row in shown:
        drawn.add_row(*_cells(row))
    return drawn


def _rank(row: Row, rows: Mapping[str, Row]) -> tuple[int, int, int, str]:
    parents = {other.definition.parent for other in rows.values()}
    is_parent = row.definition.portfolio_id in parents
    depth = 0 if row.definition.parent is None else 1
    worst = LEVELS.index(row.level) if row.level else 0
    return (depth if is_parent else 2, -worst, -len(row.alerts), row.definition.portfolio_id)


def _cells(row: Row) -> Iterable[Text]:
    yield Text(row.definition.portfolio_id)
    yield _money(row.nav, row.definition.base_currency)
    yield _money(row.pnl, "", style="red" if (row.pnl or 0) < 0 else "green")
    yield _money(row.var_99, "")
    yield _money(row.es_975, "")
    yield Text(row.level or "none", style=_STYLES.get(row.level or "", "dim"))
    yield Text(str(len(row.alerts) or ""), style="red")


def _money(value: float | None, currency: str, style: str = "") -> Text:
    return Text("-", style="dim") if value is None else Text(f"{currency} {value:,.0f}".strip(), style=style)


def _caption(shown: int, total: int) -> str | None:
    return None if shown == total else f"{shown} of {total}: desks, then the books closest to their limits"
