"""The harness's own books, with runs made by hand: what is wrong must be found, and nothing else. No broker needed."""

from __future__ import annotations

import json

from stream.records import Place as RawPlace
from stream.records import event_id
from tests.broker.faults.ledger import Books, compare
from tests.broker.faults.load import FLOODS, POISON, Item, seeded
from tests.kafka_client import Record

TOPIC = "raw"
HEADERS = (("traceparent", b"00-1"), ("odd", b"\xff"))

# Two keys in one partition, and a record that must be rejected.
SENT = {
    (0, 0): Item(Record(b"{}", b"a"), "0"),
    (0, 1): Item(Record(b"{}", b"b"), "1"),
    (0, 2): Item(Record(b"{}", b"a"), "2"),
    (1, 0): Item(Record(b"{broken", b"a", HEADERS), None, "invalid_json"),
}


def event(partition: int, offset: int) -> str:
    return event_id(RawPlace(TOPIC, partition, offset))


def article(offset: int, key: bytes, event_: str | None = None) -> Record:
    return Record(json.dumps({"id": str(offset), "event_id": event_ or event(0, offset)}).encode(), key)


def rejection(
    value: bytes | None = b"{broken",
    key: bytes | None = b"a",
    own: tuple[tuple[str, bytes | None], ...] = HEADERS,
    reason: bytes = b"invalid_json",
    place: tuple[int, int] = (1, 0),
) -> Record:
    told = {
        "topic": TOPIC.encode(),
        "partition": b"%d" % place[0],
        "offset": b"%d" % place[1],
        "exception.class.name": reason,
    }
    headers = [(f"__connect.errors.{name}", value) for name, value in told.items()]
    return Record(value, key, (*own, *headers, ("ajil.event-id", event(*place).encode())))


ENRICHED = [article(0, b"a"), article(1, b"b"), article(2, b"a")]


COMMITTED = {0: 3, 1: 1}


def books(
    enriched: list[Record] | None = None,
    rejected: list[Record] | None = None,
    committed: dict[int, int] = COMMITTED,
) -> Books:
    enriched = ENRICHED if enriched is None else enriched
    rejected = [rejection()] if rejected is None else rejected
    return compare(TOPIC, SENT, enriched, rejected, enriched, committed)


def test_a_clean_run_is_clean() -> None:
    assert books() == Books(produced=4, enriched=3, rejected=1)
    assert books().faults(0) == []


def test_a_lost_article_is_found() -> None:
    assert books(ENRICHED[:2]).lost == 1


def test_what_no_worker_has_committed_is_unread_and_not_lost() -> None:
    found = books(ENRICHED[:2], committed={0: 2, 1: 1})
    assert (found.lost, found.unread) == (0, 1)
    assert found.faults(0) == ["unread 1"]


def test_a_lost_rejection_is_found() -> None:
    assert books(rejected=[]).lost == 1


def test_a_lost_signal_is_found() -> None:
    assert compare(TOPIC, SENT, ENRICHED, [rejection()], ENRICHED[1:], COMMITTED).lost == 1


def test_a_repeat_is_counted_and_is_a_fault_beyond_what_is_allowed() -> None:
    found = books([*ENRICHED, *ENRICHED[1:]])
    assert found.repeated == 2
    assert found.faults(2) == []
    assert found.faults(1) == ["repeated 2, allowed 1"]


def test_a_record_that_is_both_enriched_and_rejected_is_a_repeat() -> None:
    found = books(rejected=[rejection(), rejection(b"{}", b"a", (), place=(0, 0))])
    assert (found.repeated, found.misjudged, found.changed) == (1, 1, 0)


def test_a_repeat_with_another_event_id_is_found() -> None:
    found = books([*ENRICHED, article(1, b"b", "another")])
    assert (found.repeated, found.other_event_id) == (1, 1)


def test_a_reordering_for_one_key_is_found_and_one_across_keys_is_none() -> None:
    assert books([ENRICHED[2], ENRICHED[1], ENRICHED[0]]).reordered == 1
    assert books([ENRICHED[1], ENRICHED[0], ENRICHED[2]]).reordered == 0


def test_repeats_are_no_reordering() -> None:
    assert books([*ENRICHED, *ENRICHED]).reordered == 0


def test_changed_bytes_key_or_headers_are_found() -> None:
    assert books(rejected=[rejection(value=b"{broken ")]).changed == 1
    assert books(rejected=[rejection(value=None)]).changed == 1
    assert books(rejected=[rejection(key=None)]).changed == 1
    assert books(rejected=[rejection(own=HEADERS[::-1])]).changed == 1
    assert books(rejected=[rejection(own=HEADERS[:1])]).changed == 1


def test_another_reason_is_found() -> None:
    assert books(rejected=[rejection(reason=b"crashed")]).misjudged == 1


def test_a_rejection_of_nothing_that_was_sent_is_found() -> None:
    assert books(rejected=[rejection(), rejection(place=(3, 9))]).stray == 1
    assert books(rejected=[rejection(), Record(b"x")]).stray == 1


def test_the_load_is_the_same_for_the_same_seed_and_has_every_kind() -> None:
    items = list(seeded(2000, 7, raising=True))
    assert items == list(seeded(2000, 7, raising=True))
    assert items != list(seeded(2000, 8, raising=True))
    assert {item.record.value for item in items} >= {value for value, _ in POISON.values()}
    assert {item.reason for item in items} == {reason for _, reason in POISON.values()} | {"model_error", None}
    titles = [str(json.loads(item.record.value or b"").get("title")) for item in items if item.id]
    assert all(any(title.startswith(flood) for title in titles) for flood in FLOODS.values())
    assert any(item.record.key is None and item.record.value is None for item in items)
    ids = [item.id for item in items if item.id]
    assert len(set(ids)) == len(ids) > 1900
