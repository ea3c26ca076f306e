"""``tailstream backtest``: methods of VaR, or given hits, against what came."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tailstream.cli.answers import Json, print_document
from tailstream.cli.series import (
    Files,
    KindOption,
    Last,
    LevelOption,
    MethodOption,
    Plot,
    Positions,
    Source,
    expect_drawable,
    find,
    find_hits,
    levels_of,
    methods_of,
    png,
    print_figures,
)
from tailstream.files.risk import as_series
from tailstream.files.rolling import Forecasts, Reasons, Rolling, forecast, periods_to_forecast
from tailstream.files.series import Series
from tailstream.files.verdicts import Test, Verdict, verdict_on_hits, verdicts
from tailstream.quant.var import MINIMUM_OBSERVATIONS

app = typer.Typer(add_completion=False)
HITS = "hits"
COLUMNS = ("method", "level", "exceptions\n(expected)", "Kupiec\np", "indep.\np", "Z2", "FZ0\nloss", "traffic\nlight")
"""What people are shown of a verdict; a document has all of it."""
LEGEND = (
    "p: how often a right method would look as bad, or worse, by the number of its exceptions (Kupiec), or by how they "
    "follow each other (indep.). Z2 below 0: ES too small. FZ0: the smaller the better. The light is Basel's, of the "
    "last 250 periods at 99 %."
)

Verdicts = Mapping[str, Sequence[Verdict]]


@app.command()
def backtest(
    files: Files,
    method: MethodOption = None,
    level: LevelOption = None,
    window: Annotated[int, typer.Option(min=MINIMUM_OBSERVATIONS, help="Periods before each that estimate it.")] = 500,
    refit_every: Annotated[int, typer.Option(min=1, help="Fit models anew every so many periods.")] = 1,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core unless told.")] = None,
    hits: Annotated[bool, typer.Option("--hits", help="The columns are 1 for a loss beyond VaR, 0 for none.")] = False,
    kind: KindOption = None,
    last: Last = None,
    positions: Positions = None,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Roll through the series: VaR and ES of each period from the window before it, tested against what came."""
    source, picture = Source(files, kind, last, positions), png(plot)
    if hits:
        _expect_alone(method=method, jobs=jobs, plot=plot)
        of_hits = _one(level)
        _answer(_of_hits(source, of_hits), [of_hits], {}, as_json)
        return
    rolling = Rolling(methods_of(method), levels_of(level), window, refit_every)
    found = find(source)
    expect_drawable(picture, found)
    made = _forecasts([as_series(each) for each in found.each], rolling, jobs or os.cpu_count() or 1)
    tested = {each.name: verdicts(each, rolling.levels) for each in made}
    _answer(tested, rolling.levels, {each.name: each.reasons for each in made}, as_json, found.in_money)
    if picture:
        from tailstream.files.pictures.band import draw_backtests  # a second that only a picture is worth

        draw_backtests(picture, made, rolling.levels, found.in_money)


def _forecasts(series: Sequence[Series], rolling: Rolling, jobs: int) -> list[Forecasts]:
    """Forecast with a progress bar on standard error where that is a terminal."""
    total = sum(periods_to_forecast(each, rolling.window) for each in series)
    if not total:
        longest = max(each.returns.size for each in series)
        expected = f"expected fewer periods than the longest series has, {longest}; was {rolling.window}"
        raise typer.BadParameter(expected, param_hint="--window")
    columns = TextColumn("forecasting"), BarColumn(), MofNCompleteColumn(), TextColumn("periods"), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        return forecast(series, rolling, jobs, lambda periods: progress.advance(task, periods))


def _of_hits(source: Source, level: float) -> dict[str, Verdicts]:
    each = (as_series(column) for column in find_hits(source).each)
    return {column.name: {HITS: [verdict_on_hits(column, level)]} for column in each}


def _expect_alone(**told: object) -> None:
    """Refuse what there is nothing to do with when hits are given."""
    for name, value in told.items():
        if value is not None:
            raise typer.BadParameter("expected none with --hits, which are not forecast here", param_hint=f"--{name}")


def _one(levels: Sequence[float] | None) -> float:
    if levels is None or len(levels) != 1:
        raise typer.BadParameter("expected the one level of the VaR that was hit", param_hint="--level")
    return levels_of(levels)[0]


def _answer(
    tested: Mapping[str, Verdicts],
    levels: Sequence[float],
    reasons: Mapping[str, Reasons],
    as_json: bool,
    in_money: bool = False,
) -> None:
    if as_json:
        series = {name: _document(each, levels, reasons.get(name, {})) for name, each in tested.items()}
        print_document({"series": series})
        return
    for name, each in tested.items():
        title = f"{name}: {_periods(each)} periods" + (", P&L in money" if in_money else "")
        print_figures(title, COLUMNS, _rows(each, levels), (0, len(COLUMNS) - 1), LEGEND)
        for method, why in reasons.get(name, {}).items():
            for reason, periods in why.most_common():
                typer.echo(f"{method}: no figures for {periods} periods: {reason}")


def _document(tested: Verdicts, levels: Sequence[float], reasons: Reasons) -> dict[str, Any]:
    """``missing`` tells why a method had no figures for some periods, and for how many."""
    methods = {
        method: {str(level): _figures(verdict) for level, verdict in zip(levels, each, strict=True)}
        for method, each in tested.items()
    }
    missing = {method: dict(why) for method, why in reasons.items() if why}
    return {"methods": methods, "missing": missing} if missing else {"methods": methods}


def _figures(verdict: Verdict) -> dict[str, Any]:
    return {name: value._asdict() if isinstance(value, Test) else value for name, value in verdict._asdict().items()}


def _periods(tested: Verdicts) -> int:
    """Of the method that had figures for the most."""
    return max(verdict.observations for each in tested.values() for verdict in each)


def _rows(tested: Verdicts, levels: Sequence[float]) -> Iterator[list[str]]:
    for method, each in tested.items():
        for level, verdict in zip(levels, each, strict=True):
            yield [
                method,
                f"{100 * level:g} %",
                f"{verdict.exceptions} ({verdict.expected:.1f})",
                _p_value(verdict.kupiec),
                _p_value(verdict.independence),
                _number(verdict.z2, ".2f"),
                _number(verdict.fz0_loss, ".3f"),
                f"{verdict.traffic_light} {verdict.multiplier:.2f}" if verdict.traffic_light else "-",
            ]


def _p_value(test: Test | None) -> str:
    return _number(test.p_value if test else None, ".3f")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
