"""Backtests by hand, against published tables and other packages, and on what has no answer."""

import csv
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tailstream.quant import backtest as tested
from tailstream.quant.backtest import Backtest, TrafficLight, fz0_loss, hits, observed, recent, tick_loss, traffic_light

from .cases import LEVELS, WINDOWS, noise

pytestmark = pytest.mark.filterwarnings("error")

REFERENCES = Path(__file__).parent / "references"
SERIES = np.genfromtxt(REFERENCES / "backtest_series.csv", delimiter=",", names=True)
with (REFERENCES / "backtests.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))

CRITICAL_5_PERCENT = 3.8414588
KUPIEC_1995 = {
    # probability: {observations: exceptions between which a model is not rejected at 5 %}
    0.99: {510: (1, 11), 1000: (4, 17)},
    0.975: {255: (2, 12), 510: (6, 21), 1000: (15, 36)},
    0.95: {255: (6, 21), 510: (16, 36), 1000: (37, 65)},
    0.925: {255: (11, 28), 510: (27, 51), 1000: (59, 92)},
    0.9: {255: (16, 36), 510: (38, 65), 1000: (81, 120)},
}


def exceptions_of(count: int, observations: int) -> np.ndarray:
    """That many hits, at the start, among so many observations."""
    return np.repeat([1.0, 0.0], [count, observations - count])


def transitions(n00: int, n01: int, n10: int, n11: int) -> np.ndarray:
    """A series of hits with so many transitions from none to none, none to a hit, a hit to none and a hit to a hit."""
    assert n01 == n10
    episodes = [0.0] * n00 + [0.0, 1.0] * n01
    return np.array([*episodes[:-1], *[1.0] * n11, 1.0, 0.0])


def one(pnl: list[float], var: list[float], es: list[float], level: float = 0.99) -> Backtest:
    """The backtest of one forecast, each result a number."""
    columns = (np.array(values)[:, None] for values in (var, es))
    return scalar(tested.backtest(np.array(pnl), *columns, [level]), 0)


def scalar(result: Backtest, *place: int) -> Backtest:
    """The results of one of several forecasts."""
    ratios = {
        name: type(r)(*(values[place] for values in r)) for name, r in result._asdict().items() if isinstance(r, tuple)
    }
    return Backtest(
        **{name: values[place] for name, values in result._asdict().items() if name not in ratios}, **ratios
    )


def numbers(result: Backtest | tested.Coverage) -> np.ndarray:
    """All results in one array, by their place in the tuple."""
    return np.array([np.asarray(x) for field in result for x in (field if isinstance(field, tuple) else (field,))])


def forecasts(closes: int = 250, methods: int = 3, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P&L (T,) with fat tails, and VaR and ES (T, M, L) that rise with the level and differ by method and close."""
    random = np.random.default_rng(seed)
    var = random.uniform(0.8, 1.2, (closes, methods, 1)) * np.array([1.5, 2.0, 2.8, 3.5])
    return random.standard_t(3, closes), var, var * 1.3


# hits


def test_a_loss_equal_to_var_is_no_hit_and_the_next_larger_number_is() -> None:
    pnl = np.array([-0.1, np.nextafter(-0.1, -1.0), 0.1, 0.0])
    assert hits(pnl, np.full(4, 0.1)).tolist() == [False, True, False, False]


def test_a_negative_var_is_a_gain_that_must_be_made() -> None:
    assert hits(np.array([0.3, 0.1, -1.0]), np.full(3, -0.2)).tolist() == [False, True, True]


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_hit_is_exactly_a_loss_beyond_var(pnl: float, var: float) -> None:
    assert hits(np.array([pnl]), np.array([var]))[0] == (-pnl > var)


def test_without_pnl_or_var_there_is_no_observation_and_no_hit() -> None:
    pnl = np.array([-1.0, np.nan, -1.0, -np.inf, -1.0])
    var = np.array([0.5, 0.5, np.nan, 0.5, -np.inf])
    assert observed(pnl, var).tolist() == [True, False, False, False, False]
    assert hits(pnl, var).tolist() == [True, False, False, False, False]


# losses


def test_tick_loss_by_hand() -> None:
    loss = tick_loss(np.array([-3.0, 1.0, -2.0, np.nan]), np.full(4, 2.0), 0.95)
    assert loss == pytest.approx([0.95 * 1.0, 0.05 * 3.0, 0.0, np.nan], nan_ok=True)


def test_fz0_loss_by_hand() -> None:
    loss = fz0_loss(np.array([-3.0, 1.0, -2.0]), np.full(3, 2.0), np.full(3, 4.0), 0.95)
    plain = 2.0 / 4.0 + math.log(4.0) - 1.0
    assert loss == pytest.approx([1.0 / (0.05 * 4.0) + plain, plain, plain])


@pytest.mark.parametrize("es", [0.0, -0.0, -1.0, np.nan, np.inf, 5e-324])
def test_there_is_no_fz0_loss_where_es_is_not_positive_or_no_number_to_divide_by(es: float) -> None:
    assert np.isnan(fz0_loss(np.array([-1.0]), np.array([0.5]), np.array([es]), 0.99)[0])


def test_a_level_for_each_entry_of_the_last_axis() -> None:
    pnl, var, es = forecasts()
    for place, level in enumerate(LEVELS):
        np.testing.assert_array_equal(tick_loss(pnl, var, LEVELS)[..., place], tick_loss(pnl, var[..., place], level))
        alone = fz0_loss(pnl, var[..., place], es[..., place], level)
        np.testing.assert_array_equal(fz0_loss(pnl, var, es, LEVELS)[..., place], alone)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_both_losses_are_smallest_for_the_true_var_and_es(level: float) -> None:
    pnl = np.sort(noise(20_000))
    whole = int(20_000 * (1 - Fraction(str(level))))
    var, es = -pnl[whole - 1], -pnl[:whole].mean()
    ones = np.ones(pnl.size)
    ticks = [tick_loss(pnl, ones * var * off, level).mean() for off in (0.8, 0.95, 1.0, 1.05, 1.2)]
    assert np.argmin(ticks) == 2
    zeros = [
        [fz0_loss(pnl, ones * var * v, ones * es * e, level).mean() for v in (0.9, 1.0, 1.1)] for e in (0.9, 1, 1.1)
    ]
    assert np.argmin(zeros) == 4


# coverage


@pytest.mark.parametrize(("level", "observations"), [(p, n) for p, table in KUPIEC_1995.items() for n in table])
def test_kupiec_rejects_outside_the_published_regions_and_nowhere_inside(level: float, observations: int) -> None:
    below, above = KUPIEC_1995[level][observations]
    counts = np.arange(observations + 1)
    rows = (np.arange(observations)[:, None] < counts).astype(float)
    rejected = tested.tests_of_hits(rows, level).kupiec.statistic > CRITICAL_5_PERCENT
    assert counts[~rejected].tolist() == list(range(below + 1, above))


def test_kupiec_of_the_first_published_cell_rejects_seven_of_255() -> None:
    # Kupiec's table gives N < 7 here; by its own formula no exception at all is rejected too
    statistics = [tested.tests_of_hits(exceptions_of(n, 255), 0.99).kupiec.statistic for n in (0, 1, 6, 7)]
    assert [bool(s > CRITICAL_5_PERCENT) for s in statistics] == [True, False, False, True]
    assert statistics[0] == pytest.approx(-2 * 255 * math.log(0.99))


def test_jorions_bank_of_six_exceptions_four_of_them_after_another() -> None:
    # Jorion, Value at Risk, 3rd edition, chapter 6, question 10: 3.498 and 25.837
    assert tested.tests_of_hits(exceptions_of(6, 252), 0.99).kupiec.statistic == pytest.approx(3.498, abs=1e-3)
    clustered = tested.tests_of_hits(transitions(n00=244, n01=2, n10=2, n11=4), 0.99)
    assert clustered.independence.statistic == pytest.approx(25.837, abs=1e-3)


def test_jorions_bank_of_twenty_exceptions_is_rejected_for_their_clusters() -> None:
    # the same chapter, table 6-5: 218, 14, 14 and 6 transitions give 9.53
    clustered = tested.tests_of_hits(transitions(n00=218, n01=14, n10=14, n11=6), 0.95)
    assert clustered.independence.statistic == pytest.approx(9.53, abs=5e-3)
    assert clustered.independence.p_value == pytest.approx(0.002, abs=5e-4)


def test_coverage_by_the_formulas_as_they_are_written() -> None:
    result = tested.tests_of_hits(np.array([0, 1, 1, 0, 0, 0, 1, 0, 0, 0], dtype=float), 0.9)
    pof = -2 * math.log((0.9**7 * 0.1**3) / (0.7**7 * 0.3**3))
    # over the nine pairs: n00 = 4, n01 = 2, n10 = 2, n11 = 1
    ind = -2 * math.log(((6 / 9) ** 6 * (3 / 9) ** 3) / ((4 / 6) ** 4 * (2 / 6) ** 2 * (2 / 3) ** 2 * (1 / 3) ** 1))
    assert result.kupiec.statistic == pytest.approx(pof, rel=1e-12)
    assert result.independence.statistic == pytest.approx(ind, abs=1e-12)
    assert result.conditional_coverage.statistic == pytest.approx(pof + ind, rel=1e-12)
    assert result.kupiec.p_value == pytest.approx(math.erfc(math.sqrt(pof / 2)), rel=1e-12)
    assert result.conditional_coverage.p_value == pytest.approx(math.exp(-(pof + ind) / 2), rel=1e-12)


def test_no_exception_and_nothing_but_exceptions_have_finite_answers() -> None:
    none, all_of_them = (tested.tests_of_hits(exceptions_of(count, 250), 0.99) for count in (0, 250))
    assert none.kupiec.statistic == pytest.approx(-500 * math.log(0.99))
    assert all_of_them.kupiec.statistic == pytest.approx(-500 * math.log(0.01))
    assert none.independence == all_of_them.independence == (0.0, 1.0)


def test_exactly_as_many_exceptions_as_expected_are_no_evidence_at_all() -> None:
    assert tested.tests_of_hits(exceptions_of(5, 500), 0.99).kupiec == (0.0, 1.0)
    assert tested.tests_of_hits(exceptions_of(50, 1000), 0.95).kupiec == (0.0, 1.0)


@given(st.lists(st.sampled_from([0.0, 1.0, np.nan]), max_size=40), st.integers(1, 999).map(lambda x: x / 1000))
def test_statistics_are_never_negative_and_p_values_are_probabilities(marks: list[float], level: float) -> None:
    result = tested.tests_of_hits(np.array(marks), level)
    for ratio in (result.kupiec, result.independence, result.conditional_coverage):
        assert np.isnan(ratio.statistic) or ratio.statistic >= 0.0
        assert np.isnan(ratio.p_value) or 0.0 <= ratio.p_value <= 1.0
        assert np.isnan(ratio.statistic) == np.isnan(ratio.p_value)


@given(st.lists(st.sampled_from([0.0, 1.0, np.nan]), max_size=40))
def test_a_gap_is_left_out_and_its_neighbours_follow_each_other(marks: list[float]) -> None:
    series = np.array(marks)
    closed_up = series[~np.isnan(series)]
    np.testing.assert_array_equal(
        numbers(tested.tests_of_hits(series, 0.95)), numbers(tested.tests_of_hits(closed_up, 0.95))
    )


def test_gaps_of_one_series_do_not_touch_the_next() -> None:
    columns = np.array([[1, np.nan, 0], [1, 1, np.nan], [0, np.nan, np.nan], [1, 1, 1], [0, 0, np.nan]], dtype=float)
    together = numbers(tested.tests_of_hits(columns, 0.9))
    alone = [numbers(tested.tests_of_hits(column, 0.9)) for column in columns.T]
    np.testing.assert_array_equal(together, np.array(alone).T)


def test_hits_may_be_booleans_and_must_be_nothing_else_than_0_and_1() -> None:
    marks = np.array([True, False, True])
    assert (
        numbers(tested.tests_of_hits(marks, 0.9)).tolist() == numbers(tested.tests_of_hits(marks * 1.0, 0.9)).tolist()
    )
    with pytest.raises(ValueError, match=r"hits: expected 0, 1 or NaN, was 0\.5"):
        tested.tests_of_hits(np.array([0.0, 0.5, np.nan]), 0.9)


def test_one_observation_has_a_frequency_and_no_pair() -> None:
    result = tested.tests_of_hits(np.array([1.0, np.nan]), 0.95)
    assert (result.observations, result.exceptions) == (1, 1)
    assert result.kupiec.statistic == pytest.approx(-2 * math.log(0.05))
    assert np.isnan([*result.independence, *result.conditional_coverage]).all()


# the whole backtest


def test_z2_by_hand() -> None:
    result = one([-3.0, 1.0, -2.0, 5.0], [2.0, 2.0, 1.0, 1.0], [2.5, 2.5, 1.6, 1.6], level=0.75)
    assert result.z2 == pytest.approx(1 - (3 / 2.5 + 2 / 1.6) / (4 * 0.25))


def test_z2_is_0_when_losses_beyond_var_are_as_many_and_as_large_as_promised() -> None:
    pnl = [-2.0] + [1.0] * 9
    assert one(pnl, [1.0] * 10, [2.0] * 10, level=0.9).z2 == pytest.approx(0.0, abs=1e-15)
    assert one(pnl, [1.0] * 10, [1.5] * 10, level=0.9).z2 == pytest.approx(-1 / 3)


def test_z2_rejects_the_right_model_about_once_in_twenty() -> None:
    # Acerbi & Szekely (2014), table 2: 5 % critical value -0.70 for normal P&L, T = 250, 97.5 %
    pnl = np.random.default_rng(11).standard_normal((1_000, 250))
    var, es = np.full((250, 1), 1.959964), np.full((250, 1), 2.337803)
    z2 = np.array([tested.backtest(row, var, es, [0.975]).z2[0] for row in pnl])
    assert 0.03 < np.mean(z2 < -0.70) < 0.07


def test_means_leave_out_what_was_not_observed_and_es_that_is_not_positive() -> None:
    full = one([-3.0, 1.0], [2.0, 2.0], [4.0, 4.0])
    gaps = one([-3.0, np.nan, 1.0, -9.0], [2.0, 2.0, 2.0, np.nan], [4.0, 4.0, 4.0, 4.0])
    assert numbers(gaps).tolist() == numbers(full).tolist()
    cash = one([-3.0, -0.5, 1.0], [2.0, 0.0, 2.0], [4.0, 0.0, 4.0])
    assert (cash.observations, cash.exceptions, cash.z2, cash.fz0_loss) == (3, 2, full.z2, full.fz0_loss)
    assert cash.tick_loss == pytest.approx((full.tick_loss * 2 + 0.99 * 0.5) / 3)


def test_a_book_of_cash_has_no_exception_and_no_loss_that_needs_an_es() -> None:
    cash = one([0.0] * 300, [0.0] * 300, [0.0] * 300)
    assert (cash.observations, cash.exceptions, cash.tick_loss) == (300, 0, 0.0)
    assert np.isnan([cash.z2, cash.fz0_loss]).all()


@pytest.mark.parametrize("closes", [0, 3])
def test_without_any_observation_everything_but_the_counts_is_missing(closes: int) -> None:
    nothing = np.full((closes, 2, 1), np.nan)
    result = tested.backtest(np.zeros(closes), nothing, nothing, [0.99])
    assert result.observations.tolist() == result.exceptions.tolist() == [[0], [0]]
    assert np.isnan(numbers(result)[2:]).all()


@pytest.mark.parametrize("returns", WINDOWS.values(), ids=WINDOWS)
def test_no_window_makes_a_warning_or_an_infinity(returns: np.ndarray) -> None:
    var = np.full((returns.size, 2), 0.01)
    assert not np.isinf(numbers(tested.backtest(returns, var, var * 1.2, [0.95, 0.99]))).any()


def test_a_forecast_has_the_same_bits_whatever_stands_beside() -> None:
    pnl, var, es = forecasts(closes=500)
    pnl[7], var[9, 1] = np.nan, np.nan
    together = tested.backtest(pnl, var, es, LEVELS)
    for method in range(3):
        for place, level in enumerate(LEVELS):
            alone = tested.backtest(pnl, var[:, method, place, None], es[:, method, place, None], [level])
            np.testing.assert_array_equal(numbers(scalar(alone, 0)), numbers(scalar(together, method, place)))


def test_hits_of_the_backtest_are_the_tests_of_hits() -> None:
    pnl, var, es = forecasts()
    pnl[3] = np.nan
    marks = np.where(observed(pnl, var), hits(pnl, var), np.nan)
    np.testing.assert_array_equal(
        numbers(tested.backtest(pnl, var, es, LEVELS))[:8], numbers(tested.tests_of_hits(marks, LEVELS))
    )


@settings(max_examples=20)
@given(st.integers(-6, 9))
def test_money_in_another_unit_changes_no_test_and_scales_the_losses(exponent: int) -> None:
    pnl, var, es = forecasts()
    plain = tested.backtest(pnl, var, es, LEVELS)
    scaled = tested.backtest(pnl * 10.0**exponent, var * 10.0**exponent, es * 10.0**exponent, LEVELS)
    np.testing.assert_array_equal(numbers(scaled)[:8], numbers(plain)[:8])
    np.testing.assert_allclose(scaled.z2, plain.z2, rtol=1e-12)
    np.testing.assert_allclose(scaled.tick_loss, plain.tick_loss * 10.0**exponent, rtol=1e-12)
    np.testing.assert_allclose(scaled.fz0_loss, plain.fz0_loss + exponent * math.log(10.0), rtol=1e-11)


def test_inputs_are_left_as_they_were() -> None:
    pnl, var, es = forecasts()
    copies = pnl.copy(), var.copy(), es.copy()
    tested.backtest(pnl, var, es, LEVELS)
    for ours, copy in zip((pnl, var, es), copies, strict=True):
        np.testing.assert_array_equal(ours, copy)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        (((3,), (4, 2, 1), (4, 2, 1)), r"var: expected a row for each of the \(T,\) P&L, \(3,\), was \(4, 2, 1\)"),
        (((3,), (3, 2, 1), (3, 1)), r"es: expected the shape of var, \(3, 2, 1\), was \(3, 1\)"),
        (((3,), (3, 2), (3, 2)), r"var: expected 1 levels along the last axis, was \(3, 2\)"),
        (((3,), (3,), (3,)), r"var: expected 1 levels along the last axis, was \(3,\)"),
    ],
)
def test_shapes_that_do_not_go_together_are_named(shapes: tuple[tuple[int, ...], ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tested.backtest(*(np.zeros(shape) for shape in shapes), [0.99])


def test_a_level_that_is_no_confidence_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"level: expected a confidence strictly between 0 and 1, was 99"):
        tested.tests_of_hits(exceptions_of(1, 9), 99)


# the traffic light


def test_the_zones_and_multipliers_of_the_basel_table() -> None:
    lights = [traffic_light(count) for count in range(12)]
    assert [light.zone[0] for light in lights if light] == list("gggggaaaaarr")
    assert [light.multiplier for light in lights if light] == [1.5] * 5 + [1.70, 1.76, 1.83, 1.88, 1.92] + [2.0] * 2


def test_the_zones_begin_where_the_committee_says_at_95_and_99_99_percent() -> None:
    zones = [getattr(traffic_light(count), "zone", None) for count in range(12)]
    likely = binom.cdf(np.arange(12), 250, 0.01)
    assert zones == ["green" if p < 0.95 else "amber" if p < 0.9999 else "red" for p in likely]


def test_there_is_no_traffic_light_before_250_observations() -> None:
    assert traffic_light(12, observations=249) is None
    assert traffic_light(4, observations=250) == TrafficLight("green", 1.5)


def test_only_the_last_250_observations_count_and_gaps_are_none() -> None:
    marks = exceptions_of(5, 300)
    known = np.ones(300, dtype=bool)
    assert recent(marks == 1, known) == (250, 0)
    known[200:248] = False
    assert recent(marks == 1, known) == (250, 3)
    assert recent(np.stack([marks, marks[::-1]], axis=1) == 1, np.ones((300, 2), dtype=bool))[1].tolist() == [0, 5]
    assert recent(marks[:100] == 1, known[:100]) == (100, 5)


# other packages


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['figure']} by {row['package']}" for row in ROWS])
def test_a_figure_agrees_with_another_package(row: dict[str, str]) -> None:
    result = one(SERIES["pnl"].tolist(), SERIES["var"].tolist(), SERIES["es"].tolist(), level=0.975)
    figures = {name: value for name, value in result._asdict().items() if not isinstance(value, tuple)}
    ratios = {name: value for name, value in result._asdict().items() if isinstance(value, tuple)}
    figures |= {f"{name}_{kind}": x for name, r in ratios.items() for kind, x in r._asdict().items()}
    assert figures[row["figure"]] == pytest.approx(float(row["value"]), rel=1e-9)
