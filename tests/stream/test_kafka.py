"""Records as the client hands them out, odd ones included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from stream.kafka import as_record


class FakeMessage:
    def __init__(self, timestamp: tuple[int, int], headers: list[tuple[str, bytes]] | None) -> None:
        self._timestamp = timestamp
        self._headers = headers

    def topic(self) -> str:
        return "raw"

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return 2

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp

    def headers(self) -> list[tuple[str, bytes]] | None:
        if self._headers is None:
            raise SystemError("returned a result with an exception set") from UnicodeDecodeError(
                "utf-8", b"", 0, 1, "x"
            )
        return self._headers


def test_a_record_keeps_its_timestamp() -> None:
    record = as_record(FakeMessage((TIMESTAMP_CREATE_TIME, 1_767_323_045_000), []))  # type: ignore[arg-type]
    assert record.timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (record.place, record.key, record.value, record.unreadable) == (("raw", 1, 2), b"k", b"v", None)


@pytest.mark.parametrize("milliseconds", [-1, 0, -(10**15), 10**18, 2**63 - 1])
@pytest.mark.parametrize("kind", [TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE])
def test_a_timestamp_that_no_calendar_knows_becomes_now(kind: int, milliseconds: int) -> None:
    record = as_record(FakeMessage((kind, milliseconds), []))  # type: ignore[arg-type]
    assert abs(record.timestamp - datetime.now(UTC)) < timedelta(minutes=1)


def test_headers_that_the_client_cannot_read_are_told() -> None:
    record = as_record(FakeMessage((TIMESTAMP_CREATE_TIME, 1), None))  # type: ignore[arg-type]
    assert record.headers == []
    assert "headers cannot be read" in str(record.unreadable)
