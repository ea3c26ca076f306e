"""How a run of the demo ended: what came out for whom, how fast, and what was wrong."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table as Drawn

from tailstream.cli.latency import Latency
from tailstream.cli.tally import Table

RECORDED = ("analytics_metrics", "portfolio_valuations", "risk_metrics", "limit_states")
"""Where history must have rows of every portfolio."""


@dataclass(frozen=True)
class Summary:
    """The end of a run."""

    seconds: float
    """From the first replayed day to the last."""
    first_period: str | None
    last_period: str | None
    closes: int
    """Of replayed days; the warm-up does not count."""
    slices: int
    portfolios: tuple[str, ...]
    published: Mapping[str, Collection[str]]
    """For each service the portfolios it published for."""
    history: Mapping[str, Table]
    quarantined: Mapping[str, str]
    """Reasons by event id."""
    alerts_raised: int
    restarts: Mapping[str, int]
    latency: Latency
    unfinished: tuple[str, ...] = field(default=())
    """What kept the run from its end, in words."""

    @property
    def problems(self) -> list[str]:
        """Why the run is no proof that all works; empty when it is."""
        found = list(self.unfinished)
        if not self.closes:
            found.append("closes: expected at least one replayed day, was none")
        if not self.portfolios:
            found.append("portfolios: expected some to be defined, was none")
        for service, reached in self._reached().items():
            missing = sorted(set(self.portfolios) - set(reached))
            if missing:
                found.append(f"{service}: expected something for every portfolio, had nothing for {_few(missing)}")
        found += [f"quarantine: {reason}" for reason in _few_of(sorted(set(self.quarantined.values())))]
        return found

    def document(self) -> dict[str, Any]:
        """As one JSON document."""
        return {
            "ok": not self.problems,
            "problems": self.problems,
            "seconds": round(self.seconds, 1),
            "first_period": self.first_period,
            "last_period": self.last_period,
            "closes": self.closes,
            "closes_per_second": self._per_second(self.closes),
            "slices": self.slices,
            "portfolios": len(self.portfolios),
            "published": {service: len(reached) for service, reached in self._reached().items()},
            "history": {name: table.rows for name, table in self.history.items()},
            "quarantined": len(self.quarantined),
            "alerts_raised": self.alerts_raised,
            "restarts": dict(self.restarts),
            "latency": asdict(self.latency),
        }

    def drawn(self) -> Drawn:
        """As a table for people."""
        table = Drawn(title="how it went", show_header=False, title_justify="left")
        for name, text in self._lines():
            table.add_row(name, text)
        return table

    def _lines(self) -> list[tuple[str, str]]:
        rate = self._per_second(self.closes)
        lines = [
            ("days", f"{self.closes} in {self.seconds:.0f} s ({rate or 0} a second), to {self.last_period}"),
            ("price slices", f"{self.slices}"),
            ("latency", _latency(self.latency)),
            ("published for", ", ".join(f"{name} {len(found)}" for name, found in self._reached().items())),
            ("of portfolios", f"{len(self.portfolios)}"),
            ("history", ", ".join(f"{name} {table.rows}" for name, table in self.history.items())),
            ("alerts raised", f"{self.alerts_raised}"),
            ("quarantined", f"{len(self.quarantined)}"),
            ("started again", ", ".join(f"{name} {count}" for name, count in self.restarts.items()) or "none"),
        ]
        return lines + [("problem", problem) for problem in self.problems]

    def _reached(self) -> dict[str, frozenset[str]]:
        """For each service the portfolios for which everything arrived."""
        of_all = frozenset(self.portfolios)
        tables = [table.portfolios for name, table in self.history.items() if name in RECORDED]
        recorded = frozenset.intersection(of_all, *tables) if tables else frozenset[str]()
        published = {service: of_all.intersection(reached) for service, reached in self.published.items()}
        return {**published, "recorder": recorded}

    def _per_second(self, count: int) -> float | None:
        return round(count / self.seconds, 1) if self.seconds > 0 else None


def _latency(latency: Latency) -> str:
    if latency.p50_ms is None:
        return "not measured"
    return f"{latency.p50_ms:.0f} ms p50, {latency.p99_ms:.0f} ms p99 from source to client ({latency.samples} updates)"


def _few(names: list[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")


def _few_of(reasons: list[str]) -> list[str]:
    return reasons[:5] + ([f"and {len(reasons) - 5} more reasons"] if len(reasons) > 5 else [])
