"""Which rejected records go back, and as what. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from stream.errors import SettingError
from stream.records import ERRORS, Output, Place, event_id, header

if TYPE_CHECKING:
    from stream.records import Record

__all__ = ["Choice", "parse_since", "restored"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def restored(record: Record) -> Output | None:
    """The record as it was before it was rejected, for the topic it came from; None when that is not told.

    Ajil's own headers stay: the event id, the attempts and when it was first ingested, so that a repeat can be told
    and old news does not alert.
    """
    topic = header(record.headers, f"{ERRORS}topic")
    if not topic:
        return None
    headers = [(name, value) for name, value in record.headers if not name.startswith(ERRORS)]
    return Output(topic, record.key, record.value, headers)


class Choice:
    """The newest rejection of each event that is wanted; `foreign` counts records that no worker of ours rejected."""

    def __init__(self, reasons: frozenset[str], since: datetime | None) -> None:
        self._reasons = reasons
        self._since = since
        self._newest: dict[str, tuple[datetime, Place, str]] = {}
        self.foreign = 0

    def consider(self, record: Record) -> None:
        output = restored(record)
        if output is None:
            self.foreign += 1
            return
        reason = header(record.headers, f"{ERRORS}exception.class.name")
        if (self._reasons and reason not in self._reasons) or (self._since and record.timestamp < self._since):
            return
        event = event_id(record.place, record.headers)
        if event not in self._newest or self._newest[event][0] <= record.timestamp:
            self._newest[event] = record.timestamp, record.place, output.topic

    def places(self, limit: int | None) -> dict[Place, str]:
        """Where the chosen ones lie in the rejected topic -> the topic they go to, the oldest `limit` of them."""
        oldest = sorted(self._newest.values())[:limit]
        return {place: topic for _, place, topic in oldest}


def parse_since(text: str, now: datetime) -> datetime:
    """A time (RFC 3339) or a time ago (`90m`, `36h`, `7d`). Raises `SettingError`.

    >>> parse_since("36h", datetime(2026, 1, 3, 12, tzinfo=UTC)).isoformat()
    '2026-01-02T00:00:00+00:00'
    """
    if found := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(f"--since {text!r}: give a time such as 2026-01-02T03:04:05Z, or 90m, 36h, 7d") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
