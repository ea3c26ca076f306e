"""What each position adds to the risk of its book: component and marginal figures by hand, and what they sum to."""

import numpy as np
import pytest

from contracts.event import EVENT_BYTES_MAX
from contracts.risk import Contributions, RiskMeasured
from services.risk.contributions import POSITIONS_MAX
from tests.engines import log
from tests.engines.log import Log

pytestmark = pytest.mark.filterwarnings("error")

A, B = (0.10, -0.20, 0.05, -0.01), (-0.05, 0.10, 0.05, -0.10)
"""Returns, oldest first."""
Z = 1.959963984540054
"""The normal quantile at 97.5 %."""


def book(positions: dict[str, float] | None = None, **cash: float) -> Log:
    """Four returns of A and B, which both end at 100, and a book."""
    of = Log()
    of.instruments("A", "B", "fx:EURUSD")
    of.book("a", positions, **cash)
    for day in range(5):
        of.close_at({name: 100.0 / float(np.prod(1 + np.array(r[day:]))) for name, r in (("A", A), ("B", B))})
    return of


def measured(of: Log, **asked: float) -> RiskMeasured:
    return log.risked(log.measured_last(log.risk(**asked), of), "a")[-1]


def parts(of: Log, **asked: float) -> Contributions:
    found = measured(of, **asked).contributions
    assert found is not None
    return found


def test_component_es_is_what_each_position_loses_in_the_worst_scenario_of_the_book() -> None:
    """That is the second: A loses 200, B gains 50."""
    found = parts(book({"A": 10.0, "B": 5.0}))
    components = {name: part.component_es for name, part in found.positions.items()}
    assert components == pytest.approx({"A": 200.0, "B": -50.0})
    assert (found.level, found.es) == ("0.975", pytest.approx(150.0))


def test_components_sum_to_the_es_of_the_historical_method_at_the_same_level() -> None:
    event = measured(book({"A": 10.0, "B": -5.0}), contribution_level=0.95)
    assert event.contributions is not None
    assert event.contributions.es == pytest.approx(event.methods["historical"].levels["0.95"].es)


def test_of_a_tail_of_more_than_one_scenario_the_last_counts_with_its_fraction() -> None:
    """At 60 % of four the tail is of 1.6 scenarios: the second, and 0.6 of the fourth."""
    found = parts(book({"A": 10.0, "B": 5.0}), contribution_level=0.6)
    assert found.positions["A"].component_es == pytest.approx((200 + 0.6 * 10) / 1.6)
    assert found.positions["B"].component_es == pytest.approx((-50 + 0.6 * 50) / 1.6)


def test_component_var_is_the_share_of_the_normal_var_without_its_mean() -> None:
    found = parts(book({"A": 10.0, "B": 5.0}))
    a, b = 1_000 * np.array(A), 500 * np.array(B)
    deviation = np.std(a + b, ddof=1)
    shares = {name: Z * np.cov(of, a + b)[0, 1] / deviation for name, of in (("A", a), ("B", b))}
    assert {name: part.component_var for name, part in found.positions.items()} == pytest.approx(shares)
    assert found.var == pytest.approx(Z * deviation)


def test_marginal_es_is_what_one_more_unit_of_money_in_a_position_adds() -> None:
    """One dollar more of A loses 20 cents in the worst scenario; one more of what is held short gains there."""
    found = parts(book({"A": 10.0, "B": -5.0}))
    slopes = {name: part.marginal_es for name, part in found.positions.items()}
    assert slopes == pytest.approx({"A": 0.20, "B": -0.10})
    more = parts(book({"A": 10.01, "B": -5.0}))
    assert more.es - found.es == pytest.approx(0.20)


def test_money_abroad_is_a_position_and_money_at_home_is_none() -> None:
    of = Log()
    of.instruments("A", "fx:EURUSD")
    of.book("a", {"A": 1.0}, EUR=100.0, USD=500.0)
    for rate in (1.0, 1.25, 1.0):
        of.close_at({"A": 10.0, "fx:EURUSD": rate})
    found = parts(of)
    assert {name: part.exposure for name, part in found.positions.items()} == {"A": 10.0, "cash:EUR": 100.0}
    assert found.positions["cash:EUR"].component_es == pytest.approx(20.0)


def test_a_book_that_does_not_vary_has_no_component_var() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    for _ in range(4):
        of.close(A=50.0)
    found = parts(of)
    assert (found.es, found.var, found.positions["A"].component_var) == (0.0, None, None)


def test_what_is_uncovered_has_no_part_in_it() -> None:
    of = book({"A": 10.0, "B": 5.0})
    of.instruments("new")
    of.hold("a", {"A": 10.0, "new": 1.0})
    of.close(A=100.0, B=100.0, new=1.0)
    assert set(parts(of).positions) == {"A"}


@pytest.mark.parametrize("closes", [1, 2])
def test_with_too_few_scenarios_there_is_no_decomposition(closes: int) -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0})
    for _ in range(closes):
        of.close(A=50.0)
    assert measured(of).contributions is None


def test_of_very_many_positions_the_largest_are_told_and_the_sums_are_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parts(book({"A": 10.0, "B": 5.0}))
    monkeypatch.setattr("services.risk.contributions.POSITIONS_MAX", 1)
    found = parts(book({"A": 10.0, "B": 5.0}))
    assert found == whole.model_copy(update={"positions": {"A": whole.positions["A"]}})


def test_a_closing_event_of_a_book_of_ever_so_many_positions_is_no_larger_than_an_event_may_be() -> None:
    of, names = Log(), [f"{'A-NAME-AS-LONG-AS-THEY-MAY-BE':.<58}{n:06}" for n in range(POSITIONS_MAX + 500)]
    of.instruments(*names)
    of.book("a", dict.fromkeys(names, 1.0))
    for day in range(4):
        of.close_at({name: 100.0 + (n * (day + 7) ** 2) % 97 / 7 for n, name in enumerate(names)})
    event = measured(of)
    assert event.contributions is not None
    assert len(event.contributions.positions) == POSITIONS_MAX
    assert len(event.to_json()) < EVENT_BYTES_MAX
