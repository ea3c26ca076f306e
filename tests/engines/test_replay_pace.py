"""How a replay is spread over time."""

from tailstream.sources.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_at_full_speed_everything_is_due() -> None:
    pace = Pace(None, Clock())
    assert [pace.seconds_until(days) for days in (0.0, 0.5, 1_000.0)] == [0.0, 0.0, 0.0]


def test_a_position_is_due_at_its_share_of_the_days() -> None:
    clock = Clock()
    pace = Pace(2.0, clock)
    assert pace.seconds_until(0.0) == 0.0
    assert pace.seconds_until(3.0) == 1.5
    clock.now += 1.5
    assert pace.seconds_until(3.0) == 0.0


def test_a_small_delay_is_caught_up() -> None:
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.seconds_until(0.0)
    clock.now += 1.5
    assert pace.seconds_until(1.0) == 0.0
    assert pace.seconds_until(2.0) == 0.5


def test_a_long_pause_is_not_caught_up() -> None:
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.seconds_until(0.0)
    clock.now += 3_600.0
    assert pace.seconds_until(1.0) == 0.0
    assert pace.seconds_until(2.0) == 1.0
