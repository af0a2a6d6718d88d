"""Records as the client hands them out, odd ones included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from stream.kafka import as_record
from tests.stream.fake_kafka import FakeMessage


def test_a_record_keeps_its_timestamp() -> None:
    record = as_record(FakeMessage(key=b"k", partition=1, offset=2))
    assert record.timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (record.place, record.key, record.value, record.unreadable) == (("raw", 1, 2), b"k", b"v", None)


@pytest.mark.parametrize("milliseconds", [-1, 0, -(10**15), 10**18, 2**63 - 1])
@pytest.mark.parametrize("kind", [TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE])
def test_a_timestamp_that_no_calendar_knows_becomes_now(kind: int, milliseconds: int) -> None:
    record = as_record(FakeMessage(timestamp=(kind, milliseconds)))
    assert abs(record.timestamp - datetime.now(UTC)) < timedelta(minutes=1)


def test_headers_that_the_client_cannot_read_are_told() -> None:
    record = as_record(FakeMessage(headers=None))
    assert record.headers == []
    assert "headers cannot be read" in str(record.unreadable)
