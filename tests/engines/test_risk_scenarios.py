"""What scenarios a closing event is of: horizons, proxies, stale prices, options beside delta-gamma."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contracts.risk import MethodRisk, RiskMeasured
from services.risk.settings import RiskSettings
from tailstream.quant.options import Option, greeks, price
from tests.engines import log
from tests.engines.log import Log
from tests.engines.scripted_methods import Plain, of_ids, worst

pytestmark = pytest.mark.filterwarnings("error")

PRICES = (100.0, 110.0, 88.0, 99.0, 90.0, 100.0)


def market(*names: str, **positions: float) -> Log:
    """Six closes of the names at the same prices, and a book."""
    of = Log()
    of.instruments(*names)
    of.book("a", positions)
    for spot in PRICES:
        of.close_at(dict.fromkeys(names, spot))
    return of


def last(of: Log, name: str = "a", **asked: Any) -> RiskMeasured:
    return log.risked(log.measured_last(log.risk(**asked), of), name)[-1]


def var(method: MethodRisk, level: str = "0.99") -> float | None:
    return method.levels[level].var


# -- horizons --------------------------------------------------------------------------------------------------------


def test_a_horizon_is_of_overlapping_returns_over_so_many_closes() -> None:
    """From 110 over two closes to 99, from 88 to 90, from 99 to 100; and from 100 to 88 at first."""
    event = last(market("A", A=10.0), window=5, horizons=(2, 3))
    assert set(event.horizons) == {"2", "3"}
    assert {name for of in event.horizons.values() for name in of} == {"historical"}
    assert var(event.horizons["2"]["historical"]) == pytest.approx(1_000 * 0.12)
    assert var(event.horizons["3"]["historical"]) == pytest.approx(1_000 * (1 - 90 / 110))
    assert var(event.methods["historical"]) == pytest.approx(1_000 * 0.20)


def test_a_horizon_is_no_multiple_of_a_single_period() -> None:
    event = last(market("A", A=10.0), window=5, horizons=(2,))
    assert var(event.horizons["2"]["historical"]) != pytest.approx((var(event.methods["historical"]) or 0.0) * 2**0.5)


def test_a_horizon_looks_back_on_the_longer_window() -> None:
    """The first of its returns, from 100 to 88, is the worst and begins before the shorter one."""
    event = last(market("A", A=10.0), window=3, fit_window=5, history=5, horizons=(2,))
    assert var(event.horizons["2"]["historical"]) == pytest.approx(1_000 * 0.12)


def test_a_horizon_with_too_few_returns_says_how_many_it_needs() -> None:
    event = last(market("A", A=10.0), window=5, horizons=(4,), minimum=3)
    of = event.horizons["4"]["historical"]
    assert (of.status, of.reason, var(of)) == ("insufficient", "needs 3 observations, has 0", None)


# -- proxies, stale prices, newly listed -------------------------------------------------------------------------------


def listed_late(closes: int) -> Log:
    """B has prices in so many of the last closes, and A as its proxy."""
    of = Log()
    of.instruments("A")
    of.instruments("B", proxy="A")
    of.book("a", {"B": 1.0})
    for day, spot in enumerate(PRICES):
        of.close_at({"A": spot} | ({"B": 50.0} if day >= len(PRICES) - closes else {}))
    return of


def test_a_proxy_is_flagged_as_long_as_a_method_looks_back_on_it() -> None:
    """With four returns of its own the near window has none of the proxy's, the far one still has."""
    assert last(listed_late(5), window=4, fit_window=4).proxied == {}
    assert last(listed_late(5), window=4, fit_window=5, history=5).proxied == {"B": "A"}
    assert last(listed_late(3), window=4, fit_window=2).proxied == {"B": "A"}


def test_a_newly_listed_instrument_is_uncovered_until_it_has_enough_returns_of_its_own() -> None:
    of = Log()
    of.instruments("A", "B")
    of.book("a", {"A": 1.0, "B": 1.0})
    for day, spot in enumerate(PRICES):
        of.close_at({"A": spot} | ({"B": spot} if day >= 2 else {}))
    events = log.risked(log.measured(log.risk(window=5), of), "a")
    assert [event.uncovered for event in events] == [("B", "A")] * 2 + [("B",)] * 2 + [()] * 2
    assert [event.coverage for event in events] == [None, None, 0.5, 0.5, 1.0, 1.0]


def test_a_carried_price_is_flagged_and_one_too_old_is_none() -> None:
    of = market("A", "B", A=1.0, B=1.0)
    seen = []
    for _ in range(4):
        of.close(A=100.0)
        event = last(of, stale=2)
        seen.append((event.stale, event.nav.value, event.uncovered))
    assert seen == [(("B",), 200.0, ())] * 2 + [((), None, ("B",))] * 2


def test_a_rate_that_disappears_leaves_what_is_quoted_in_it_stale_and_then_unpriced() -> None:
    of = Log()
    of.instruments("E", currency="EUR")
    of.instruments("A", "fx:EURUSD")
    of.book("a", {"A": 1.0, "E": 1.0}, EUR=10.0)
    for spot in PRICES:
        of.close_at({"A": spot, "E": spot, "fx:EURUSD": 1.25})
    for _ in range(3):
        of.close(A=100.0, E=100.0)
    events = log.risked(log.measured(log.risk(), of), "a")[-4:]
    assert [event.stale for event in events] == [(), ("E",), ("E",), ()]
    assert [event.nav.status for event in events] == ["ok", "ok", "ok", "unpriced"]
    assert events[-1].uncovered == ("E", "cash:EUR")
    assert events[-1].methods["normal"].reason == "coverage: unknown, because a position has no price"


# -- options ---------------------------------------------------------------------------------------------------------

YEARS, VOLATILITY = 1.0, 0.2
PUT = Option("put", 100.0)


def worth(spot: float, years: float = YEARS) -> float:
    return float(price(PUT, np.array([spot]), years, VOLATILITY)[0])


def option_market(expires_in_days: int, put: float | None = None) -> Log:
    """Six closes of A, at the last of which a put costs ``put`` or what it is worth a year before expiry."""
    of = Log()
    of.instruments("A")
    terms = {
        "underlying": "A",
        "right": "put",
        "strike": 100.0,
        "expires_at": log.FIRST_DAY + timedelta(days=expires_in_days),
    }
    of.instruments("O", kind="option", option=terms)
    of.book("a", {"O": 1.0})
    for spot in PRICES:
        of.close(A=spot, O=worth(100.0) if put is None else put)
    return of


def test_an_option_is_revalued_in_full_and_delta_gamma_stands_beside_it_labelled() -> None:
    """In the scenario that lifts A most the put loses what it is worth less at that price, a day later."""
    of = option_market(370)
    event = last(of, window=5)
    day = 1 / 252
    best = 100 * (1 + max(b / a - 1 for a, b in pairwise(PRICES)))
    assert var(event.methods["historical"]) == pytest.approx(worth(100.0) - worth(best, YEARS - day), rel=1e-6)
    of_put = greeks(PUT, 100.0, YEARS, VOLATILITY)
    parabola = worth(100.0, YEARS - day) + of_put.delta * (best - 100) + of_put.gamma * (best - 100) ** 2 / 2
    assert event.delta_gamma is not None
    assert var(event.delta_gamma) == pytest.approx(worth(100.0) - parabola, rel=1e-6)
    assert (event.coverage, event.uncovered, event.delta_gamma.status) == (1.0, (), "ok")


def test_without_an_option_there_is_no_delta_gamma() -> None:
    assert last(market("A", A=1.0)).delta_gamma is None


def test_an_option_whose_price_no_volatility_explains_is_uncovered_and_named() -> None:
    event = last(option_market(370, put=150.0))
    assert (event.uncovered, event.coverage, event.delta_gamma) == (("O",), 0.0, None)
    assert event.methods["historical"].status == "insufficient"


def test_an_option_that_expires_on_the_way_is_uncovered_then_stale_then_unpriced() -> None:
    of = option_market(6, put=1.0)
    for _ in range(4):
        of.close(A=100.0)
    events = log.risked(log.measured(log.risk(), of), "a")[-5:]
    assert [(event.coverage, event.stale) for event in events] == [
        (1.0, ()), (0.0, ("O",)), (0.0, ("O",)), (None, ()), (None, ()),
    ]  # fmt: skip
    assert {event.uncovered for event in events[1:]} == {("O",)}
    assert [event.nav.status for event in events] == ["ok"] * 3 + ["unpriced"] * 2


# -- levels ----------------------------------------------------------------------------------------------------------


def test_without_the_level_of_99_per_cent_there_is_no_traffic_light_and_all_else_is_there() -> None:
    of = market("A", A=1.0)
    replica = log.measured(log.risk(var_levels=(0.9, 0.975), measured_by=of_ids(Plain("scripted", worst))), of)
    method = log.backtested(replica, "a")[-1].methods["scripted"]
    assert set(method.levels) == {"0.9", "0.975"}
    assert method.levels["0.9"].observations > 0
    assert (method.traffic_light, method.multiplier) == (None, None)


# -- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"scenario_window": 249}, "scenarios_min: expected at most 249, the periods of a window, was 250"),
        ({"fit_window": 100}, "scenarios_min: expected at most 100"),
        ({"history_periods": 1_039}, "history_periods: expected at least 1040 for the windows, was 1039"),
        ({"var_levels": (0.99, 0.95)}, "expected ascending confidence levels"),
        ({"var_levels": ()}, "expected ascending confidence levels"),
    ],
)
def test_settings_with_which_no_figure_could_ever_come_about_are_refused(asked: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as error:
        RiskSettings(**asked)
    assert wrong in str(error.value)
