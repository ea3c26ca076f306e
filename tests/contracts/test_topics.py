"""What holds for the table of topics as a whole."""

import re
from collections import Counter

import pytest

from contracts.topics import DAY_MS, TOPICS, Layout, Topic

SERVICES = {"analytics", "risk", "limits", "gateway", "recorder"}
OUTSIDE = {"source", "cli"}


def test_no_topic_is_in_the_table_twice() -> None:
    assert max(Counter(topic.name for topic in TOPICS).values()) == 1


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_carries_its_version_and_is_written_and_read_by_someone_known(topic: Topic) -> None:
    assert re.fullmatch(r"[a-z]+(\.[a-z]+)?\.v\d+", topic.name)
    assert topic.producers
    assert topic.consumers
    assert set(topic.producers) | set(topic.consumers) <= SERVICES | OUTSIDE


def test_a_topic_that_is_kept_for_ever_tells_kafka_so() -> None:
    assert {t.config["retention.ms"] for t in TOPICS if t.retention_ms is None} == {"-1"}
    assert all(int(t.config["retention.ms"]) >= 3_600_000 for t in TOPICS if t.retention_ms is not None)


def test_holdings_and_definitions_outlive_every_close_that_may_still_be_measured_from_them() -> None:
    lags = {t.name: t.compaction_lag_min_ms for t in TOPICS if t.name.startswith("portfolio.")}
    assert set(lags.values()) == {30 * DAY_MS}


def test_the_market_has_one_order_and_portfolios_are_spread() -> None:
    for topic in TOPICS:
        if topic.name.startswith("market."):
            assert topic.layout is Layout.SINGLE
        if topic.key.startswith("portfolio"):
            assert topic.layout is Layout.BY_PORTFOLIO
