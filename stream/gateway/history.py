"""The last alerts in memory, each encoded once, and which of them a reader at some position has not seen."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stream.gateway.filters import Facts, Filter, facts_of
from stream.gateway.positions import covers, position_text
from stream.records import Alert, encode
from stream.tracing.traceparent import trace_of_alert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Entry", "History", "event", "unseen"]

MAX_BYTES = 64 << 20
"""Of all encoded alerts: a typical one has 2 kB, but an alert may be as large as Kafka lets it be."""


def event(position: str, name: str, data: bytes) -> bytes:
    """One server-sent event. `data` has no line ends.

    >>> event("12.7", "opened", b"{}")
    b'id: 12.7\\nevent: opened\\ndata: {}\\n\\n'
    """
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (position.encode(), name.encode(), data)


class Entry:
    """One alert: `after` is the position of a reader that has seen it and all before it in this history."""

    __slots__ = ("after", "alert_id", "alerted_at", "event", "facts", "kind", "offset", "partition", "size", "trace_id")

    partition: int
    offset: int
    after: tuple[int, ...]
    alert_id: str
    kind: str
    alerted_at: datetime
    facts: Facts
    trace_id: str | None
    event: bytes
    size: int
    """Bytes of the alert's JSON, which `event` ends with."""

    def __init__(self, partition: int, offset: int, after: tuple[int, ...], alert: Alert) -> None:
        data = encode(alert)
        self.partition = partition
        self.offset = offset
        self.after = after
        self.alert_id = alert.alert_id
        self.kind = alert.kind
        time = alert.alerted_at
        self.alerted_at = time if time.tzinfo else time.replace(tzinfo=UTC)
        self.facts = facts_of(alert)
        self.trace_id = trace_of_alert(alert)
        self.event = event(position_text(after), alert.kind, data)
        self.size = len(data)

    @property
    def data(self) -> bytes:
        """The alert's JSON."""
        return self.event[-2 - self.size : -2]

    def event_at(self, offsets: Sequence[int]) -> bytes:
        """The event for a reader that is at `offsets` after it: one that saw the partitions in another order."""
        return event(position_text(offsets), self.kind, self.data)


class History:
    """Entries by number, from `first` to `end` (which comes next); at most `limit`, the oldest go first."""

    def __init__(self, limit: int, max_bytes: int = MAX_BYTES) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._entries: list[Entry] = []
        self._bytes = 0
        self.first = 0
        self.begin: list[int] = []
        """For each partition the offset from which on every alert is here."""
        self.next: list[int] = []
        """For each partition the next offset to be read: the position of a reader that has seen everything."""

    @property
    def end(self) -> int:
        return self.first + len(self._entries)

    def start(self, partition: int, offset: int) -> None:
        """Take up a partition. They come in order, without gaps."""
        assert partition == len(self.next)
        self.begin.append(offset)
        self.next.append(offset)

    def add(self, partition: int, offset: int, alert: Alert) -> None:
        """Raises `ValueError` (from msgspec) when the alert cannot be encoded."""
        after = self.next.copy()
        after[partition] = offset + 1
        entry = Entry(partition, offset, tuple(after), alert)
        self.next = after
        self._entries.append(entry)
        self._bytes += len(entry.event)
        gone = 0
        while len(self._entries) - gone > self._limit or (self._bytes > self._max_bytes and gone < len(self._entries)):
            old = self._entries[gone]
            self.begin[old.partition] = old.offset + 1
            self._bytes -= len(old.event)
            gone += 1
        del self._entries[:gone]
        self.first += gone

    def skip(self, partition: int, offset: int) -> None:
        """Pass over a record that is no alert."""
        self.next[partition] = offset + 1

    def since(self, offsets: Sequence[int]) -> int | None:
        """The number of the first entry that a reader at `offsets` may lack; None when older ones are gone from here.

        Positions only grow from entry to entry, so what is seen comes before what is not.
        """
        if not covers(offsets, self.begin):
            return None
        return self.first + bisect_left(self._entries, True, key=lambda entry: not covers(offsets, entry.after))

    def read(self, number: int, max_bytes: int) -> list[Entry] | None:
        """Entries from `number` on, about `max_bytes` of them and at least one if there is one; None: they are gone."""
        if number < self.first:
            return None
        found: list[Entry] = []
        size = 0
        for index in range(number - self.first, len(self._entries)):
            entry = self._entries[index]
            if found and size + len(entry.event) > max_bytes:
                break
            found.append(entry)
            size += len(entry.event)
        return found

    def newest(self) -> Iterator[Entry]:
        """All entries, the latest alert first."""
        return iter(sorted(self._entries, key=lambda entry: entry.alerted_at, reverse=True))


def unseen(entries: Iterable[Entry], offsets: list[int] | None, filter_: Filter) -> list[bytes]:
    """The events that pass the filter and that a reader at `offsets` lacks; None: it lacks all of them.

    `offsets` is moved on, and each event has the id that is right for this reader.
    """
    events = []
    for entry in entries:
        if offsets is not None:
            if entry.offset < offsets[entry.partition]:
                continue
            offsets[entry.partition] = entry.offset + 1
        if filter_.passes(entry.facts):
            shared = offsets is None or offsets == list(entry.after)
            events.append(entry.event if shared else entry.event_at(offsets or ()))
    return events
