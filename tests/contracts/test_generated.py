"""What is generated from the contracts is current, and valid."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from contracts import generate
from contracts.topics import TOPICS

ASYNCAPI_SCHEMA = Path(__file__).with_name("asyncapi-3.0.0.json")
"""From the npm package @asyncapi/specs 6.11.1 (Apache-2.0), ``schemas/3.0.0-without-$id.json``."""


def asyncapi() -> dict[str, dict[str, dict[str, object]]]:
    return dict(yaml.safe_load((generate.HERE / "asyncapi.yaml").read_text()))


def test_the_checked_in_files_are_what_the_contracts_say() -> None:
    assert generate.differences() == [], "run `make generate` and commit what it writes"


def test_a_schema_edited_by_hand_differs_and_one_of_no_topic_is_named(tmp_path: Path) -> None:
    generate.write(generate.generated(), tmp_path)
    assert generate.differences(tmp_path) == []
    edited, foreign = tmp_path / "schemas/risk.alerts.v1.json", tmp_path / "schemas/risk.news.v1.json"
    edited.write_text(edited.read_text().replace("AlertChanged", "AlertRaised"))
    foreign.write_text("{}")
    assert generate.differences(tmp_path) == [
        "schemas/risk.alerts.v1.json: differs",
        "schemas/risk.news.v1.json: no such topic",
    ]
    generate.write(generate.generated(), tmp_path)
    assert generate.differences(tmp_path) == []


@pytest.mark.parametrize("path", sorted(generate.HERE.glob("schemas/*.json")), ids=lambda path: path.stem)
def test_a_schema_file_is_valid_json_schema(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_the_asyncapi_document_satisfies_the_asyncapi_schema() -> None:
    validator = Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(asyncapi())] == []


def test_the_asyncapi_schema_refuses_a_document_that_is_wrong() -> None:
    document = asyncapi()
    document["channels"]["market.prices.v1"]["bindings"] = {"kafka": {"partitions": "one"}}
    assert not Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text())).is_valid(document)


def test_every_producer_and_consumer_has_its_operation() -> None:
    operations = asyncapi()["operations"]
    actions = Counter(operation["action"] for operation in operations.values())
    assert actions["send"] == sum(len(topic.producers) for topic in TOPICS)
    assert actions["receive"] == sum(len(topic.consumers) for topic in TOPICS)


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi()
    for reference in references(document):
        where, _, inside = reference.partition("#/")
        if where:
            assert (generate.HERE / where).exists(), reference
            continue
        node: object = document
        for step in inside.split("/"):
            assert isinstance(node, dict)
            assert step in node, reference
            node = node[step]


def references(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [str(node["$ref"])] if "$ref" in node else []
    return own + [found for item in node.values() for found in references(item)]
