"""docs/asyncapi.json says what the code does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stream.classify import ClassifyStage
from stream.contract import document
from stream.decode import decode
from stream.errors import Reason, Rejection
from stream.records import Output, Place, Record, rejected_headers
from stream.settings import Settings
from tests.stream.test_classify import FakeModel

ROOT = Path(__file__).parents[2]
DOCUMENT = document()
NOW = datetime(2026, 5, 4, tzinfo=UTC)


def schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def outputs() -> list[Output]:
    record = Record(Place("raw", 0, 0), NOW, None, b'{"title": "A", "published_at": "2026-05-04"}', [])
    return ClassifyStage(FakeModel(), Settings())([record]).outputs


def test_the_document_is_that_of_the_code() -> None:
    assert json.loads((ROOT / "docs/asyncapi.json").read_text("utf-8")) == DOCUMENT, (
        "run: python -m stream.contract > docs/asyncapi.json"
    )


def test_every_reference_leads_somewhere() -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            found = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return found + [ref for value in node.values() for ref in references(value)]
        return [ref for value in node for ref in references(value)] if isinstance(node, list) else []

    found = references(DOCUMENT)
    assert len(found) > 20
    for reference in found:
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_topic_has_its_channel() -> None:
    names = Settings()
    topics = [getattr(names, name) for name in names.__struct_fields__ if name.startswith("topic_")]
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert addresses == {topic for topic in topics if isinstance(topic, str)}


def test_what_is_written_fits_its_schema() -> None:
    enriched, signal = outputs()
    jsonschema.validate(json.loads(enriched.value or b""), schema("EnrichedArticle"))
    jsonschema.validate(json.loads(signal.value or b""), schema("Signal"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(enriched.value or b"") | {"topic": None}, schema("EnrichedArticle"))


def test_rejected_headers_are_those_of_the_document() -> None:
    record = Record(Place("raw", 0, 0), NOW, None, None, [])
    written = rejected_headers(record, Rejection(Reason.EMPTY, "why"))
    assert [name for name, _ in written] == DOCUMENT["components"]["schemas"]["RejectedHeaders"]["required"]


@pytest.mark.parametrize(
    ("article", "fits"),
    [
        ({"title": "A"}, True),
        ({"text": "A", "id": 7, "published_at": 1767323045, "other": [1]}, True),
        ({"title": None, "body": "A", "lang": 5, "urgency": "1", "version": 2, "schema_version": 1}, True),
        ({}, False),
        ({"title": " "}, False),
        ({"title": None}, False),
        ({"title": 5}, False),
        ({"title": "A", "body": ["b"]}, False),
        ({"title": "A", "id": "i" * 513}, False),
        ({"title": "A", "id": {"a": 1}}, False),
        ({"title": "A", "schema_version": 2}, False),
    ],
)
def test_the_input_schema_accepts_what_the_decoder_accepts(article: dict[str, Any], fits: bool) -> None:
    assert jsonschema.Draft202012Validator(schema("RawArticle")).is_valid(article) == fits
    try:
        decode(json.dumps(article).encode(), [], max_bytes=1 << 20)
        decoded = True
    except Rejection:
        decoded = False
    assert decoded == fits
