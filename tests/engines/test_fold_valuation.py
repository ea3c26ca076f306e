"""A book at prices, in its base currency."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import INSTRUMENTS
from tailstream.fold.valuation import Valuation
from tests.engines import log
from tests.engines.log import Log

pytestmark = pytest.mark.filterwarnings("error")

EURO = {"A": 100.0, "E": 20.0, "fx:EURUSD": 1.25}


def value(of: Log, name: str = "a", *, base: str = "USD", live: bool = False) -> Valuation:
    """What ``name`` is worth at the last close, or now."""
    world = log.Replica(log.analytics()).read(of.arrivals).engine.world
    moment = world.now() if live else world.closed(world.opened - 1)
    assert moment is not None
    return world.value(world.members(name, moment), base, moment)


def euro_log(positions: dict[str, float] | None = None, **cash: float) -> Log:
    """A dollar stock, a euro stock and their rate, and a book."""
    of = Log()
    of.instruments("A", "fx:EURUSD")
    of.instruments("E", currency="EUR")
    of.book("a", positions, **cash)
    return of


def test_an_empty_book_is_worth_nothing_and_has_nothing_unpriced() -> None:
    of = euro_log()
    of.close_at({})
    valued = value(of)
    assert (valued.nav, valued.unpriced, valued.stale, valued.exposures.tolist()) == (0.0, (), (), [])


def test_cash_in_the_base_needs_no_rate() -> None:
    of = euro_log(USD=12.5)
    of.close_at({})
    valued = value(of)
    assert (valued.nav, valued.cash, valued.cash_exposures) == (12.5, 12.5, ())


def test_a_dollar_book_by_hand() -> None:
    of = euro_log({"A": -2.0, "E": 10.0}, USD=100.0, EUR=40.0)
    of.close_at(EURO)
    valued = value(of)
    assert valued.instruments == ("A", "E")
    assert valued.exposures.tolist() == [-200.0, 10 * 20 * 1.25]
    assert valued.cash_exposures == (("cash:EUR", 50.0),)
    assert valued.nav == -200.0 + 250.0 + 100.0 + 50.0


@pytest.mark.parametrize("rate", [{"fx:EURUSD": 1.25}, {"fx:USDEUR": 0.8}])
def test_a_euro_book_by_hand_whichever_way_the_rate_is_quoted(rate: dict[str, float]) -> None:
    of = euro_log({"A": 2.0, "E": 10.0}, USD=100.0, EUR=40.0)
    of.instruments("fx:USDEUR")
    of.close_at({"A": 100.0, "E": 20.0, **rate})
    valued = value(of, base="EUR")
    assert valued.exposures == pytest.approx([160.0, 200.0], rel=1e-15)
    assert valued.nav == pytest.approx(160.0 + 200.0 + 80.0 + 40.0, rel=1e-15)


def test_a_missing_rate_makes_position_and_money_unpriced_and_the_nav_unknown() -> None:
    of = euro_log({"A": 1.0, "E": 1.0}, EUR=5.0, USD=7.0)
    of.close_at({"A": 100.0, "E": 20.0})
    valued = value(of)
    assert valued.nav is None
    assert valued.unpriced == ("E", "cash:EUR")
    assert (valued.instruments, valued.exposures.tolist(), valued.cash) == (("A",), [100.0], 7.0)


def test_an_instrument_that_is_not_defined_is_unpriced_and_listed() -> None:
    of = euro_log({"A": 1.0, "unknown": 1.0})
    of.close_at({"A": 100.0, "unknown": 3.0})
    valued = value(of)
    assert (valued.nav, valued.unpriced) == (None, ("unknown",))


def test_an_instrument_that_never_had_a_price_is_unpriced() -> None:
    of = euro_log({"A": 1.0, "E": 1.0})
    of.close_at({"E": 1.0, "fx:EURUSD": 1.0})
    assert value(of).unpriced == ("A",)


def test_a_carried_price_is_stale_and_one_too_old_is_unpriced() -> None:
    of = euro_log({"A": 2.0}, USD=1.0)
    of.close(A=10.0)
    seen = []
    for _ in range(3):
        of.close_at({})
        valued = value(of)
        seen.append((valued.nav, valued.stale, valued.unpriced))
    assert seen == [(21.0, ("A",), ()), (21.0, ("A",), ()), (None, (), ("A",))]


def test_a_carried_rate_makes_the_position_stale() -> None:
    of = euro_log({"A": 1.0, "E": 1.0})
    of.close_at(EURO)
    of.close_at({"A": 100.0, "E": 20.0})
    assert value(of).stale == ("E",)


def test_a_multiplier_scales_the_position() -> None:
    of = Log()
    of.instruments("F", multiplier=50.0)
    of.book("a", {"F": -2.0})
    of.close(F=3.0)
    assert value(of).exposures.tolist() == [-300.0]


def test_the_definition_below_the_cut_counts() -> None:
    of = Log()
    of.instruments("F", multiplier=50.0)
    of.book("a", {"F": 1.0})
    before = of.cut()
    of.instruments("F", multiplier=10.0)
    of.close(F=3.0, cut=before)
    assert value(of).nav == 150.0
    of.close(F=3.0)
    assert value(of).nav == 30.0


def test_between_closes_the_newest_definition_counts_at_once() -> None:
    of = Log()
    of.instruments("F", multiplier=50.0)
    of.book("a", {"F": 1.0})
    of.close(F=3.0)
    replica = log.Replica(log.analytics()).read(of.arrivals)
    world = replica.engine.world

    def nav_now() -> float | None:
        now = world.now()
        assert now is not None
        return world.value(world.members("a", now), "USD", now).nav

    assert nav_now() == 150.0
    of.instruments("F", multiplier=10.0)
    replica.read(of.arrivals[-1:])
    assert nav_now() == 30.0
    of.tombstone("F", INSTRUMENTS)
    replica.read(of.arrivals[-1:])
    assert nav_now() is None


def test_what_is_too_large_to_be_money_is_unpriced() -> None:
    of = euro_log({"A": 1e200, "E": 1.0}, USD=1.0, EUR=-1e300)
    of.close_at(EURO)
    valued = value(of)
    assert (valued.nav, valued.unpriced, valued.cash) == (None, ("A", "cash:EUR"), 1.0)


@given(
    quantities=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
    quoted=st.lists(st.floats(0, exclude_min=True, allow_infinity=False), min_size=3, max_size=3),
    cash=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
)
def test_whatever_finite_numbers_come_a_nav_is_finite_or_unknown(
    quantities: list[float], quoted: list[float], cash: list[float]
) -> None:
    of = euro_log(dict(zip(("A", "E"), quantities, strict=True)), USD=cash[0], EUR=cash[1])
    of.close_at(dict(zip(EURO, quoted, strict=True)))
    for base in ("USD", "EUR"):
        valued = value(of, base=base)
        assert np.isfinite(valued.exposures).all()
        assert (valued.nav is None) == bool(valued.unpriced)
        assert valued.nav is None or np.isfinite(valued.nav)


def test_what_is_unpriced_is_listed_in_one_order_whatever_the_reason() -> None:
    of = euro_log({"A": 1.0, "B": 1.0, "E": 1.0, "unknown": 1.0}, GBP=1.0, CHF=1.0)
    of.instruments("B")
    of.close(B=1.0)
    for _ in range(3):
        of.close(A=1.0)
    assert value(of).unpriced == ("B", "E", "unknown", "cash:CHF", "cash:GBP")
