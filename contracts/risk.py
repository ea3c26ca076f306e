"""What risk publishes: Value at Risk and Expected Shortfall of the current holdings, positive = loss."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.event import Currency, Event, Figure, InstrumentId, Measured, Part, Period, PortfolioId, Status

RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class TailRisk(Part):
    """VaR and ES at one level, in money and as a fraction of NAV; a negative VaR is a gain."""

    var: float | None
    es: float | None
    var_fraction: float | None
    es_fraction: float | None


class MethodRisk(Part):
    """One method's figures; ``levels`` is keyed by the confidence as written: ``"0.99"``."""

    status: Status
    reason: str | None = None
    parameters: dict[str, float] = Field(default_factory=dict)
    levels: dict[str, TailRisk]


class Averaging(Part):
    """How ``methods["average"]`` came about: by weights that follow the losses each member made."""

    weights: dict[str, float]
    """Weight of every member that has a figure; they sum to 1."""
    losses: Annotated[int, Field(ge=0)]
    """How many closes the weights rest on; below the window they are equal."""
    dispersion: dict[str, float | None]
    """By level, the largest VaR of a member over the smallest; null where the smallest is not positive."""
    equal_weight: dict[str, TailRisk]
    """By level, what equal weights would give."""


class Contribution(Part):
    """What one position adds to the risk of its book, in base currency."""

    exposure: float
    component_es: float
    """Its average loss over the tail of the book; the components sum to the book's ES."""
    marginal_es: float | None
    """What ES grows by for one more unit of money in it; null where nothing is exposed."""
    component_var: float | None
    """Its share of the normal method's VaR without the mean; null where the book does not vary."""


class Contributions(Part):
    """The decomposition of ES (historical) and VaR (normal) at one level, by position and by money held abroad."""

    level: str
    es: float
    var: float | None
    positions: dict[InstrumentId, Contribution]
    """Of a book of very many, those whose component ES is the largest in size; ``es`` and ``var`` are sums of all."""


class Stressed(Part):
    """What the current holdings would lose under one scenario, positive = loss."""

    kind: Literal["window", "shock"]
    status: Status
    reason: str | None = None
    loss: float | None
    loss_fraction: float | None
    coverage: float | None
    """Share of gross exposure that the scenario says anything about."""
    proxied: dict[InstrumentId, InstrumentId] = Field(default_factory=dict)
    """Positions whose prices in a historical window are partly those of another instrument, which is named."""
    worst_period: Period | None = None
    """The worst single period of a historical window."""
    worst_period_loss: float | None = None


class StressedRisk(Part):
    """Historical VaR and ES of the current holdings over the window of the past that was worst for them."""

    status: Status
    reason: str | None = None
    first_period: Period | None = None
    last_period: Period | None = None
    proxied: dict[InstrumentId, InstrumentId] = Field(default_factory=dict)
    """Positions whose prices in that window are partly those of another instrument, which is named."""
    levels: dict[str, TailRisk]


class RiskMeasured(Measured):
    """VaR and ES by every method and level, over ``n_obs`` scenarios of the current holdings."""

    nav: Figure
    gross: Figure
    n_obs: Annotated[int, Field(ge=0)]
    fit_n_obs: Annotated[int, Field(ge=0)] | None = None
    """Scenarios of the longer window, on which methods look back whose models are fitted; of a closing measurement."""
    fit_coverage: float | None = None
    """``coverage`` in that window: an instrument may have enough history in one window and not in the other."""
    uncovered: tuple[InstrumentId, ...] = ()
    """Positions left out of the scenarios, never scaled up."""
    methods: dict[str, MethodRisk]
    proxied: dict[InstrumentId, InstrumentId] = Field(default_factory=dict)
    """Positions whose history, in what methods look back on, is partly that of another instrument, which is named."""
    stale: tuple[InstrumentId, ...] = ()
    """Positions at a price or rate that was carried forward; of a closing measurement."""
    averaging: Averaging | None = None
    """Of a closing measurement."""
    horizons: dict[str, dict[str, MethodRisk]] = Field(default_factory=dict)
    """By horizon in periods (``"10"``) and method, from overlapping scenarios of that length."""
    contributions: Contributions | None = None
    delta_gamma: MethodRisk | None = None
    """The historical figures with options by their delta and gamma; null where no option is held."""
    stress: dict[str, Stressed] = Field(default_factory=dict)
    stressed: StressedRisk | None = None


class Outcome(Part):
    """How one method at one level did against one kind of P&L over the closes of the backtest's window."""

    hit: bool | None
    """Whether this close's loss was beyond the VaR of the close before; null where either is unknown."""
    exceptions: Annotated[int, Field(ge=0)]
    kupiec: float | None
    """Likelihood ratio that there are as many hits as the level promises."""
    kupiec_p_value: float | None
    """Probability of a ratio at least as large if the model is right; so are the other two."""
    independence: float | None
    """Likelihood ratio that a hit makes another one no likelier: Christoffersen."""
    independence_p_value: float | None
    conditional_coverage: float | None
    """The sum of both ratios."""
    conditional_coverage_p_value: float | None
    z2: float | None
    """Acerbi and Szekely's second statistic of ES; about 0 for a right model, -0.7 is critical at 97.5 %."""
    tick_loss: float | None
    """Mean over the window, of P&L as a fraction of NAV."""
    fz0_loss: float | None
    """Mean over the window, of P&L as a fraction of NAV."""


class LevelBacktest(Part):
    """One method at one level."""

    observations: Annotated[int, Field(ge=0)]
    actual: Outcome
    hypothetical: Outcome


class MethodBacktest(Part):
    """One method at all levels; ``traffic_light`` is of the 99 % VaR over the last 250 observations."""

    levels: dict[str, LevelBacktest]
    traffic_light: Literal["green", "amber", "red"] | None = None
    multiplier: float | None = None


class FittedAt(Part):
    """The shape of a method's model and the period whose close it was fitted at."""

    period: Period
    status: Status
    reason: str | None = None
    parameters: dict[str, float]


class RiskBacktested(Measured):
    """The figures of the close before against what came, and what the next close needs to know of this one."""

    forecast_period: Period | None
    """The close whose VaR and ES were tested; null at the first."""
    actual_pnl: Figure
    """Gain since the close before without external flows: holdings as they were traded."""
    hypothetical_pnl: Figure
    """Gain of the holdings of the close before, at today's prices."""
    methods: dict[str, MethodBacktest]
    weights: dict[str, float]
    """Weights of the average from this close on, before members without a figure are left out."""
    fits: dict[str, FittedAt] = Field(default_factory=dict)
    stressed_window: tuple[Period, Period] | None = None
    """First and last period of the window that was found to be the worst."""
    stressed_at: Period | None = None
    """The period whose close it was looked for at."""


class WhatIfRequested(Event):
    """A question: what would the risk of a portfolio be after these trades? Nothing is traded."""

    request_id: RequestId
    portfolio_id: PortfolioId
    requested_by: str
    requested_at: AwareDatetime
    trades: Annotated[dict[InstrumentId, float], Field(min_length=1, max_length=1_000)]
    """Quantity of each instrument, paid from cash at the price of the moment; negative is sold."""


class WhatIfMeasured(Event):
    """The answer: the figures before and after the trades, and their difference.

    There is at least one to every request that is about a portfolio of a running service; one that a new owner of the
    portfolio's shard gives again has the same ``event_id``, and the prices of its own moment.
    """

    event_id: UUID
    """Of the request: all answers to one have the same."""
    request_id: RequestId
    portfolio_id: PortfolioId
    as_of: AwareDatetime
    currency: Currency
    status: Status
    reason: str | None = None
    """Why there is no answer; then there are no figures."""
    nav: float | None = None
    coverage: float | None = None
    """Of the book after the trades."""
    uncovered: tuple[InstrumentId, ...] = ()
    """Positions after the trades that are left out of the scenarios: figures say nothing of them."""
    before: dict[str, MethodRisk] = Field(default_factory=dict)
    after: dict[str, MethodRisk] = Field(default_factory=dict)
    difference: dict[str, dict[str, TailRisk]] = Field(default_factory=dict)
    """After minus before, by method and level: the incremental VaR and ES of the trades."""
