"""Logs of every kind, drawn by hypothesis: for what must hold whatever the log says."""

from typing import Any

from hypothesis import strategies as st

from contracts.event import Cut
from contracts.topics import CLOSES
from tests.engines.log import Log

LEAVES, DESKS = ("a", "b", "c", "d"), ("x", "y", "z")
QUOTED = ("A", "B", "E", "fx:EURUSD", "fx:USDEUR", "unknown")
prices = st.dictionaries(st.sampled_from(QUOTED), st.sampled_from([0.5, 1.25, 3.0, 7.7, 1e3]), max_size=6)
full = st.fixed_dictionaries({name: st.sampled_from([0.9, 1.25, 3.0]) for name in QUOTED if name != "fx:USDEUR"})
quantities = st.dictionaries(st.sampled_from(QUOTED), st.sampled_from([-3.0, 0.0, 0.1, 10.0]), max_size=4)
money = st.dictionaries(st.sampled_from(["USD", "EUR"]), st.sampled_from([-50.0, 0.1, 100.0]), max_size=2)
parents = st.sampled_from([None, *LEAVES[:2], *DESKS])
changes = st.one_of(
    st.tuples(st.just("hold"), st.sampled_from(LEAVES), quantities, money, st.sampled_from([-1, 0, 1, 1, 1])),
    st.tuples(st.just("define"), st.sampled_from(LEAVES + DESKS), st.sampled_from(["USD", "EUR"]), parents),
    st.tuples(st.just("tombstone"), st.sampled_from(LEAVES + DESKS)),
    st.tuples(st.just("redefine"), st.sampled_from(QUOTED), st.sampled_from([1.0, 2.0])),
    st.tuples(st.just("slice"), prices),
)
closes = st.tuples(st.sampled_from(["next"] * 8 + ["again", "garbage", "wrong cut"]), st.one_of(full, full, prices))
days = st.tuples(st.lists(changes, max_size=3), closes)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log of up to 14 days on top of a desk with two books that hold something."""
    drawn = Log()
    drawn.instruments("A", "B", "fx:EURUSD", "fx:USDEUR")
    drawn.instruments("E", currency="EUR")
    for name, parent in (("x", None), ("a", "x"), ("b", "x")):
        drawn.portfolio(name, parent=parent)
    drawn.hold("a", {"A": 10.0, "E": 3.0}, USD=100.0)
    drawn.hold("b", {"B": -2.0}, USD=100.0, EUR=10.0)
    for changed, (kind, quoted) in draw(st.lists(days, min_size=1, max_size=14)):
        for change in changed:
            write(drawn, *change)
        close(drawn, kind, quoted)
    return drawn


def write(to: Log, kind: str, *change: Any) -> None:
    match kind:
        case "hold":
            name, positions, cash, step = change
            version = max(1, to._versions[name] + step)
            to.hold(name, positions, version=version, flow=5.0, **cash)
        case "define":
            to.portfolio(*change)
        case "tombstone":
            to.tombstone(*change)
        case "redefine":
            name, multiplier = change
            to.instruments(name, currency="EUR" if name == "E" else "USD", multiplier=multiplier)
        case "slice":
            to.slice(*change)


def close(to: Log, kind: str, quoted: dict[str, float]) -> None:
    match kind:
        case "next":
            to.close_at(quoted)
        case "again" if to.days:
            to.close_at(quoted, day=to.days - 1)
        case "garbage":
            to.skip(CLOSES)
        case "wrong cut":
            to.close_at(quoted, day=to.days, cut=Cut(holdings=(0,), definitions=(0,), instruments=0, actions=0))
