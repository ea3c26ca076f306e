from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest

from tailstream.files.rolling import CHUNK_PERIODS, Rolling, averages, forecast
from tailstream.files.series import Series
from tailstream.files.verdicts import BASEL_LEVEL, verdict_on_hits, verdicts
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import WINDOW, average, next_weights
from tailstream.quant.backtest import fz0_loss
from tailstream.quant.var import Estimate, Fit, Method
from tailstream.quant.var import Window as Looks
from tailstream.quant.var.historical import Historical
from tailstream.runtime import plugins

LEVELS = (0.95, 0.99)
THREE = dict(plugins.methods(250, only=("historical", "age_weighted", "normal")))


def noise(count: int, seed: int = 1) -> Floats:
    return 0.0003 + 0.01 * np.random.default_rng(seed).standard_t(4, count)


def series(returns: Floats, name: str = "A") -> Series:
    days = tuple(datetime(2000, 1, 1) + timedelta(days=day) for day in range(returns.size))
    return Series(name, None, days, returns)


@dataclass(frozen=True)
class Remembers:
    """A fitted method whose VaR is the last return that it was fitted to, and its ES how many fits led there."""

    minimum_observations: int = 1

    id: ClassVar[str] = "remembers"
    version: ClassVar[str] = "1"
    window: ClassVar[Looks] = Looks.FIT
    averaged: ClassVar[bool] = True

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        return self.estimate_with(self.fit(pnl), pnl, levels)

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        return Fit.of({"last": float(pnl[-1]), "fits": 1.0 + (start["fits"] if start else 0.0)})

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        last, fits = fit.parameters["last"], fit.parameters["fits"]
        return Estimate.of({}, [last] * len(levels), [fits] * len(levels))


def rolling(methods: dict[str, Method], window: int = 250, refit_every: int = 1) -> Rolling:
    return Rolling(methods, LEVELS, window, refit_every)


def test_each_period_is_forecast_from_the_window_before_it_and_never_from_itself() -> None:
    returns = noise(300)
    (made,) = forecast([series(returns)], rolling(THREE))
    assert made.returns.tolist() == returns[250:].tolist()
    assert made.dates == series(returns).dates[250:]
    for day in (0, 1, 49):
        assert made.var[day, 0].tolist() == list(Historical().estimate(returns[day : day + 250], LEVELS).var)


def test_a_loss_of_tomorrow_changes_no_forecast_of_today() -> None:
    returns = noise(300)
    shocked = returns.copy()
    shocked[275] = -0.9
    before, after = (forecast([series(each)], rolling(THREE))[0] for each in (returns, shocked))
    assert before.var[:26].tolist() == after.var[:26].tolist()
    assert before.var[26, 2, 0] < after.var[26, 2, 0]


def test_no_method_and_no_average_sees_the_return_that_it_forecasts_or_a_later_one() -> None:
    returns = noise(262)
    shocked = returns.copy()
    shocked[258:] = -0.5, 0.7, 0.0, 1.0
    methods = rolling(dict(plugins.methods(250)), refit_every=3)
    before, after = (forecast([series(each)], methods)[0] for each in (returns, shocked))
    np.testing.assert_array_equal(before.var[:9], after.var[:9])
    np.testing.assert_array_equal(before.es[:9], after.es[:9])
    changed = (before.es[11] != after.es[11]).any(axis=1)
    assert dict(zip(before.methods, changed.tolist(), strict=True)) == dict.fromkeys(before.methods, True)


def test_figures_are_the_same_for_any_number_of_processes() -> None:
    pair = [series(noise(250 + 2 * CHUNK_PERIODS + 7)), series(noise(251, seed=2), "B")]
    methods = dict(plugins.methods(250))
    alone, shared = (forecast(pair, rolling(methods, refit_every=50), jobs=each) for each in (1, 3))
    assert [each.name for each in shared] == ["A", "B"]
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one.var, other.var)
        np.testing.assert_array_equal(one.es, other.es)
        assert (one.dates, one.methods, one.reasons) == (other.dates, other.methods, other.reasons)


def test_progress_is_told_of_every_period_once() -> None:
    told: list[int] = []
    forecast([series(noise(250 + CHUNK_PERIODS + 7))], rolling(THREE), advance=told.append)
    assert told == [CHUNK_PERIODS, 7]


@pytest.mark.parametrize("refit_every", [1, 20, 30, 1000])
def test_a_model_is_fitted_every_so_many_periods_and_starts_where_it_ended(refit_every: int) -> None:
    returns = noise(2 + 450)
    (made,) = forecast([series(returns)], rolling({"remembers": Remembers()}, 2, refit_every))
    for day in range(450):
        fitted = day - day % refit_every
        assert made.var[day, 0, 0] == returns[fitted + 1]
    chunk = -(-CHUNK_PERIODS // refit_every) * refit_every
    assert made.es[min(chunk, 450) - 1, 0, 0] == -(-min(chunk, 450) // refit_every)


def test_a_series_that_is_too_short_has_no_forecasts_and_spoils_no_other() -> None:
    short, long = forecast([series(noise(250)), series(noise(251), "B")], rolling(THREE))
    assert short.var.shape == (0, 4, 2)
    assert long.var.shape == (1, 4, 2)
    assert verdicts(short, LEVELS)["historical"][0].kupiec is None


def test_a_method_without_figures_says_why_and_for_how_many_periods() -> None:
    returns = noise(600)
    returns[400] = 1e200
    (made,) = forecast([series(returns)], rolling(THREE))
    assert made.reasons["normal"] == {"1 of 250 observations are not finite amounts": 199}
    assert np.count_nonzero(np.isnan(made.var[:, 0, 0])) == 199
    assert verdicts(made, LEVELS)["historical"][0].observations == 350 - 199


class FailsAtTimes(Remembers):
    """Cannot fit a window that ends with a loss beyond 2 %, nor use a fit for one that ends with such a gain."""

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        if pnl[-1] < -0.02:
            raise FloatingPointError("no fit")
        return super().fit(pnl, start)

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        if pnl[-1] > 0.02:
            raise FloatingPointError("no use")
        return super().estimate_with(fit, pnl, levels)


def test_a_method_that_raises_costs_only_its_own_figures_of_that_period() -> None:
    returns = noise(450)
    (made,) = forecast([series(returns)], rolling({**THREE, "fails": FailsAtTimes()}))
    ends = returns[249:-1]
    failed = np.abs(ends) > 0.02
    assert np.isnan(made.var[:, 3]).all(axis=1).tolist() == failed.tolist()
    assert made.reasons["fails"] == {
        "FloatingPointError: no fit": np.count_nonzero(ends < -0.02),
        "FloatingPointError: no use": np.count_nonzero(ends > 0.02),
    }
    (others,) = forecast([series(returns)], rolling(THREE))
    assert made.var[:, :3].tolist() == others.var[:, :3].tolist()
    restarted = int(np.argmax(ends < -0.02)) + 1
    assert made.es[restarted, 3, 0] == 1.0


class FitsNothing(Remembers):
    """Its fits have no parameters that are numbers."""

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        return Fit.of({"last": float("nan"), "fits": 1.0})


class FallsWithTheLevel(Remembers):
    """Its figures are in no order."""

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Sequence[float]) -> Estimate:
        return Estimate.of({}, (0.02, 0.01), (0.02, 0.02))


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (FitsNothing(), "parameters: expected finite numbers by name, was last: nan"),
        (FallsWithTheLevel(), "var: expected figures that rise with the level, was [0.02, 0.01]"),
    ],
    ids=["fit", "estimate"],
)
def test_an_answer_that_is_none_is_no_forecast_and_says_what_was_expected(method: Method, reason: str) -> None:
    (made,) = forecast([series(noise(260))], rolling({"broken": method}))
    assert np.isnan(made.var).all()
    assert made.reasons == {"broken": {f"ValueError: {reason}": 10}}


def test_the_average_weighs_by_the_losses_made_before_the_day() -> None:
    (made,) = forecast([series(noise(250 + WINDOW + 20))], rolling(THREE))
    losses = np.add.reduce(fz0_loss(made.returns, made.var[:, :3], made.es[:, :3], LEVELS), axis=-1)
    weights = None
    for day in range(len(made.dates)):
        weights = next_weights(weights, losses[:day])
        expected = average(weights, made.var[day, :3], made.es[day, :3], day)
        assert made.var[day, 3].tolist() == list(expected.var)
        assert made.es[day, 3].tolist() == list(expected.es)
    assert weights is not None
    assert len(set(weights.tolist())) == 3


def test_a_series_of_cash_has_an_average_that_is_undefined_and_says_so() -> None:
    made = averages(np.zeros(3), np.zeros((3, 3, 2)), np.zeros((3, 3, 2)), LEVELS)
    assert np.isnan(made.var).all()
    assert made.reasons == {"average": {"no member ever saw a positive ES": 3}}


def test_a_verdict_by_hand() -> None:
    hits = np.zeros(1000)
    hits[np.linspace(0, 900, 14).astype(int)] = 1.0
    verdict = verdict_on_hits(series(hits), BASEL_LEVEL)
    assert (verdict.observations, verdict.exceptions, verdict.expected) == (1000, 14, 10.0)
    assert verdict.kupiec is not None
    likelihood = 986 * np.log(0.99 / 0.986) + 14 * np.log(0.01 / 0.014)
    assert verdict.kupiec.statistic == pytest.approx(-2.0 * likelihood)
    assert (verdict.traffic_light, verdict.multiplier) == ("green", 1.5)
    assert (verdict.z2, verdict.tick_loss, verdict.fz0_loss) == (None, None, None)


def test_the_traffic_light_is_of_the_last_250_observations_at_99_percent_alone() -> None:
    hits = np.zeros(300)
    hits[:60] = 1.0
    assert verdict_on_hits(series(hits), 0.99).traffic_light == "red"
    hits[:51] = 1.0
    hits[51:60] = 0.0
    assert verdict_on_hits(series(hits), 0.99).traffic_light == "green"
    assert verdict_on_hits(series(hits), 0.975).traffic_light is None
    assert verdict_on_hits(series(hits[:249]), 0.99).traffic_light is None
