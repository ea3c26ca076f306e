"""Limits as code: the file's rules, and the limits that they mean for the portfolios that are defined.

::

    owner: risk-desk                  # of every limit whose rule names no other
    limits:
      - limit_id: var-99              # the same limit on every portfolio that the rule selects
        metric: var_99
        base: 0.03                    # a fraction of NAV; money once a currency is named
        portfolios: ["*"]             # ids, or patterns of them: * ? [a-z]
        except: ["levered*"]
      - limit_id: gross
        metric: gross
        base: 250_000_000
        currency: base                # the portfolio's own base currency, whatever it is
        warn_at: 0.8
        portfolios: [firm]

``method``, ``direction``, ``warn_at``, ``alert_at`` and ``owner`` are as in ``contracts/limits.py``, with its defaults.
A limit that two rules define, a pattern that selects nothing and a field that is not known are errors.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.event import Currency
from contracts.limits import Label, Limit, LimitId, Metric
from contracts.portfolio import PortfolioDefined
from tailstream.runtime.decoding import explain
from tailstream.runtime.errors import TailstreamError

Patterns = Annotated[tuple[str, ...], Field(min_length=1)]


class WrongRules(TailstreamError):
    """The file, or one of its rules, cannot be applied."""


class Rule(BaseModel):
    """One limit on each of the portfolios that ``portfolios`` selects and ``except`` does not."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    limit_id: LimitId
    metric: Metric
    base: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    portfolios: Patterns
    without: Annotated[tuple[str, ...], Field(alias="except")] = ()
    currency: Currency | Literal["base"] | None = None
    method: Label | None = None
    direction: Literal["max", "min"] | None = None
    warn_at: float | None = None
    alert_at: float | None = None
    owner: Label | None = None

    def selects(self, portfolio_id: str) -> bool:
        """Whether the rule is about this portfolio."""
        return _matches(portfolio_id, self.portfolios) and not _matches(portfolio_id, self.without)

    def limit_on(self, portfolio: PortfolioDefined, owner: str | None) -> Limit:
        """The rule's limit on ``portfolio``."""
        fields: dict[str, Any] = self.model_dump(exclude={"portfolios", "without"}, exclude_none=True)
        if self.currency == "base":
            fields["currency"] = portfolio.base_currency
        return Limit.model_validate({"owner": owner, **fields, "portfolio_id": portfolio.portfolio_id})


class Rules(BaseModel):
    """A file of rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: Label | None = None
    limits: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @classmethod
    def from_yaml(cls, text: str, *, name: str) -> Self:
        """Read a file's text; ``name`` is what errors call it.

        Raises
        ------
        WrongRules
            Naming the file and every field that is missing or wrong.
        """
        try:
            return cls.model_validate(yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise WrongRules(f"{name}: expected YAML: {error}") from error
        except ValidationError as error:
            raise WrongRules(f"{name}: {explain(error)}") from error

    def limits_on(self, portfolios: Mapping[str, PortfolioDefined]) -> list[Limit]:
        """Every limit that the rules mean, portfolio by portfolio.

        Raises
        ------
        WrongRules
            Naming the rule, and what about it cannot be.
        """
        limits: dict[tuple[str, str], Limit] = {}
        for rule in self.limits:
            for portfolio in _selected(rule, portfolios.values()):
                key = (portfolio.portfolio_id, rule.limit_id)
                if key in limits:
                    raise WrongRules(f"{rule.limit_id}: expected one rule for {portfolio.portfolio_id}, found two")
                limits[key] = self._limit(rule, portfolio)
        return [limits[key] for key in sorted(limits)]

    def _limit(self, rule: Rule, portfolio: PortfolioDefined) -> Limit:
        try:
            return rule.limit_on(portfolio, self.owner)
        except ValidationError as error:
            raise WrongRules(f"{rule.limit_id} on {portfolio.portfolio_id}: {explain(error)}") from error


def _selected(rule: Rule, portfolios: Iterable[PortfolioDefined]) -> list[PortfolioDefined]:
    known = sorted(portfolios, key=lambda portfolio: portfolio.portfolio_id)
    for pattern in rule.portfolios:
        if not any(fnmatchcase(portfolio.portfolio_id, pattern) for portfolio in known):
            ids = ", ".join(portfolio.portfolio_id for portfolio in known[:10]) or "none"
            raise WrongRules(f"{rule.limit_id}: portfolios: expected a defined one, was {pattern!r}; defined: {ids}")
    return [portfolio for portfolio in known if rule.selects(portfolio.portfolio_id)]


def _matches(portfolio_id: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(portfolio_id, pattern) for pattern in patterns)
