"""True figures: everything that was measured, computed again from the data files, and compared.

Imports nothing of the system. Prices come from the data files; definitions, holdings, instruments and cuts are inputs
and come raw from the log. Valuations are compared at every close, the figures of windows, tails and backtests at every
n-th (``--every``). What was fitted is not fitted again: the figures that follow from the published parameters are
compared, and so are the average of the published members and the tests of the published forecasts. Prints the largest
deviation of each figure; exits with 1 when one is above 1e-9, or when what should stand on the log and in history is
missing, is there twice, or differs between the two. A figure that is neither judged nor listed under ``NOT_JUDGED`` is
wrong.

    python tests/oracle/oracle.py --kafka 127.0.0.1:9092 --postgres postgresql://... [--prefix p.] [--data data]
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from books import read_books
from log import Raw, read_topic
from market import load_closes, unit_worth
from risk import RiskTruth, said
from rows import deviations
from standing import (
    Event,
    Key,
    Standing,
    faults,
    history_rows,
    metric_rows,
    price_rows,
    recorded_in,
    risk_rows,
    standing_on,
    valuation_rows,
)
from truth import ANALYZERS, Truth

DEVIATION_MAX = 1e-9
FAULTS_SHOWN = 20
CHECKOUT = Path(__file__).resolve().parents[2]

INSTRUMENTS, CLOSES = "market.instruments.v1", "market.closes.v1"
DEFINITIONS, HOLDINGS = "portfolio.definitions.v1", "portfolio.holdings.v1"
VALUATIONS, METRICS = "analytics.valuations.v1", "analytics.metrics.v1"
RISK, BACKTESTS = "risk.metrics.v1", "risk.backtests.v1"
TABLES = {
    VALUATIONS: "portfolio_valuations",
    METRICS: "analytics_metrics",
    RISK: "risk_metrics",
    BACKTESTS: "risk_backtests",
}
GISTS: Mapping[str, Callable[[Event], Any]] = {RISK: said, BACKTESTS: lambda event: event["weights"]}

NOT_JUDGED = {
    ("risk", r"(monte_carlo|copula) .*"): "drawn scenarios",
    ("risk", r"(student_t|garch) [a-z_]+|extreme_value (shape|scale)"): "fitted parameters; what follows is judged",
    ("risk", r"stress .*"): "stress scenarios",
    ("backtests", r"fits .*"): "fitted parameters",
}
"""By source and name of the figures: what is there that nothing here tells the truth of."""

Log = dict[str, list[Raw]]


async def read_log(kafka: str, prefix: str) -> Log:
    """The records of every topic that is needed, by logical name."""
    topics = (INSTRUMENTS, CLOSES, DEFINITIONS, HOLDINGS, *TABLES)
    return {topic: await read_topic(kafka, prefix + topic) for topic in topics}


def first_of_each_period(records: list[Raw]) -> list[Event]:
    """The closes that count: a period that was closed before is ignored."""
    closes: dict[str, Event] = {}
    for record in records:
        closes.setdefault(record.value["period"], record.value)
    return list(closes.values())


def truth_of(log: Log, closes: list[Event], data: Path, *, every: int) -> Truth:
    """Measure what the log's inputs and the files say."""
    prices = load_closes(data).loc[[close["period"] for close in closes]]
    instruments = {record.key: record.value for record in log[INSTRUMENTS]}
    bases = {record.value["base_currency"] for record in log[DEFINITIONS] if record.text}
    worth = {base: unit_worth(prices, instruments, base) for base in sorted(bases)}
    return Truth(prices, read_books(closes, log[DEFINITIONS], log[HOLDINGS], worth), every=every)


def keys_on(topic: str, truth: Truth) -> set[Key]:
    """What should stand on a closing topic."""
    analyzers = ANALYZERS if topic == METRICS else ("",)
    return {Key(name, period, 0, analyzer) for name, period in truth.measured for analyzer in analyzers}


def all_faults(standing: Mapping[str, Standing], truth: Truth, postgres: str) -> list[str]:
    """What is wrong with any closing topic or table of history, their figures aside."""
    found: list[str] = []
    for topic, table in TABLES.items():
        recorded = recorded_in(postgres, table, with_analyzer=topic == METRICS)
        found += faults(topic, standing[topic], table, recorded, keys_on(topic, truth))
    return found


def all_deviations(standing: Mapping[str, Standing], closes: list[Event], truth: Truth, postgres: str) -> pd.DataFrame:
    """Every figure on Kafka and in PostgreSQL against the truth, where there is one."""
    valued, risk = list(truth.valuations()), risk_truth(standing, truth)
    measured, tested = standing[RISK].events, standing[BACKTESTS].events
    pairs = [
        ("prices", price_rows(closes), truth.prices()),
        ("valuations", valuation_rows(standing[VALUATIONS].events), valued),
        ("history", history_rows(postgres, TABLES[VALUATIONS]), valued),
        ("metrics", metric_rows(standing[METRICS].events), truth.metrics()),
        ("risk", risk_rows(measured), risk.measurements(measured)),
        ("backtests", risk_rows(tested), risk.backtests(tested)),
    ]
    navs = truth.navs()
    compared = [deviations(found, expected, navs).assign(source=source) for source, found, expected in pairs]
    return pd.concat(compared, ignore_index=True)


def risk_truth(standing: Mapping[str, Standing], truth: Truth) -> RiskTruth:
    """What risk should say, given what it said at every close."""
    measured, weights = (
        {(key.portfolio_id, key.period): gist for key, gist in standing[topic].gists.items()}
        for topic in (RISK, BACKTESTS)
    )
    return RiskTruth(truth, measured, weights)


def without_truth(compared: pd.DataFrame) -> pd.Series:
    """Under what name of ``NOT_JUDGED`` a figure falls; none where it has to be true."""
    names = compared[["source", "figure"]].drop_duplicates()
    reasons = {
        (source, figure): next(
            (why for (of, name), why in NOT_JUDGED.items() if of == source and re.fullmatch(name, figure)), None
        )
        for source, figure in names.itertuples(index=False)
    }
    return pd.Series(list(map(reasons.get, zip(compared["source"], compared["figure"], strict=True))), compared.index)


def report(compared: pd.DataFrame, found: list[str]) -> bool:
    """Print the largest deviation of each figure, what is not judged, and the faults; whether all is true."""
    why = without_truth(compared)
    judged = compared[why.isna()]
    figures = judged.groupby(["source", "figure"])["deviation"]
    worst = judged.loc[figures.idxmax()].assign(count=figures.size().to_numpy())
    for row in worst.to_dict("records"):
        verdict = "ok" if row["deviation"] <= DEVIATION_MAX else "WRONG"
        where = f"{row['portfolio_id']} {row['period']}: {row['value_found']} for {row['value_expected']}"
        print(f"{verdict:5} {row['source']:10} {row['figure']:48} {row['count']:6} {row['deviation']:8.1e}  {where}")
    print_not_judged(compared.assign(why=why)[why.notna()])
    for fault in found[:FAULTS_SHOWN]:
        print(f"FAULT {fault}")
    print(f"{len(judged)} figures, largest deviation {judged['deviation'].max():.1e}, {len(found)} faults")
    return not found and bool((judged["deviation"] <= DEVIATION_MAX).all())


def print_not_judged(left_out: pd.DataFrame) -> None:
    """Name what has no truth here, by the first word of its figures."""
    of = left_out["source"] + " " + left_out["figure"].str.split(" ").str[0]
    for (name, why), count in left_out.groupby([of, "why"]).size().items():
        print(f"not judged: {name}, {count} figures: {why}")


def main() -> int:
    """Compare; 0 when all is true, 1 when not."""
    parser = argparse.ArgumentParser(description="Compute every figure again from the data files, and compare.")
    parser.add_argument("--kafka", required=True, help="host:port")
    parser.add_argument("--postgres", required=True, help="postgresql://user:password@host:port/database")
    parser.add_argument("--prefix", default="", help="before every topic's name")
    parser.add_argument("--data", type=Path, default=CHECKOUT / "data", help="folder of the data files")
    parser.add_argument("--every", type=int, default=50, help="windows and tails at every n-th close")
    asked = parser.parse_args()
    log = asyncio.run(read_log(asked.kafka, asked.prefix))
    closes = first_of_each_period(log[CLOSES])
    truth = truth_of(log, closes, asked.data, every=asked.every)
    standing = {
        topic: standing_on(log.pop(topic), truth.periods if topic == VALUATIONS else truth.sampled, GISTS.get(topic))
        for topic in TABLES
    }
    found = all_faults(standing, truth, asked.postgres)
    return 0 if report(all_deviations(standing, closes, truth, asked.postgres), found) else 1


if __name__ == "__main__":
    sys.exit(main())
