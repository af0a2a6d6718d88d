"""What went in against what came out. Pure: Kafka is not asked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from stream import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.broker.faults.load import Item, Place
    from tests.kafka_client import Record

__all__ = ["Books", "compare"]

ORIGIN = "__connect.errors."


@dataclass
class Books:
    """Records counted; all but the first three are 0 in a good run, `repeated` within what the scenario allows."""

    produced: int = 0
    enriched: int = 0
    rejected: int = 0
    lost: int = 0
    """Neither enriched (with its signal) nor rejected, and committed: no worker will ever read it again."""
    unread: int = 0
    """Without an output, but not committed either: a worker that stood still, or stopped too early."""
    repeated: int = 0
    """Outputs beyond the first of a record, signals apart."""
    other_event_id: int = 0
    """Outputs whose event id is not that of the record's place: a consumer that keeps ids would take them for new."""
    reordered: int = 0
    """Enriched articles that came before an earlier one of their key; repeats do not count."""
    changed: int = 0
    """Rejected records whose key, value or own headers are not byte for byte what was sent."""
    misjudged: int = 0
    """Articles that were rejected, others that were enriched, and rejections for another reason than expected."""
    stray: int = 0
    """Outputs that belong to nothing that was sent."""

    def faults(self, allowed_repeats: int) -> list[str]:
        """What is wrong, one phrase each."""
        told = asdict(self)
        wrong = [
            f"{name} {told[name]}"
            for name in ("lost", "unread", "other_event_id", "reordered", "changed", "misjudged", "stray")
            if told[name]
        ]
        if self.repeated > allowed_repeats:
            wrong.append(f"repeated {self.repeated}, allowed {allowed_repeats}")
        return wrong


def compare(
    topic: str,
    sent: Mapping[Place, Item],
    enriched: Sequence[Record],
    rejected: Sequence[Record],
    signals: Sequence[Record],
    committed: Mapping[int, int],
) -> Books:
    """The books of one run. `topic` is the raw one; outputs are given in the order of their partitions.

    `committed`: the group's offset in each raw partition.
    """
    books = Books(produced=len(sent), enriched=len(enriched), rejected=len(rejected))
    places = {item.id: place for place, item in sent.items() if item.id is not None}
    expected = {place: records.event_id(records.Place(topic, *place)) for place in sent}
    outputs: Counter[Place] = Counter()
    found: list[tuple[Record, Place]] = []
    for record in enriched:
        told = json.loads(record.value or b"{}")
        place = places.get(told.get("id"))
        if place is None:
            # An article was made of what was sent as none: its place is in the event id alone.
            books.misjudged += 1
            continue
        found.append((record, place))
        outputs[place] += 1
        books.other_event_id += told.get("event_id") != expected[place]
        books.misjudged += sent[place].reason is not None
    for record in rejected:
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
        place = _origin(headers)
        if place not in sent or headers.get(f"{ORIGIN}topic") != topic:
            books.stray += 1
            continue
        outputs[place] += 1
        books.other_event_id += headers.get(records.EVENT_ID) != expected[place]
        books.misjudged += sent[place].reason != headers.get(f"{ORIGIN}exception.class.name")
        books.changed += not _is_same(sent[place].record, record)
    signalled = {places.get(json.loads(record.value or b"{}").get("id")) for record in signals}
    missing = {place for place in sent if place not in outputs} | ({place for _, place in found} - signalled)
    books.lost = sum(offset < committed.get(partition, 0) for partition, offset in missing)
    books.unread = len(missing) - books.lost
    books.repeated = sum(outputs.values()) - len(outputs)
    books.reordered = _reordered(found)
    return books


def _origin(headers: Mapping[str, str]) -> Place:
    try:
        return int(headers[f"{ORIGIN}partition"]), int(headers[f"{ORIGIN}offset"])
    except (KeyError, ValueError):
        return -1, -1


def _is_same(sent: Record, rejected: Record) -> bool:
    own = rejected.headers[: len(sent.headers)]
    return (rejected.key, rejected.value, own) == (sent.key, sent.value, sent.headers)


def _reordered(found: Iterable[tuple[Record, Place]]) -> int:
    """How many first outputs came after that of a later record of their key."""
    furthest: dict[tuple[bytes | None, int], int] = {}
    seen: set[Place] = set()
    count = 0
    for record, place in found:
        if place in seen:
            continue
        seen.add(place)
        partition, offset = place
        # A key's inputs lie in one partition, its outputs in another one.
        count += furthest.get((record.key, partition), -1) > offset
        furthest[record.key, partition] = max(offset, furthest.get((record.key, partition), -1))
    return count
