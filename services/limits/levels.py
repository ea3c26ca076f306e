"""The level of a limit: two switches with hysteresis, so that a figure's sampling error does not make it flap.

A historical 99 % VaR has a sampling error of 10-18 %: a bare threshold would open and resolve at every other close.
"""

from dataclasses import dataclass

from contracts.event import Level

BREACH_ABOVE = 1.00
BREACH_RESOLVES_BELOW = 0.95
WARN_RESOLVES_MARGIN = 0.05
"""A warning resolves below ``warn_at`` less this."""
CLOSES_TO_WARN = 2
CLOSES_TO_RESOLVE = 3

RANK: dict[Level, int] = {"ok": 0, "warn": 1, "breach": 2}


@dataclass(slots=True)
class Ladder:
    """Where a limit stands between closes; only ``climb`` moves it, so a close without a usable figure holds it.

    The breach switch turns on above 1.00 at once and off after three closes below 0.95. The warning switch turns on
    above ``alert_at`` at once, above ``warn_at`` at the second close in a row, and off after three closes below
    ``warn_at - 0.05``. A breach that resolves falls to ``warn`` until the warning resolves as well.
    """

    warned: bool = False
    breached: bool = False
    closes_above_warn: int = 0
    closes_below_warn: int = 0
    closes_below_breach: int = 0

    @property
    def level(self) -> Level:
        """The worse of the two switches."""
        if self.breached:
            return "breach"
        return "warn" if self.warned else "ok"

    def climb(self, utilisation: float, warn_at: float, alert_at: float) -> None:
        """Count one close at ``utilisation`` and turn the switches that it turns."""
        self._count(utilisation, warn_at)
        if utilisation > BREACH_ABOVE:
            self.breached = True
        elif self.closes_below_breach >= CLOSES_TO_RESOLVE:
            self.breached = False
        if utilisation > alert_at or self.closes_above_warn >= CLOSES_TO_WARN:
            self.warned = True
        elif self.closes_below_warn >= CLOSES_TO_RESOLVE:
            self.warned = False

    def forget_streaks(self) -> None:
        """Start counting anew, at the level as it is: what was counted was held against another number."""
        self.closes_above_warn = self.closes_below_warn = self.closes_below_breach = 0

    def _count(self, utilisation: float, warn_at: float) -> None:
        self.closes_above_warn = self.closes_above_warn + 1 if utilisation > warn_at else 0
        below_warn = utilisation < warn_at - WARN_RESOLVES_MARGIN
        self.closes_below_warn = self.closes_below_warn + 1 if below_warn else 0
        self.closes_below_breach = self.closes_below_breach + 1 if utilisation < BREACH_RESOLVES_BELOW else 0


def early_level(utilisation: float, alert_at: float) -> Level:
    """What a live figure alone can say: it is one observation, so ``warn_at`` twice in a row does not apply."""
    if utilisation > BREACH_ABOVE:
        return "breach"
    return "warn" if utilisation > alert_at else "ok"


def worse(first: Level, second: Level) -> Level:
    """The worse of two levels."""
    return first if RANK[first] >= RANK[second] else second
