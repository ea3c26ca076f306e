from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from tailstream.files.errors import WrongFile
from tailstream.files.holdings import Portfolio, portfolio_of, read_positions
from tailstream.files.table import read_table

Write = Callable[..., str]

PRICES = ["Date,A,B,C", "2020-01-01,100,50,7", "2020-01-02,110,,7", "2020-01-03,121,50,7", "2020-01-04,108.9,60,7"]


def portfolio(write: Write, *positions: str, prices: list[str] = PRICES, horizon: int = 1) -> Portfolio:
    quantities = read_positions(write("instrument,quantity", *positions, name="positions.csv"))
    return portfolio_of(read_table(write(*prices)), quantities, horizon=horizon)


def test_current_holdings_go_through_past_returns(write: Write) -> None:
    held = portfolio(write, "B,-1", "A,2")
    assert held.instruments == ("A", "B")
    assert held.exposures == pytest.approx([217.8, -60.0])
    assert held.value == pytest.approx(157.8)
    assert held.pnl == pytest.approx([-0.1 * 217.8 - 0.2 * 60.0])


def test_a_scenario_in_which_something_held_has_no_return_is_left_out(write: Write) -> None:
    held = portfolio(write, "A,2", "B,1")
    assert held.dates == (datetime(2020, 1, 4),)
    assert held.start == datetime(2020, 1, 3)
    assert portfolio(write, "A,2").returns == pytest.approx(np.array([[0.1, 0.1, -0.1]]))


def test_what_is_held_in_no_quantity_leaves_no_scenario_out(write: Write) -> None:
    assert portfolio(write, "A,2", "B,0").pnl.size == 3


def test_longer_scenarios_are_compounded_by_instrument(write: Write) -> None:
    assert portfolio(write, "A,1", "C,5", horizon=2).pnl == pytest.approx([0.21 * 108.9, -0.01 * 108.9])


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        (["A,1", "A,2"], r"positions\.csv: row 3: expected every instrument once, A is there twice"),
        (["A,x"], r"positions\.csv: row 2, column 'quantity': expected a finite number, was 'x'"),
        (["A,"], r"positions\.csv: row 2, column 'quantity': expected a finite number, was ''"),
        ([" ,1"], r"positions\.csv: row 2: expected the name of an instrument, was empty"),
        (["A,inf"], r"positions\.csv: row 2, column 'quantity': expected a finite number, was 'inf'"),
        (["A,0"], r"positions\.csv: expected a quantity other than 0"),
        (["D,1"], r"series\.csv: expected a column of prices of D, which is held; found A, B, C"),
    ],
    ids=str,
)
def test_wrong_positions_are_named(write: Write, positions: list[str], said: str) -> None:
    with pytest.raises(WrongFile, match=said):
        portfolio(write, *positions)


def test_a_file_of_positions_has_two_columns(write: Write) -> None:
    with pytest.raises(
        WrongFile, match=r"positions\.csv: expected the columns instrument, quantity, found name, number"
    ):
        read_positions(write("name,number", "A,1", name="positions.csv"))


def test_an_instrument_that_is_held_needs_a_last_price(write: Write) -> None:
    with pytest.raises(
        WrongFile, match=r"series\.csv: row 6, column 'B': expected a price on 2020-01-05, for it is held"
    ):
        portfolio(write, "B,1", prices=[*PRICES, "2020-01-05,100,,7"])
    assert portfolio(write, "A,1", prices=[*PRICES, "2020-01-05,100,,7"]).value == 100.0
