"""What `ajil tail` prints of records that are not what they seem."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME

from stream.show import as_json_line, as_text
from tests.stream.fake_kafka import FakeMessage

HOSTILE: list[Any] = [
    {"topic": {"label": "sport"}, "breaking": {"flag": False}},
    {"topic": {"label": "sport", "confidence": "high"}, "breaking": {}},
    {"story_id": "1", "articles": 5},
    {"alert_id": "1", "kind": ["a"], "reasons": {"a": 1}},
    {"title": {"a": [1, 2]}},
    [1, 2],
    5,
    None,
    "text",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("timestamp", [1_767_323_045_000, -(10**15), 10**18])
def test_no_record_stops_the_printing(value: Any, timestamp: int) -> None:
    message = FakeMessage(json.dumps(value).encode(), offset=7, timestamp=(TIMESTAMP_CREATE_TIME, timestamp))
    assert "0:7" in as_text(message)
    assert json.loads(as_json_line(message))["value"] == value


def test_a_value_that_is_not_text_is_told() -> None:
    assert as_text(FakeMessage(b"\xff\xfe")).endswith("(no text)")


def test_nothing_printed_commands_a_terminal() -> None:
    commands = "\x1b\x07\x7f\x9b\u202e\u2066"
    message = FakeMessage(json.dumps({"title": f"A{commands}B", "body": commands}, ensure_ascii=False).encode())
    for printed in (as_text(message), as_json_line(message)):
        assert not set(commands) & set(printed)
    assert json.loads(as_json_line(message))["value"]["title"] == f"A{commands}B"
