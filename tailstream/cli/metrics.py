"""``tailstream metrics``: how the series of files did."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from tailstream.cli.answers import Json, print_document
from tailstream.cli.series import (
    Files,
    Found,
    KindOption,
    Last,
    Plot,
    Positions,
    Source,
    expect_drawable,
    find,
    png,
    print_figures,
)
from tailstream.files.errors import WrongFile
from tailstream.files.holdings import Portfolio
from tailstream.files.notation import metric, percent
from tailstream.files.performance import TRADING_DAYS, DatedDrawdown, Performance, Yardstick, performance_of
from tailstream.files.risk import as_series
from tailstream.files.series import Series
from tailstream.files.table import label
from tailstream.quant.arrays import Figure

app = typer.Typer(add_completion=False)
DEEPEST_SHOWN = 5


@app.command()
def metrics(
    files: Files,
    benchmark: Annotated[str | None, typer.Option(help="The column that the others are measured against.")] = None,
    risk_free: Annotated[float, typer.Option(help="Annual rate, a fraction.")] = 0.0,
    mar: Annotated[float, typer.Option(help="Minimum acceptable return a year, a fraction: Sortino, Omega.")] = 0.0,
    periods_per_year: Annotated[float, typer.Option(help="252 for daily, 12 for monthly returns.")] = TRADING_DAYS,
    kind: KindOption = None,
    last: Last = None,
    positions: Positions = None,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Return, risk and what one paid for the other, and the drawdowns."""
    picture = png(plot)
    _expect_rates(risk_free, mar, periods_per_year)
    found = find(Source(files, kind, last, positions))
    expect_drawable(picture, found)
    by = Yardstick(risk_free, mar, periods_per_year, _named(benchmark, found.columns))
    _expect_worth(found, positions)
    measured = [performance_of(as_series(each), by) for each in found.each]
    if as_json:
        print_document({"series": {each.series.name: _document(each) for each in measured}})
    else:
        _print(measured)
    if picture:
        from tailstream.files.pictures.tear_sheet import draw_performance  # a second that only a picture is worth

        draw_performance(picture, measured, by)


def _expect_rates(risk_free: float, mar: float, periods_per_year: float) -> None:
    for name, rate in (("--risk-free", risk_free), ("--mar", mar)):
        if not -1.0 < rate < 1.0:
            raise typer.BadParameter(f"expected a rate a year such as 0.02, was {rate:g}", param_hint=name)
    if not 1.0 <= periods_per_year <= 1e6:
        hint = "--periods-per-year"
        raise typer.BadParameter(f"expected how many periods a year has, was {periods_per_year:g}", param_hint=hint)


def _expect_worth(found: Found, positions: str | None) -> None:
    """Refuse holdings worth 0 or less. Raises WrongFile: a return is a fraction of what is held."""
    for each in found.each:
        if isinstance(each, Portfolio) and each.in_money:
            raise WrongFile(
                f"{positions}: expected holdings worth more than 0, for returns to be of; were worth {each.value:,.2f}"
            )


def _named(benchmark: str | None, series: Sequence[Series]) -> Series | None:
    if benchmark is None:
        return None
    for each in series:
        if each.name == benchmark:
            return each
    names = ", ".join(each.name for each in series)
    raise typer.BadParameter(f"expected a column of the file, of {names}; was {benchmark!r}", param_hint="--benchmark")


def _document(measured: Performance) -> dict[str, Any]:
    return {
        "n_obs": measured.series.returns.size,
        "metrics": {name: figure._asdict() for name, figure in measured.metrics.items()},
        "drawdowns": [
            {
                "peak": _date(each.peak),
                "valley": label(each.valley),
                "recovery": _date(each.recovery),
                "depth": each.depth,
                "length": each.length,
            }
            for each in measured.drawdowns
        ],
    }


def _date(moment: datetime | None) -> str | None:
    return None if moment is None else label(moment)


def _print(measured: Sequence[Performance]) -> None:
    """A column for each series, then the deepest drawdowns of each."""
    names = list(dict.fromkeys(name for each in measured for name in each.metrics))
    rows = ([name, *(_cell(name, each.metrics.get(name)) for each in measured)] for name in names)
    print_figures("metrics", ["metric", *(each.series.name for each in measured)], rows)
    for each in measured:
        deepest = sorted(each.drawdowns, key=lambda drawdown: -drawdown.depth)[:DEEPEST_SHOWN]
        columns = ("peak", "valley", "recovery", "depth", "periods")
        print_figures(f"{each.series.name}: deepest drawdowns", columns, _drawdown_rows(deepest), (0, 1, 2))


def _cell(name: str, figure: Figure | None) -> str:
    return "" if figure is None else metric(name, figure)


def _drawdown_rows(drawdowns: Sequence[DatedDrawdown]) -> Iterator[list[str]]:
    for each in drawdowns:
        dates = (_date(each.peak) or "before", label(each.valley), _date(each.recovery) or "not yet")
        yield [*dates, percent(each.depth), str(each.length)]
