"""The hysteresis of levels, by vectors worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.limits.levels import RANK, Ladder, early_level

WARN_AT, ALERT_AT = 0.75, 0.90


def levels(utilisations: list[float]) -> str:
    """The level after each close, by its first letter."""
    ladder = Ladder()
    reached = []
    for used in utilisations:
        ladder.climb(used, WARN_AT, ALERT_AT)
        reached.append(ladder.level[0])
    return "".join(reached)


@pytest.mark.parametrize(
    ("why", "utilisations", "expected"),
    [
        ("at a threshold is not above it", [0.75, 0.75, 0.75], "ooo"),
        ("one close above warn_at is not enough", [0.80, 0.70, 0.80], "ooo"),
        ("two in a row above warn_at warn", [0.76, 0.76], "ow"),
        ("one above alert_at warns at once", [0.91], "w"),
        ("at alert_at one close is not enough", [0.90, 0.74], "oo"),
        ("one above 1 breaches at once", [1.01], "b"),
        ("at 1 the limit is used up, not breached", [1.00], "w"),
        ("a warning resolves after three below 0.70", [0.91, 0.69, 0.69, 0.69], "wwwo"),
        ("0.70 is not below 0.70", [0.91, 0.69, 0.69, 0.70000001, 0.69, 0.69, 0.69], "wwwwwwo"),
        ("a warning between its thresholds stays", [0.91, 0.72, 0.72, 0.72, 0.72], "wwwww"),
        ("a breach falls to a warning after three below 0.95", [1.2, 0.94, 0.94, 0.94], "bbbw"),
        ("0.95 is not below 0.95", [1.2, 0.94, 0.94, 0.95, 0.94, 0.94, 0.94], "bbbbbbw"),
        ("a breach that falls far resolves whole", [1.2, 0.5, 0.5, 0.5], "bbbo"),
        ("a breach that falls by steps warns between", [1.2, 0.9, 0.9, 0.9, 0.6, 0.6, 0.6], "bbbwwwo"),
        ("a breach again starts the count anew", [1.2, 0.9, 0.9, 1.1, 0.9, 0.9, 0.9], "bbbbbbw"),
        ("a gain uses nothing", [-0.5, -0.5], "oo"),
        ("flapping around the limit stays breached", [1.01, 0.99, 1.01, 0.99, 1.01, 0.99], "bbbbbb"),
    ],
)
def test_levels_follow_the_vectors_worked_out_by_hand(why: str, utilisations: list[float], expected: str) -> None:
    assert levels(utilisations) == expected, why


def test_forgotten_streaks_keep_the_level_and_count_from_nothing() -> None:
    ladder = Ladder()
    for used in (1.2, 0.5, 0.5):
        ladder.climb(used, WARN_AT, ALERT_AT)
    ladder.forget_streaks()
    ladder.climb(0.5, WARN_AT, ALERT_AT)
    assert ladder.level == "breach"
    ladder.climb(0.5, WARN_AT, ALERT_AT)
    ladder.climb(0.5, WARN_AT, ALERT_AT)
    assert ladder.level == "ok"


@pytest.mark.parametrize(("used", "level"), [(0.9, "ok"), (0.91, "warn"), (1.0, "warn"), (1.01, "breach")])
def test_one_live_figure_says_no_more_than_one_close_can(used: float, level: str) -> None:
    assert early_level(used, ALERT_AT) == level


@given(st.lists(st.floats(-2, 3), max_size=60))
def test_a_level_never_falls_before_three_closes_below_its_threshold(utilisations: list[float]) -> None:
    reached = levels(utilisations)
    for day in range(1, len(reached)):
        before, after = reached[day - 1], reached[day]
        lowest = min(day, 2)
        last_three = utilisations[day - lowest : day + 1]
        if (before, after) in {("b", "w"), ("b", "o")}:
            assert len(last_three) == 3
            assert max(last_three) < 0.95
        if (before, after) in {("w", "o"), ("b", "o")}:
            assert max(last_three) < 0.75 - 0.05


@given(st.lists(st.floats(-2, 3), max_size=60))
def test_a_close_above_the_limit_is_always_a_breach(utilisations: list[float]) -> None:
    reached = levels(utilisations)
    assert all(level == "b" for level, used in zip(reached, utilisations, strict=True) if used > 1.0)


@given(st.lists(st.floats(-2, 3), max_size=40), st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_using_more_at_every_close_never_leads_to_a_better_level(less: list[float], more: list[float]) -> None:
    names = {"o": "ok", "w": "warn", "b": "breach"}
    heavier = levels([used + extra for used, extra in zip(less, more, strict=False)])
    for light, heavy in zip(levels(less), heavier, strict=True):
        assert RANK[names[heavy]] >= RANK[names[light]]  # type: ignore[index]
