import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.analyzers import ANALYZERS, Window
from tailstream.quant.arrays import INSUFFICIENT, RUINED, UNDEFINED, UNPRICED, Figure, Floats

from .cases import STATUSES, WINDOWS, noise

pytestmark = pytest.mark.filterwarnings("error")

BOOK = np.array([300.0, -100.0, 100.0])
A_RETURN = Figure.of(0.02)


def window(
    returns: Floats | None = None,
    calendar_days: int = 365,
    nav: float | None = 250.0,
    pnl: float | None = 5.0,
    flow: float = 0.0,
    exposures: Floats = BOOK,
    coverage: float | None = 1.0,
    period_return: Figure = A_RETURN,
) -> Window:
    known = noise() if returns is None else returns
    return Window(known, calendar_days, 252.0, nav, pnl, flow, period_return, exposures, coverage)


def figures(of: Window) -> dict[str, Figure]:
    """Every figure of every analyzer."""
    return {name: figure for analyzer in ANALYZERS.values() for name, figure in analyzer(of).items()}


NAMES = list(figures(window()))


def statuses(of: Window, *names: str) -> set[str]:
    measured = figures(of)
    return {measured[name].status for name in names}


def test_analyzers_publish_in_this_order_under_these_names() -> None:
    published = {name: " ".join(analyzer(window())) for name, analyzer in ANALYZERS.items()}
    assert published == {
        "basic": "nav pnl return gross net long short leverage concentration_hhi effective_positions "
        "largest_position positions",
        "returns": "total_return annual_return mean_return best worst hit_rate profit_factor",
        "risk": "volatility downside_deviation sharpe sortino skewness excess_kurtosis tail_ratio omega",
        "drawdown": "drawdown max_drawdown average_drawdown max_drawdown_length ulcer_index calmar",
    }
    assert list(ANALYZERS) == ["basic", "returns", "risk", "drawdown"]
    assert all(analyzer.name == name and analyzer.version for name, analyzer in ANALYZERS.items())


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("nav", [1e6, 0.0, -1e6, None])
@pytest.mark.parametrize("exposures", [BOOK, np.array([]), np.zeros(3)], ids=["held", "empty", "zero"])
def test_every_case_gives_every_figure_a_finite_value_or_a_reason(
    name: str, nav: float | None, exposures: Floats
) -> None:
    measured = figures(window(WINDOWS[name], nav=nav, exposures=exposures))
    assert list(measured) == NAMES
    for value, status in measured.values():
        assert status in STATUSES
        assert (value is not None) == (status == "ok")
        assert value is None or (type(value) is float and math.isfinite(value))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40).map(np.array))
def test_no_floats_whatever_get_a_value_past_the_guard(returns: Floats) -> None:
    with np.errstate(all="ignore"):
        measured = figures(window(returns))
    assert all(value is None or math.isfinite(value) for value, _ in measured.values())


def test_an_empty_window_is_insufficient_wherever_returns_are_needed() -> None:
    measured = figures(window(np.array([])))
    missing = {name for name, figure in measured.items() if figure.status == "insufficient"}
    assert missing == set(NAMES[12:])
    assert measured["nav"].value == 250.0


def test_one_observation_has_returns_and_drawdown_and_nothing_that_needs_a_spread() -> None:
    of = window(np.array([-0.1]), calendar_days=1)
    assert figures(of)["max_drawdown"].value == pytest.approx(0.1)
    assert figures(of)["total_return"].value == pytest.approx(-0.1)
    spread = "annual_return volatility downside_deviation sharpe sortino skewness excess_kurtosis tail_ratio calmar"
    assert statuses(of, *spread.split()) == {"insufficient"}


@pytest.mark.parametrize(("observations", "days"), [(29, 365), (252, 89)])
def test_nothing_is_annualised_over_a_window_too_short(observations: int, days: int) -> None:
    annual = ["annual_return", "volatility", "downside_deviation", "sharpe", "sortino", "calmar"]
    assert statuses(window(noise(observations), calendar_days=days), *annual) == {"insufficient"}
    assert statuses(window(noise(30), calendar_days=90), *annual) == {"ok"}


def test_constant_returns_have_no_variance_to_be_divided_by() -> None:
    of = window(np.full(252, 0.1))
    assert statuses(of, "sharpe", "skewness", "excess_kurtosis") == {"zero_variance"}
    assert statuses(of, "sortino", "omega", "profit_factor", "calmar") == {"no_downside"}
    assert figures(of)["volatility"] == figures(of)["max_drawdown"] == (0.0, "ok")


def test_a_flat_year_moved_nowhere() -> None:
    of = window(np.zeros(252))
    assert figures(of)["total_return"] == figures(of)["annual_return"] == (0.0, "ok")
    assert statuses(of, "hit_rate", "tail_ratio") == {"undefined"}


def test_a_day_beyond_total_loss_ruins_what_compounds_and_nothing_else() -> None:
    of = window(WINDOWS["a -150 % day"])
    compounded = (
        "total_return annual_return drawdown max_drawdown average_drawdown max_drawdown_length ulcer_index calmar"
    )
    assert statuses(of, *compounded.split()) == {"ruined"}
    assert statuses(of, "volatility", "sharpe", "mean_return", "worst") == {"ok"}


def test_gaps_are_undefined_and_never_skipped_in_silence() -> None:
    assert statuses(window(WINDOWS["10 % gaps"]), *NAMES[12:]) == {"undefined"}


@pytest.mark.parametrize("nav", [0.0, -10.0])
def test_without_wealth_ratios_are_ruined_and_money_is_still_reported(nav: float) -> None:
    measured = figures(window(nav=nav))
    assert measured["leverage"].status == "ruined"
    assert [measured[name].value for name in ("nav", "gross", "net", "long", "short")] == [nav, 500, 300, 400, 100]


def test_a_nav_that_cannot_be_known_is_unpriced_with_all_that_rests_on_it() -> None:
    of = window(nav=None, pnl=None, period_return=UNPRICED)
    assert statuses(of, "nav", "pnl", "return", "leverage") == {"unpriced"}
    assert statuses(of, "gross", "concentration_hhi") == {"ok"}


def test_the_first_close_has_a_nav_and_no_pnl_yet() -> None:
    measured = figures(window(np.array([]), pnl=None, period_return=INSUFFICIENT))
    assert measured["nav"].value == 250.0
    assert measured["pnl"].status == measured["return"].status == "insufficient"


@pytest.mark.parametrize("period_return", [Figure.of(-0.5), RUINED, UNDEFINED])
def test_the_return_is_that_of_this_close_whatever_the_window_ends_with(period_return: Figure) -> None:
    assert figures(window(np.array([0.3, 0.01]), period_return=period_return))["return"] == period_return


def test_a_book_priced_in_too_small_a_part_is_degraded_and_says_what_it_saw() -> None:
    measured = figures(window(coverage=0.9))
    assert measured["gross"] == (500.0, "degraded")
    assert measured["leverage"] == (2.0, "degraded")
    assert measured["nav"].status == "ok"
    assert figures(window(coverage=0.95))["gross"].status == "ok"


def test_a_missing_figure_of_a_degraded_book_keeps_its_own_reason() -> None:
    measured = figures(window(coverage=0.5, exposures=np.array([]), nav=-1.0))
    assert measured["leverage"].status == "ruined"
    assert measured["concentration_hhi"].status == "undefined"


def test_cash_alone_has_no_exposure_and_no_concentration() -> None:
    measured = figures(window(exposures=np.array([]), coverage=None))
    assert [measured[name].value for name in ("gross", "net", "leverage", "positions")] == [0.0] * 4
    assert measured["concentration_hhi"].status == measured["largest_position"].status == "undefined"


def test_the_same_window_gives_the_same_bits_and_is_left_alone() -> None:
    returns = noise()
    first, second = figures(window(returns)), figures(window(np.array(returns)))
    assert repr(first) == repr(second)
    assert (returns == noise()).all()


def test_a_window_seen_through_a_strided_view_gives_the_same_bits() -> None:
    block = np.stack([noise(seed=1), noise(seed=2)], axis=1)
    assert figures(window(block[:, 1])) == figures(window(block[:, 1].copy()))
