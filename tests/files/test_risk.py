import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest

from tailstream.files.contributions import contributions
from tailstream.files.holdings import Portfolio
from tailstream.files.risk import Levels, risk_of
from tailstream.files.series import Series
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.var import Estimate, Method, Simulation
from tailstream.quant.var.historical import Historical
from tailstream.quant.var.normal import Normal
from tailstream.runtime import plugins
from tests.engines.scripted_methods import OfMarket, worst

LEVELS = Levels((0.95, 0.99))
THREE = plugins.methods(250, only=("historical", "age_weighted", "normal"))


def days(count: int) -> tuple[datetime, ...]:
    return tuple(datetime(2020, 1, 1) + timedelta(days=day) for day in range(count))


def series(returns: Floats) -> Series:
    return Series("A", None, days(returns.size), returns)


def noise(*shape: int, seed: int = 1) -> Floats:
    return 0.0003 + 0.01 * np.random.default_rng(seed).standard_t(4, shape)


def portfolio(exposures: list[float], periods: int = 500) -> Portfolio:
    names = tuple("ABCDEF"[: len(exposures)])
    return Portfolio(names, np.array(exposures), None, days(periods), noise(len(exposures), periods))


def test_a_series_has_the_figures_of_the_methods_themselves() -> None:
    returns = noise(500)
    risk = risk_of(series(returns), THREE, LEVELS)
    assert {name: risk.estimates[name] for name in THREE} == {
        name: method.estimate(returns, LEVELS.each) for name, method in THREE.items()
    }


def test_the_average_has_equal_weights_for_there_is_no_history_of_losses() -> None:
    risk = risk_of(series(noise(500)), THREE, LEVELS)
    members = [risk.estimates[name].var[0] for name in THREE]
    assert risk.estimates["average"].var[0] == pytest.approx(np.mean([x for x in members if x is not None]))
    assert risk.estimates["average"].parameters == {name: pytest.approx(1 / 3) for name in THREE}


class Fails(Historical):
    """A plug-in with a bug."""

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        raise KeyError("df")


class SaysNothing(Historical):
    """A plug-in whose figures are no numbers."""

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        return Estimate.of({}, [math.nan] * len(levels), [math.inf] * len(levels))


class SaysTooLittle(Historical):
    """A plug-in that forgets a level."""

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        return Estimate.of({}, [0.01], [0.02])


class SaysLessThanVar(Historical):
    """A plug-in whose ES is an average of too much."""

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        return Estimate.of({}, (0.01, 0.02), (0.015, 0.019))


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (Fails(250), "KeyError: 'df'"),
        (SaysNothing(250), "ValueError: var: expected finite numbers, was [nan, nan]"),
        (SaysTooLittle(250), "ValueError: var: expected one for each of 2 levels, was [0.01]"),
        (SaysLessThanVar(250), "ValueError: es: expected at least VaR, [0.01, 0.02], was [0.015, 0.019]"),
    ],
    ids=["raises", "no numbers", "too few", "ES below VaR"],
)
@pytest.mark.parametrize("what", [series(noise(500)), portfolio([3e6, -1e6])], ids=["series", "portfolio"])
def test_a_failing_method_is_degraded_with_its_reason_and_the_others_have_their_figures(
    what: Series | Portfolio, method: Method, reason: str
) -> None:
    risk = risk_of(what, {**THREE, "broken": method}, LEVELS)
    assert (risk.estimates["broken"].status, risk.estimates["broken"].reason) == ("degraded", reason)
    whole = risk_of(what, THREE, LEVELS).estimates
    assert {name: risk.estimates[name] for name in THREE} == {name: whole[name] for name in THREE}
    assert risk.estimates["average"].var == whole["average"].var


def test_two_methods_have_no_average() -> None:
    two = {name: THREE[name] for name in ("historical", "normal")}
    assert list(risk_of(series(noise(500)), two, LEVELS).estimates) == ["historical", "normal"]


def test_too_short_a_series_says_so_in_every_method_and_the_average() -> None:
    risk = risk_of(series(noise(100)), THREE, LEVELS)
    assert {estimate.status for estimate in risk.estimates.values()} == {"insufficient"}
    assert risk.estimates["historical"].reason == "needs 250 observations, has 100"


def test_the_square_root_of_time_scales_var_and_es_and_no_parameter() -> None:
    once, scaled = (risk_of(series(noise(500)), THREE, Levels(LEVELS.each, periods)) for periods in (1, 10))
    for name in (*THREE, "average"):
        assert scaled.estimates[name].var == pytest.approx([math.sqrt(10) * (x or 0) for x in once.estimates[name].var])
        assert scaled.estimates[name].es == pytest.approx([math.sqrt(10) * (x or 0) for x in once.estimates[name].es])
        assert scaled.estimates[name].parameters == once.estimates[name].parameters


def test_a_portfolio_is_measured_in_fractions_of_its_value_and_in_money() -> None:
    held = portfolio([3e6, -1e6, 5e5])
    risk = risk_of(held, THREE, LEVELS)
    in_money = Historical().estimate(held.pnl, LEVELS.each)
    assert risk.money is not None
    assert risk.money.value == 2.5e6
    assert risk.money.estimates["historical"].var == pytest.approx(in_money.var)
    assert risk.estimates["historical"].es == pytest.approx([(x or 0) / 2.5e6 for x in in_money.es])
    assert risk.estimates["normal"].parameters["sigma"] == pytest.approx(np.std(held.pnl, ddof=1) / 2.5e6)


@pytest.mark.parametrize("exposures", [[1e6, -1e6], [1e6, -3e6]])
def test_holdings_worth_nothing_or_less_have_money_figures_alone(exposures: list[float]) -> None:
    held = portfolio(exposures)
    risk = risk_of(held, THREE, LEVELS)
    assert {estimate.status for estimate in risk.estimates.values()} == {"ruined"}
    assert risk.money is not None
    assert risk.money.estimates["historical"] == Historical().estimate(held.pnl, LEVELS.each)


def market_methods() -> Mapping[str, Method]:
    return {name: method for name, method in plugins.methods(250).items() if hasattr(method, "simulate")}


def test_scenarios_are_remade_for_all_instruments_together_and_not_for_their_sum() -> None:
    held = portfolio([3e6, -1e6, 5e5])
    for name, method in market_methods().items():
        estimates = risk_of(held, {name: method}, LEVELS).estimates
        simulation = method.simulate(held.returns, 20_000)  # type: ignore[attr-defined]
        pnl = scenario_pnl(held.exposures / held.value, simulation.returns)
        assert estimates[name] == method.estimate_simulated(simulation, pnl, LEVELS.each)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Simulation.missing("insufficient", "too quiet", 2), "insufficient", "too quiet"),
        (
            Simulation.of({}, np.zeros((1, 9))),
            "degraded",
            "returns: expected float64 (2, S) of S > 0 scenarios, was float64 (1, 9)",
        ),
        (
            Simulation.of({"x": math.nan}, np.zeros((2, 9))),
            "degraded",
            "parameters: expected finite numbers by name, was x: nan",
        ),
    ],
    ids=["says no", "shape", "parameters"],
)
def test_scenarios_that_are_none_have_no_figures_and_the_reason(answer: Simulation, status: str, reason: str) -> None:
    remakes = OfMarket("broken", worst, simulating=lambda _: answer)
    estimate = risk_of(portfolio([3e6, -1e6]), {"broken": remakes}, LEVELS).estimates["broken"]
    assert (estimate.status, estimate.var) == (status, (None, None))
    assert str(estimate.reason).removeprefix("ValueError: ") == reason


def test_levels_may_be_asked_for_in_any_order() -> None:
    falling = risk_of(series(noise(500)), THREE, Levels(LEVELS.each[::-1]))
    rising = risk_of(series(noise(500)), THREE, LEVELS)
    for name, estimate in rising.estimates.items():
        assert (falling.estimates[name].var, falling.estimates[name].es) == (estimate.var[::-1], estimate.es[::-1])


@pytest.mark.parametrize("periods", [1, 10])
def test_contributions_sum_to_historical_es_and_to_normal_var_without_its_mean(periods: int) -> None:
    held = portfolio([3e6, -1e6, 5e5])
    parts = contributions(held, Levels((0.975,), periods)).levels[0.975]
    assert list(parts) == ["A", "B", "C"]
    root = math.sqrt(periods)
    es = Historical().estimate(held.pnl, [0.975]).es[0]
    normal = Normal().estimate(held.pnl - held.pnl.mean(), [0.975]).var[0]
    assert es is not None
    assert normal is not None
    assert sum(part.component_es for part in parts.values()) == pytest.approx(root * es)
    assert sum(part.component_var or 0.0 for part in parts.values()) == pytest.approx(root * normal)
    assert sum(part.marginal_es * part.exposure for part in parts.values()) == pytest.approx(root * es)


def test_contributions_need_as_many_scenarios_as_the_methods() -> None:
    declined = contributions(portfolio([1e6, 1e6], periods=249), LEVELS)
    assert declined == ("insufficient", "needs 250 observations, has 249", {})


def test_a_position_that_never_moves_contributes_nothing() -> None:
    held = portfolio([1e6, 1e6])
    still = Portfolio(
        held.instruments, held.exposures, None, held.dates, np.vstack([held.returns[0], 0.0 * held.returns[1]])
    )
    assert contributions(still, LEVELS).levels[0.95]["B"] == (1e6, 0.0, 0.0, 0.0)
    constant = Portfolio(held.instruments, held.exposures, None, held.dates, 0.0 * held.returns)
    assert contributions(constant, LEVELS).levels[0.95]["A"].component_var is None
