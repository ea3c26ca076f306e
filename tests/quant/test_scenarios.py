import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tailstream.quant.scenarios import (
    FEW_BOOKS,
    compound_currency,
    scenario_pnl,
    scenario_pnl_live,
    scenario_pnl_of_rows,
    simple_returns,
)

pytestmark = pytest.mark.filterwarnings("error")

GENERATOR = np.random.default_rng(3)
RETURNS = GENERATOR.standard_t(4, (40, 300)) * 0.01
BOOKS = GENERATOR.normal(size=(64, 40)) * 1e5


def test_pnl_is_the_sum_of_exposure_times_return() -> None:
    pnl = scenario_pnl(np.array([100.0, -50.0]), np.array([[0.1, 0.0, -0.2], [0.1, 0.2, 0.0]]))
    assert pnl == pytest.approx([5.0, -10.0, -20.0])


def test_an_empty_book_gains_nothing_in_every_scenario() -> None:
    assert (scenario_pnl(np.array([]), np.empty((0, 5))) == np.zeros(5)).all()


def test_a_single_row_is_not_stretched_over_the_instruments() -> None:
    with pytest.raises(ValueError, match="expected one row for each of the 1 exposures, got 3"):
        scenario_pnl(np.array([1.0]), np.ones((3, 5)))
    with pytest.raises(ValueError, match="expected one row for each of the 2 exposures, got 3"):
        scenario_pnl_live(np.ones((4, 2)), np.ones((3, 5)))


def test_a_book_has_the_same_bits_whichever_way_its_instruments_are_accumulated() -> None:
    one_by_one = np.zeros(300)
    for exposure, row in zip(BOOKS[0], RETURNS, strict=True):
        one_by_one = one_by_one + exposure * row
    assert scenario_pnl(BOOKS[0], RETURNS).tobytes() == one_by_one.tobytes()


def test_an_instrument_that_is_not_held_changes_no_bit() -> None:
    held = np.concatenate([BOOKS[0], [0.0]])
    known = np.concatenate([RETURNS, RETURNS[:1]])
    assert (scenario_pnl(held, known) == scenario_pnl(BOOKS[0], RETURNS)).all()


@pytest.mark.parametrize("count", [0, 1, FEW_BOOKS, FEW_BOOKS + 1, len(BOOKS)])
def test_the_live_product_agrees_with_the_close_be_it_of_few_books_or_many_dense_or_sparse(count: int) -> None:
    few = np.where(np.arange(BOOKS.size).reshape(BOOKS.shape) % 7 == 0, BOOKS, 0.0)
    for books in (BOOKS[:count], few[:count]):
        closes = np.array([scenario_pnl(book, RETURNS) for book in books]).reshape(count, RETURNS.shape[1])
        assert scenario_pnl_live(books, RETURNS) == pytest.approx(closes, rel=1e-9, abs=1e-6)
        assert scenario_pnl_live(csr_array(books), RETURNS) == pytest.approx(closes, rel=1e-9, abs=1e-6)


def test_a_sparse_book_of_other_instruments_than_the_returns_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one row for each of the 2 exposures, got 3"):
        scenario_pnl_live(csr_array(np.ones((4, 2))), np.ones((3, 5)))


@pytest.mark.parametrize("count", [FEW_BOOKS, len(BOOKS)])
def test_the_live_product_of_dense_books_goes_where_it_is_told_whatever_was_there(count: int) -> None:
    out = np.full((count, 300), np.nan)
    assert scenario_pnl_live(BOOKS[:count], RETURNS, out) is out
    assert (out == scenario_pnl_live(BOOKS[:count], RETURNS)).all()


def test_a_currency_compounds_with_the_local_return() -> None:
    assert compound_currency(np.array([[0.1, -0.5]]), np.array([0.1, 1.0])) == pytest.approx(np.array([[0.21, 0.0]]))


@settings(max_examples=50)
@given(st.lists(st.floats(-0.9, 5.0), min_size=1, max_size=20).map(np.array))
def test_a_currency_that_stood_still_changes_no_bit(local: np.ndarray) -> None:
    assert compound_currency(local, np.zeros(local.size)).tobytes() == (local + 0.0).tobytes()


def test_returns_of_prices_by_hand() -> None:
    assert simple_returns(np.array([[100.0, 110.0, 55.0], [2.0, 2.0, 3.0]])) == pytest.approx(
        np.array([[0.1, -0.5], [0.0, 0.5]])
    )


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, 0.0, -10.0])
def test_a_missing_price_costs_the_two_returns_beside_it_and_fills_nothing(missing: float) -> None:
    returns = simple_returns(np.array([[100.0, missing, 121.0, 133.1], [1.0, 2.0, 4.0, 8.0]]))
    assert np.isnan(returns[0]).tolist() == [True, True, False]
    assert returns[0, 2] == pytest.approx(0.1)
    assert returns[1].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("periods", [0, 1])
def test_fewer_than_two_prices_make_no_return(periods: int) -> None:
    assert simple_returns(np.ones((3, periods))).shape == (3, 0)


def test_returns_over_a_horizon_overlap() -> None:
    returns = simple_returns(np.array([[100.0, 110.0, 121.0, 60.5]]), horizon=2)
    assert returns == pytest.approx(np.array([[0.21, -0.45]]))


def test_a_missing_price_costs_the_two_horizons_that_end_or_begin_at_it() -> None:
    returns = simple_returns(np.array([[1.0, 2.0, np.nan, 4.0, 5.0, 6.0]]), horizon=2)
    assert np.isnan(returns[0]).tolist() == [True, False, True, False]


@pytest.mark.parametrize("horizon", [3, 4, 10])
def test_a_horizon_that_is_longer_than_the_prices_has_no_return(horizon: int) -> None:
    assert simple_returns(np.ones((2, 3)), horizon).shape == (2, 0)


@pytest.mark.parametrize("horizon", [0, -1])
def test_a_horizon_is_at_least_a_period(horizon: int) -> None:
    with pytest.raises(ValueError, match=f"horizon: expected at least 1 period, was {horizon}"):
        simple_returns(np.ones((1, 3)), horizon)


@pytest.mark.parametrize(("instruments", "periods"), [(7, 40_000), (300, 500), (1, 70_000)])
def test_looking_at_prices_in_blocks_changes_no_bit(instruments: int, periods: int) -> None:
    prices = np.exp(np.random.default_rng(5).normal(size=(instruments, periods)))
    at_once = (prices[:, 1:] - prices[:, :-1]) / prices[:, :-1]
    assert simple_returns(prices).tobytes() == at_once.tobytes()


@pytest.mark.parametrize("scenarios", [500, 4_095, 4_096, 20_000])
def test_a_book_that_holds_some_of_many_instruments_has_the_bits_of_the_plain_sum(scenarios: int) -> None:
    random = np.random.default_rng(5)
    returns, exposures = random.normal(size=(30, scenarios)), random.normal(size=22) * 1e6
    rows = random.permutation(30)[:22]
    assert (scenario_pnl_of_rows(exposures, returns, rows) == scenario_pnl(exposures, returns[rows])).all()
    assert (scenario_pnl_of_rows(exposures[:0], returns, rows[:0]) == 0.0).all()
