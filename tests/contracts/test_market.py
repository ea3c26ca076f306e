"""What an instrument's terms may say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.market import InstrumentDefined

DAY = datetime(2024, 2, 29, 21, tzinfo=UTC)
TERMS = {"underlying": "A", "right": "call", "strike": 100.0, "expires_at": DAY}


def defined(**terms: Any) -> InstrumentDefined:
    about = {"instrument_id": "O", "version": 1, "effective_at": DAY, "kind": "equity", "currency": "USD"}
    return InstrumentDefined(**(about | terms))


def test_an_option_has_terms_and_an_equity_a_proxy() -> None:
    assert defined(kind="option", option=TERMS | {"rate": -0.005, "dividend_yield": 0.03}).option is not None
    assert defined(proxy="P").proxy == "P"
    assert defined(kind="index", proxy="P").proxy == "P"


@pytest.mark.parametrize(
    ("terms", "answer"),
    [
        ({"kind": "option"}, "option: expected terms exactly where kind is 'option', was kind 'option'"),
        ({"option": TERMS}, "option: expected terms exactly where kind is 'option', was kind 'equity'"),
        (
            {"kind": "option", "option": TERMS | {"underlying": "O"}},
            "option.underlying: expected another instrument, was O itself",
        ),
        (
            {"kind": "option", "option": TERMS | {"rate": 5.0}},
            "expected a fraction a year, 0.03 for 3 %, at most 2.0, was 5.0",
        ),
        (
            {"kind": "option", "option": TERMS | {"dividend_yield": -2.5}},
            "expected a fraction a year, 0.03 for 3 %, at most 2.0, was -2.5",
        ),
        ({"kind": "option", "option": TERMS | {"strike": 0.0}}, "greater than 0"),
        ({"kind": "option", "option": TERMS, "proxy": "P"}, "proxy: expected one of an equity or an index alone"),
        ({"kind": "fx", "proxy": "P"}, "proxy: expected one of an equity or an index alone, was of kind 'fx'"),
        ({"proxy": "O"}, "proxy: expected another instrument, was O itself"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_name(terms: dict[str, Any], answer: str) -> None:
    with pytest.raises(ValidationError) as refused:
        defined(**terms)
    assert answer in str(refused.value)
