"""Limits as code: what a file's rules mean, and what is wrong with a file that cannot be applied."""

from collections import Counter
from pathlib import Path

import pytest

from contracts.portfolio import PortfolioDefined
from tailstream.cli.limit_rules import Rules, WrongRules
from tailstream.sources.books import DESKS, FIRM, books

DEMO = Path(__file__).parents[2] / "deploy" / "limits" / "demo.yaml"


def portfolio(portfolio_id: str, currency: str = "USD") -> PortfolioDefined:
    return PortfolioDefined(portfolio_id=portfolio_id, name=portfolio_id, base_currency=currency)


PORTFOLIOS = {p.portfolio_id: p for p in (portfolio("firm"), portfolio("desk-1"), portfolio("desk-2", "EUR"))}
RULE = "{limit_id: var, metric: var_99, base: 0.03, portfolios: ['*']}"


def rules(text: str) -> Rules:
    return Rules.from_yaml(text, name="limits.yaml")


def test_a_rule_is_a_limit_on_each_portfolio_that_it_selects() -> None:
    text = f"owner: me\nlimits: [{RULE[:-1]}, except: [firm]}}]"
    limits = rules(text).limits_on(PORTFOLIOS)
    assert [(limit.portfolio_id, limit.limit_id, limit.owner) for limit in limits] == [
        ("desk-1", "var", "me"),
        ("desk-2", "var", "me"),
    ]


def test_money_in_the_base_currency_is_in_each_portfolio_s_own() -> None:
    text = "owner: me\nlimits: [{limit_id: g, metric: gross, base: 9, currency: base, portfolios: ['desk-?']}]"
    assert [limit.currency for limit in rules(text).limits_on(PORTFOLIOS)] == ["USD", "EUR"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("limits: [", "limits.yaml: expected YAML"),
        ("[]", "limits.yaml: value: Input should be a valid dictionary"),
        ("limits: []", "limits.yaml: limits: Tuple should have at least 1 item"),
        ("owner: me\nlimits: [{}]", "limits.0.limit_id: Field required"),
        (f"limits: [{RULE[:-1]}, colour: red}}]", "limits.0.colour: Extra inputs are not permitted, was 'red'"),
        (f"limits: [{RULE.replace('var_99', 'luck')}]", "limits.0.metric: Input should be 'var_95'"),
        (f"limits: [{RULE.replace('0.03', '-1')}]", "limits.0.base: Input should be greater than 0, was -1"),
        (f"limits: [{RULE.replace('0.03', '.nan')}]", "limits.0.base: Input should be"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(text: str, reason: str) -> None:
    with pytest.raises(WrongRules) as error:
        rules(text)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"limits: [{RULE}]", "var on desk-1: owner: Input should be a valid string, was None"),
        (f"owner: me\nlimits: [{RULE}, {RULE}]", "var: expected one rule for desk-1, found two"),
        (
            f"owner: me\nlimits: [{RULE.replace('*', 'book-*')}]",
            "var: portfolios: expected a defined one, was 'book-*'; defined: desk-1, desk-2, firm",
        ),
        (
            "owner: me\nlimits: [{limit_id: g, metric: gross, base: 1, portfolios: [firm]}]",
            "g on firm: value: Value error, currency: expected one for gross, which is money, was null",
        ),
        (f"owner: me\nlimits: [{RULE[:-1]}, warn_at: 0.95}}]", "warn_at: expected at most alert_at 0.9, was 0.95"),
    ],
)
def test_a_rule_that_cannot_be_applied_says_which_and_why(text: str, reason: str) -> None:
    with pytest.raises(WrongRules) as error:
        rules(text).limits_on(PORTFOLIOS)
    assert reason in str(error.value)


def test_the_demo_s_limits_are_of_every_kind_on_leaves_desks_and_the_firm() -> None:
    desks = [desk.definition for desk in DESKS]
    leaves = [book.definition for book in books(seed=1)]
    defined = {p.portfolio_id: p for p in (FIRM, *desks, *leaves)}
    limits = rules(DEMO.read_text()).limits_on(defined)
    held = Counter(limit.portfolio_id for limit in limits)
    assert held.keys() == defined.keys()
    assert min(held.values()) >= 4
    kinds = {"var_99", "volatility", "drawdown", "gross", "concentration_hhi"}
    for portfolio_id in (FIRM.portfolio_id, *(desk.portfolio_id for desk in desks)):
        assert kinds <= {limit.metric for limit in limits if limit.portfolio_id == portfolio_id}
    assert kinds <= {limit.metric for limit in limits if limit.portfolio_id in {leaf.portfolio_id for leaf in leaves}}
    euro = [limit for limit in limits if limit.portfolio_id == "euro" and limit.currency]
    assert {limit.currency for limit in euro} == {"EUR"}
