"""The average of the methods at closes: by hand, its members and weights, and what it says when there is nothing."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from contracts.risk import RiskMeasured
from tailstream.quant.var import Estimate
from tests.engines import log
from tests.engines.log import Log, Replica
from tests.engines.scripted_methods import Plain, always, failing, of_ids

pytestmark = pytest.mark.filterwarnings("error")

LEVELS = (0.95, 0.99)
LOW, MIDDLE, HIGH = ((1.0, 2.0), (1.5, 3.0)), ((2.0, 4.0), (3.0, 5.0)), ((6.0, 9.0), (7.5, 13.0))
"""VaR at both levels, and ES."""


def closes(count: int = 3, **positions: float) -> Log:
    """So many closes of A at 100, and a book of it with 100 dollars."""
    of = Log()
    of.instruments("A", "B")
    of.book("a", positions, USD=100.0)
    for day in range(count):
        of.close(A=100.0 + day % 2)
    return of


def last(of: Log, *scripted: Any, **asked: Any) -> RiskMeasured:
    """The newest risk by the scripted methods."""
    return log.risked(log.measured(log.risk(measured_by=of_ids(*scripted), **asked), of), "a")[-1]


def figures(event: RiskMeasured) -> tuple[list[float | None], list[float | None]]:
    """VaR and ES of the average at both levels."""
    tails = event.methods["average"].levels.values()
    return [tail.var for tail in tails], [tail.es for tail in tails]


def three() -> tuple[Plain, Plain, Plain]:
    return Plain("low", always(*LOW)), Plain("middle", always(*MIDDLE)), Plain("high", always(*HIGH))


def test_a_book_of_cash_has_no_average_and_says_why() -> None:
    event = log.risked(log.measured(log.risk(), closes()), "a")[-1]
    average = event.methods["average"]
    assert (average.status, average.reason) == ("undefined", "no member ever saw a positive ES")
    assert (figures(event), event.averaging) == (([None] * 2,) * 2, None)


def test_before_there_are_scenarios_it_is_insufficient_as_its_members_are() -> None:
    event = log.risked(log.measured(log.risk(), closes(1, A=1.0)), "a")[-1]
    assert event.methods["average"].status == "insufficient"
    assert event.averaging is None


def test_with_weights_still_equal_it_is_the_mean_of_three() -> None:
    event = last(closes(A=1.0), *three())
    assert figures(event) == (pytest.approx([3.0, 5.0]), pytest.approx([4.0, 7.0]))
    assert event.nav.value == 200.0
    assert event.methods["average"].levels["0.99"].var_fraction == pytest.approx(5 / 200)
    made = event.averaging
    assert made is not None
    assert made.weights == pytest.approx({"low": 1 / 3, "middle": 1 / 3, "high": 1 / 3})
    assert made.dispersion == {"0.95": 6.0, "0.99": 4.5}
    assert made.equal_weight["0.99"].es == pytest.approx(7.0)


def test_of_two_members_the_more_conservative_one_is_taken_and_the_other_is_told() -> None:
    event = last(closes(A=1.0), *three()[:2])
    assert figures(event) == ([2.0, 4.0], [3.0, 5.0])
    assert event.averaging is not None
    assert event.averaging.weights == {"low": 0.0, "middle": 1.0}
    assert event.averaging.equal_weight["0.95"].var == pytest.approx(1.5)


def test_noise_around_another_member_is_published_and_left_out() -> None:
    event = last(closes(A=1.0), *three(), Plain("noise", always((90.0, 90.0), (90.0, 90.0)), averaged=False))
    assert event.methods["noise"].levels["0.99"].var == 90.0
    assert figures(event)[0] == pytest.approx([3.0, 5.0])
    assert event.averaging is not None
    assert "noise" not in event.averaging.weights


@pytest.mark.parametrize(
    "missing",
    [failing("no"), always((1.0, None), (1.0, None)), always((1.0, 1.0), (1.0, None))],
    ids=["failed", "no VaR at a level", "no ES at a level"],
)
def test_a_member_without_a_figure_is_left_out_and_the_weights_of_the_others_sum_to_one(missing: Any) -> None:
    event = last(closes(A=1.0), *three(), Plain("missing", missing))
    assert event.averaging is not None
    assert event.averaging.weights == pytest.approx({"low": 1 / 3, "middle": 1 / 3, "high": 1 / 3})
    assert (event.methods["average"].status, figures(event)[0]) == ("ok", pytest.approx([3.0, 5.0]))


def test_without_any_member_it_is_degraded_where_they_failed() -> None:
    event = last(closes(A=1.0), Plain("one", failing("no")), Plain("two", failing("no")))
    assert (event.methods["average"].status, event.averaging) == ("degraded", None)


def test_what_every_member_is_in_doubt_about_the_average_is_too() -> None:
    event = log.risked(log.measured(log.risk(), closes(4, A=1.0, B=1.0)), "a")[-1]
    average = event.methods["average"]
    assert (average.status, average.reason) == ("degraded", "coverage: unknown, because a position has no price")
    assert average.levels["0.99"].var is not None


def test_a_single_member_in_doubt_leaves_no_doubt_about_the_average() -> None:
    doubtful = Plain("doubtful", lambda pnl: Estimate("degraded", "so so", {}, *MIDDLE))
    event = last(closes(A=1.0), *three(), doubtful)
    assert event.methods["average"].status == "ok"
    assert event.averaging is not None
    assert "doubtful" in event.averaging.weights


# -- weights ---------------------------------------------------------------------------------------------------------

WINDOW, ETA, SHRINKAGE, STEP = 250, 0.25, 0.75, 0.05
TRADED, LOST = 100, 50.0


@pytest.fixture(scope="module")
def learning() -> Replica:
    """A book of real ups and downs, measured by one method that is about right and two that are not.

    ``b`` is the same book but for a trade within a day, bought dear and sold cheap.
    """
    random = np.random.default_rng(23)
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    of.book("b", {"A": 1.0})
    price = 100.0
    for day in range(WINDOW + 12):
        if day == TRADED:
            of.hold("b", {"A": 1.0}, USD=-LOST)
        of.close(A=price)
        price *= math.exp(0.01 * random.standard_normal())
    members = (
        Plain("tiny", always((0.1, 0.2), (0.2, 0.3))),
        Plain("right", always((1.6, 2.3), (2.1, 2.7))),
        Plain("large", always((20.0, 30.0), (25.0, 40.0))),
    )
    asked = log.risk(measured_by=of_ids(*members), backtest_window=WINDOW, window=2, horizons=())
    return log.measured(asked, of)


def weights(replica: Replica, name: str = "a") -> list[dict[str, float]]:
    return [event.weights for event in log.backtested(replica, name)]


def test_weights_are_equal_until_there_are_250_losses_and_move_from_then_on(learning: Replica) -> None:
    told = weights(learning)
    moved = [day for day, of_day in enumerate(told) if len(set(of_day.values())) > 1]
    assert moved == list(range(WINDOW, len(told)))
    assert [event.averaging.losses for event in log.risked(learning, "a") if event.averaging][WINDOW - 1] == WINDOW - 1


def test_weights_sum_to_one_and_none_moves_by_more_than_the_step(learning: Replica) -> None:
    told = weights(learning)
    for before, after in pairwise(told):
        assert sum(after.values()) == pytest.approx(1.0, abs=1e-12)
        assert max(abs(after[name] - before[name]) for name in after) <= STEP + 1e-12
    assert told[WINDOW]["right"] > told[WINDOW - 1]["right"]


def test_weights_go_where_a_softmax_of_the_published_losses_by_hand_sends_them(learning: Replica) -> None:
    told = weights(learning)
    for day in (WINDOW, WINDOW + 3):
        target, former = target_at(learning, day), told[day - 1]
        furthest = max(abs(target[name] - former[name]) for name in target)
        share = min(1.0, STEP / furthest)
        moved = {name: former[name] + share * (target[name] - former[name]) for name in target}
        assert told[day] == pytest.approx(moved, rel=1e-9)


def target_at(replica: Replica, day: int) -> dict[str, float]:
    """The shrunk softmax over the last 250 closes up to ``day``."""
    risks, tests = log.risked(replica, "a"), log.backtested(replica, "a")
    summed = {
        name: sum(
            fz0(tests[t].hypothetical_pnl.value or 0.0, risks[t - 1], name) for t in range(day - WINDOW + 1, day + 1)
        )
        for name in tests[day].weights
    }
    least = min(summed.values())
    exponentials = {name: math.exp(-ETA * (loss - least)) for name, loss in summed.items()}
    total = sum(exponentials.values())
    return {name: (1 - SHRINKAGE) * e / total + SHRINKAGE / len(summed) for name, e in exponentials.items()}


def fz0(gain: float, forecast: RiskMeasured, name: str) -> float:
    """`-(1/(a e)) 1{y<=v}(v-y) + v/e + ln(-e) - 1`, v and e negative, summed over the levels."""
    total = 0.0
    for level in LEVELS:
        tail = forecast.methods[name].levels[str(level)]
        assert tail.var_fraction is not None
        assert tail.es_fraction is not None
        v, e, y, a = -tail.var_fraction, -tail.es_fraction, gain / (forecast.nav.value or 1.0), 1 - level
        total += -(1 / (a * e)) * (y <= v) * (v - y) + v / e + math.log(-e) - 1
    return total


def test_the_figures_of_a_close_are_weighted_by_the_weights_of_that_close(learning: Replica) -> None:
    risk, told = log.risked(learning, "a")[-1], weights(learning)[-1]
    assert risk.averaging is not None
    assert risk.averaging.weights == pytest.approx(told)
    by_hand = sum(told[name] * (risk.methods[name].levels["0.99"].es or 0.0) for name in told)
    assert risk.methods["average"].levels["0.99"].es == pytest.approx(by_hand, rel=1e-12)
    equal = sum((risk.methods[name].levels["0.99"].es or 0.0) / 3 for name in told)
    assert risk.averaging.equal_weight["0.99"].es == pytest.approx(equal, rel=1e-12)


def test_weights_learn_from_what_the_forecast_holdings_gained_and_not_from_what_was_traded(learning: Replica) -> None:
    """FZ0 losses of another NAV differ by one constant for all members, which a softmax does not see.

    The trade's loss, were it learnt from, would cost ``right`` more than all that it is better by than ``large``.
    """
    traded = log.backtested(learning, "b")[TRADED]
    assert traded.actual_pnl.value == pytest.approx((traded.hypothetical_pnl.value or 0.0) - LOST)
    for plain, with_trade in zip(weights(learning), weights(learning, "b"), strict=True):
        assert with_trade == pytest.approx(plain, rel=1e-9)
    assert weights(learning, "b")[-1]["right"] > weights(learning, "b")[0]["right"]
