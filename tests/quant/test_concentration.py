import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstream.quant.arrays import RUINED, UNDEFINED, UNPRICED, Figure
from tailstream.quant.concentration import (
    effective_positions,
    exposure,
    herfindahl,
    largest_position,
    leverage,
    weights,
)

pytestmark = pytest.mark.filterwarnings("error")

LONG_SHORT = np.array([300.0, -100.0, 0.0, 100.0])

books = st.lists(st.floats(-1e9, 1e9).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=40).map(np.array)


def test_exposures_by_hand_with_the_short_side_positive() -> None:
    assert [figure.value for figure in exposure(LONG_SHORT)] == [500.0, 300.0, 400.0, 100.0]


def test_an_empty_book_has_no_exposure_and_no_concentration() -> None:
    empty = np.array([])
    assert exposure(empty) == ((0.0, "ok"),) * 4
    assert weights(empty) is None
    assert herfindahl(None) == largest_position(None) == effective_positions(UNDEFINED) == UNDEFINED


def test_concentration_by_hand() -> None:
    shares = weights(LONG_SHORT)
    assert shares == pytest.approx([0.6, 0.2, 0.0, 0.2])
    assert herfindahl(shares).value == pytest.approx(0.44)
    assert effective_positions(herfindahl(shares)).value == pytest.approx(1 / 0.44)
    assert largest_position(shares).value == pytest.approx(0.6)


@pytest.mark.parametrize(("nav", "expected"), [(250.0, (2.0, "ok")), (0.0, RUINED), (-1.0, RUINED), (None, UNPRICED)])
def test_leverage_needs_a_nav_above_zero(nav: float | None, expected: Figure) -> None:
    assert leverage(Figure.of(500.0), nav) == expected


@given(books)
def test_concentration_lies_between_equal_and_single(book: np.ndarray) -> None:
    shares = weights(book)
    assert 1 / book.size - 1e-12 <= (herfindahl(shares).value or 0.0) <= 1.0 + 1e-12
    assert (largest_position(shares).value or 0.0) >= 1 / book.size - 1e-12


@given(books)
def test_gross_is_long_and_short_together_and_net_their_difference(book: np.ndarray) -> None:
    gross, net, long, short = (figure.value or 0.0 for figure in exposure(book))
    assert gross == pytest.approx(np.abs(book).sum())
    assert net == pytest.approx(book.sum(), abs=1e-9 * gross)
    assert long >= 0.0
    assert short >= 0.0
