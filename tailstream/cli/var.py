"""``tailstream var``: Value at Risk and Expected Shortfall of the series, or of one portfolio, in files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from tailstream.cli.answers import Json, print_document
from tailstream.cli.series import (
    Files,
    Found,
    KindOption,
    Last,
    LevelOption,
    MethodOption,
    Plot,
    Positions,
    Source,
    expect_drawable,
    find,
    levels_of,
    methods_of,
    png,
    print_figures,
)
from tailstream.files.contributions import Contribution, Contributions, contributions
from tailstream.files.holdings import Portfolio
from tailstream.files.notation import amount, hundredths, percent
from tailstream.files.risk import PORTFOLIO, Levels, Risk, risk_of
from tailstream.files.table import label
from tailstream.quant.var import Estimate

app = typer.Typer(add_completion=False)
GAIN = "A loss below 0 is a gain."


class Horizon(NamedTuple):
    """Over how many periods, and whether by overlapping scenarios of that length or by the square root of time."""

    periods: int
    by_root: bool

    @property
    def scenario(self) -> int:
        """How many periods one scenario is long."""
        return 1 if self.by_root else self.periods

    @property
    def scale(self) -> int:
        """Over how many periods the figures of one scenario are scaled."""
        return self.periods if self.by_root else 1

    def document(self) -> dict[str, Any]:
        """How a document tells it; one period goes without saying."""
        scaling = "square_root_of_time" if self.by_root else "overlapping"
        return {"horizon": self.periods, "scaling": scaling} if self.periods > 1 else {}

    def __str__(self) -> str:
        if self.periods == 1:
            return ""
        how = "1 scaled by the square root of time" if self.by_root else "overlapping"
        return f" of {self.periods} periods, {how}"


@app.command()
def var(
    files: Files,
    method: MethodOption = None,
    level: LevelOption = None,
    kind: KindOption = None,
    last: Last = None,
    positions: Positions = None,
    horizon: Annotated[int, typer.Option(min=1, help="Periods, as overlapping scenarios of that length.")] = 1,
    sqrt_time: Annotated[bool, typer.Option("--sqrt-time", help="Scale one period by sqrt(horizon) instead.")] = False,
    contributed: Annotated[bool, typer.Option("--contributions", help="What each of --positions adds.")] = False,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Value at Risk and Expected Shortfall, positive = loss, as a fraction of value; with --positions in money too."""
    over = Horizon(horizon, sqrt_time)
    levels, methods, picture = Levels(levels_of(level), over.scale), methods_of(method), png(plot)
    found = find(Source(files, kind, last, positions), over.scenario)
    expect_drawable(picture, found)
    risks = [risk_of(each, methods, levels) for each in found.each]
    parts = _contributions(found, levels) if contributed else None
    if as_json:
        print_document(_document(found, over, risks, levels.each, parts))
    else:
        _print(found, over, risks, levels.each)
        if parts:
            _print_contributions(parts)
    if picture:
        from tailstream.files.pictures.distribution import draw_risks  # a second that only a picture is worth

        draw_risks(picture, {_heading(found, over, risk): risk for risk in risks}, levels.each)


def _contributions(found: Found, levels: Levels) -> Contributions:
    for each in found.each:
        if isinstance(each, Portfolio):
            return contributions(each, levels)
    raise typer.BadParameter("expected --positions, which are what contributes", param_hint="--contributions")


def _document(
    found: Found, over: Horizon, risks: Sequence[Risk], levels: Sequence[float], parts: Contributions | None
) -> dict[str, Any]:
    series = {risk.name: _series(risk, levels) for risk in risks}
    if parts:
        series[PORTFOLIO]["contributions"] = _parts(parts)
    return {"as_of": label(found.as_of), "kind": found.kind, **over.document(), "series": series}


def _parts(parts: Contributions) -> dict[str, Any]:
    levels = {
        str(level): {instrument: part._asdict() for instrument, part in each.items()}
        for level, each in parts.levels.items()
    }
    return {"status": parts.status, "reason": parts.reason, "levels": levels}


def _series(risk: Risk, levels: Sequence[float]) -> dict[str, Any]:
    methods = {name: _method(estimate, levels) for name, estimate in risk.estimates.items()}
    if risk.money is None:
        return {"n_obs": risk.pnl.size, "methods": methods}
    for name, money in risk.money.estimates.items():
        for figures, var, es in zip(methods[name]["levels"].values(), money.var, money.es, strict=True):
            figures |= {"var_money": var, "es_money": es}
    return {"n_obs": risk.pnl.size, "value": risk.money.value, "methods": methods}


def _method(estimate: Estimate, levels: Sequence[float]) -> dict[str, Any]:
    figures = zip(levels, estimate.var, estimate.es, strict=True)
    return {
        "status": estimate.status,
        "reason": estimate.reason,
        "parameters": dict(estimate.parameters),
        "levels": {str(level): {"var": var, "es": es} for level, var, es in figures},
    }


def _print(found: Found, over: Horizon, risks: Sequence[Risk], levels: Sequence[float]) -> None:
    columns, words = ["method", *(f"{100 * level:g} %\nVaR / ES" for level in levels), "status"], (0, len(levels) + 1)
    for risk in risks:
        if risk.in_fractions:
            title = f"{_heading(found, over, risk)}; losses in %"
            print_figures(title, columns, _rows(risk.estimates, hundredths), words, _legend(risk.estimates))
        if risk.money:
            title = f"{_heading(found, over, risk)}; losses in money"
            print_figures(title, columns, _rows(risk.money.estimates, amount), words, _legend(risk.money.estimates))


def _heading(found: Found, over: Horizon, risk: Risk) -> str:
    worth = f" worth {amount(risk.money.value)}" if risk.money else ""
    return f"{risk.name}{worth}, as of {label(found.as_of)}: {risk.pnl.size} scenarios{over}"


def _legend(estimates: Mapping[str, Estimate]) -> str:
    """What a figure below 0 is, where there is one."""
    figures = [figure for estimate in estimates.values() for figure in (*estimate.var, *estimate.es)]
    return GAIN if any(figure is not None and figure < 0.0 for figure in figures) else ""


def _rows(estimates: Mapping[str, Estimate], show: Callable[[float | None], str]) -> Iterator[list[str]]:
    for name, estimate in estimates.items():
        cells = [f"{show(var)} / {show(es)}" for var, es in zip(estimate.var, estimate.es, strict=True)]
        yield [name, *cells, f"{estimate.status}: {estimate.reason}" if estimate.reason else estimate.status]


def _print_contributions(parts: Contributions) -> None:
    """A table for each level, the largest component of ES first."""
    if parts.status != "ok":
        typer.echo(f"contributions: {parts.status}: {parts.reason}")
    for level, each in parts.levels.items():
        columns = ("instrument", "exposure", "component ES", "share", "marginal ES", "component VaR")
        print_figures(f"contributions at {100 * level:g} %, in money", columns, _part_rows(each))


def _part_rows(each: Mapping[str, Contribution]) -> Iterator[list[str]]:
    whole = sum(part.component_es for part in each.values())
    for instrument, part in sorted(each.items(), key=lambda item: -item[1].component_es):
        share = part.component_es / whole if whole else None
        money = (amount(part.exposure), amount(part.component_es), percent(share))
        yield [instrument, *money, f"{part.marginal_es:.4f}", amount(part.component_var)]
