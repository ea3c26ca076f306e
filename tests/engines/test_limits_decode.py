"""What limits accept of each topic: one bad record costs itself."""

import json
from typing import Any

import pytest

from contracts.topics import ANALYTICS_LIVE, METRICS, RISK, RISK_LIVE
from services.limits.decode import decode
from tailstream.runtime.records import Record
from tests import limits_log as log


def changed(record: Record, **fields: Any) -> Record:
    """The record with other fields in its value; a field set to ``...`` is left out."""
    body = {**json.loads(record.value or b"{}"), **fields}
    return record._replace(value=json.dumps({k: v for k, v in body.items() if v is not ...}).encode())


def a_record(topic_name: str) -> Record:
    published = [*log.close(0), *log.live(1, 5), *log.live_basic(1, 5, gross=1.0), *log.define(log.var_limit())]
    return next(record for record in log.Log().records(published) if record.topic == topic_name)


@pytest.mark.parametrize(
    ("topic", "change", "reason"),
    [
        (RISK.name, {"portfolio_id": 7}, "portfolio_id: Input should be a valid string, was 7"),
        (RISK.name, {"as_of": ...}, "as_of: Field required"),
        (RISK.name, {"basis": "live"}, "basis: expected close on risk.metrics.v1, was live"),
        (RISK.name, {"period": None}, "period: expected a period on risk.metrics.v1, was None"),
        (RISK_LIVE.name, {"period": "2008-09-01"}, "period: expected null on risk.live.v1, was 2008-09-01"),
        (RISK.name, {"portfolio_id": "somewhere-else"}, "partition: expected"),
        ("limits.commands.v1", {"command": "drop tables"}, "command: Input should be 'define_limit'"),
        ("limits.commands.v1", {"idempotency_key": "a\x00b"}, "idempotency_key: String should match pattern"),
        ("limits.commands.v1", {"limit": {"metric": "luck"}}, "limit.metric: Input should be"),
    ],
)
def test_a_record_that_is_wrong_is_refused_with_what_was_expected(
    topic: str, change: dict[str, Any], reason: str
) -> None:
    good, bad = a_record(topic), changed(a_record(topic), **change)
    arrivals, (rejected,) = decode([good, bad._replace(offset=9)], log.PARTITIONS)
    assert [arrival.offset for arrival in arrivals] == [good.offset]
    assert reason in rejected.reason
    assert rejected.record.offset == 9


@pytest.mark.parametrize("value", [b"", b"\xff\x00", b"[]", b"NaN", b'{"portfolio_id": NaN}', None])
def test_garbage_costs_itself(value: bytes | None) -> None:
    good = a_record(RISK.name)
    arrivals, rejected = decode([good._replace(value=value), good._replace(offset=1)], log.PARTITIONS)
    assert (len(arrivals), len(rejected)) == (1, 1)


def test_a_figure_that_is_not_finite_is_refused() -> None:
    record = a_record(METRICS.name)
    value = (record.value or b"").replace(b'"value":1.0', b'"value":Infinity', 1)
    assert value != record.value
    _, (rejected,) = decode([record._replace(value=value)], log.PARTITIONS)
    assert "finite" in rejected.reason


def test_fields_of_a_newer_schema_are_ignored() -> None:
    arrivals, rejected = decode([changed(a_record(RISK.name), invented_later=1)], log.PARTITIONS)
    assert (len(arrivals), rejected) == (1, [])


def test_analyzers_that_no_limit_is_held_against_are_passed_over() -> None:
    records = log.Log().records(log.close(0))
    arrivals, rejected = decode(records, log.PARTITIONS)
    assert rejected == []
    assert sorted(getattr(a.event, "analyzer", "-") for a in arrivals) == ["-", "-", "basic", "drawdown", "risk"]
    unknown = [changed(r, analyzer="astrology") for r in records if r.topic == METRICS.name]
    assert decode(unknown, log.PARTITIONS) == ([], [])


def test_a_portfolio_whose_live_figures_are_withdrawn_is_no_arrival() -> None:
    record = a_record(ANALYTICS_LIVE.name)
    assert decode([record._replace(value=None)], log.PARTITIONS) == ([], [])
