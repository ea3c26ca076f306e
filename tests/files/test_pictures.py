"""What stands on the pictures, read from the figures before they are written."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tailstream.files.performance import Yardstick, performance_of
from tailstream.files.pictures import band, distribution, tear_sheet
from tailstream.files.pictures.canvas import shown_level
from tailstream.files.risk import Levels, Money, Risk, risk_of
from tailstream.files.rolling import Rolling, forecast
from tailstream.files.series import Series
from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate
from tailstream.runtime import plugins

TWO = dict(plugins.methods(250, only=("historical", "normal")))
LEVELS = (0.95, 0.99)
TICK = 1e4


def noise(count: int, tick_at: int | None = None) -> Series:
    returns = 0.0003 + 0.01 * np.random.default_rng(1).standard_t(4, count)
    if tick_at is not None:
        returns[tick_at] = TICK
    return Series("A", None, tuple(datetime(2020, 1, 1) + timedelta(days=day) for day in range(count)), returns)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Figure]:
    """The picture that was to be written last."""
    figures: list[Figure] = []
    for module in (band, distribution, tear_sheet):
        monkeypatch.setattr(module, "save", lambda figure, path: figures.append(figure))
    return lambda: figures[-1]


def rows(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[1].get_yticklabels()]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


def one_estimate(*figures: float | None, status: str = "ok") -> Estimate:
    return Estimate(status, None, {}, figures, figures)


def test_a_distribution_tells_its_heading_level_and_every_method_in_words(drawn: Callable[[], Figure]) -> None:
    estimates = {
        "historical": one_estimate(0.01, 0.02),
        "normal": one_estimate(-0.02, -0.01),
        "garch": one_estimate(None, None, status="degraded"),
    }
    risk = Risk("A", noise(300).returns, estimates)
    distribution.draw_risks(Path(), {"A, as of today": risk}, LEVELS)
    assert titles(drawn())[0] == "A, as of today\nVaR and ES at 99 %"
    assert rows(drawn()) == [
        "historical  2.00 % / 2.00 %",
        "normal  -1.00 % / -1.00 %, a gain",
        "garch  degraded",
    ]


@pytest.mark.parametrize(("levels", "shown"), [((0.95, 0.99, 0.995), 0.99), ((0.975, 0.9), 0.975), ((0.9,), 0.9)])
def test_a_picture_shows_99_percent_or_else_the_highest_level(levels: tuple[float, ...], shown: float) -> None:
    assert levels[shown_level(levels)] == shown


def test_one_bad_tick_hides_nothing_and_is_told(drawn: Callable[[], Figure]) -> None:
    series = noise(300, tick_at=100)
    distribution.draw_risks(Path(), {"A": risk_of(series, TWO, Levels(LEVELS))}, LEVELS)
    assert np.ptp(drawn().axes[0].get_xlim()) < 1.0
    assert drawn().axes[0].get_title("right") == "1 not shown: 1000000.00 %"
    (made,) = forecast([series], Rolling(TWO, LEVELS, 250))
    band.draw_backtests(Path(), [made], LEVELS, in_money=False)
    assert drawn().axes[0].get_title("right") == ""
    (made,) = forecast([noise(300, tick_at=280)], Rolling(TWO, LEVELS, 250))
    band.draw_backtests(Path(), [made], LEVELS, in_money=False)
    assert np.ptp(drawn().axes[0].get_ylim()) < 1.0
    assert drawn().axes[0].get_title("right") == "1 beyond the picture"


def test_holdings_that_returns_are_no_fraction_of_have_pictures_in_money(drawn: Callable[[], Figure]) -> None:
    money = Money(-5000.0, {"historical": one_estimate(100.0, 1234.5)})
    pnl: Floats = 1000.0 * noise(300).returns
    distribution.draw_risks(Path(), {"A": Risk("A", pnl, {"historical": one_estimate(None, None)}, money)}, LEVELS)
    assert rows(drawn()) == ["historical  1,234 / 1,234"]
    (made,) = forecast([noise(300)], Rolling(TWO, LEVELS, 250))
    for in_money, unit in ((True, "1,000"), (False, "100000.0 %")):
        band.draw_backtests(Path(), [made], LEVELS, in_money)
        assert drawn().axes[0].yaxis.get_major_formatter()(1000.0, 0) == unit


def test_a_panel_of_a_backtest_counts_its_exceptions(drawn: Callable[[], Figure]) -> None:
    (made,) = forecast([noise(350)], Rolling(TWO, (0.95,), 250))
    band.draw_backtests(Path(), [made], (0.95,), in_money=False)
    beyond = int(np.count_nonzero(-made.returns > made.var[:, 1, 0]))
    assert beyond > 1
    assert titles(drawn())[1] == f"A: normal at 95 %, {beyond} exceptions, 5.0 expected"
    (dots,) = (line for line in drawn().axes[1].lines if line.get_label() == "exception")
    assert len(np.asarray(dots.get_xdata())) == beyond


def test_a_tear_sheet_says_from_when_to_when(drawn: Callable[[], Figure]) -> None:
    by = Yardstick()
    tear_sheet.draw_performance(Path(), [performance_of(noise(300), by)], by)
    assert drawn().subfigs[0].get_suptitle() == "A: 300 periods, 2020-01-01 to 2020-10-26"
    limits = {
        axes.get_xlim() for axes in drawn().axes if axes.get_title("left").startswith(("wealth", "drawdown", "vol"))
    }
    assert len(limits) == 1
