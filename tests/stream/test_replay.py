from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from stream.classify import ClassifyStage
from stream.errors import Reason, Rejection, SettingError
from stream.records import Place, Record, event_id, rejected_headers
from stream.replay import Choice, parse_since, restored
from stream.settings import Settings
from tests.stream.test_classify import FakeModel

if TYPE_CHECKING:
    from models.classifier import Article

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
RAW = Record(Place("raw", 2, 41), NOW, b"\xff", b"{broken", [("h", b"\x01"), ("h", None)])


def rejected(record: Record = RAW, *, at: int = 0, reason: Reason = Reason.INVALID_JSON, hours: int = 0) -> Record:
    """The record as it lies in the rejected topic, at offset `at`."""
    headers = rejected_headers(record, Rejection(reason, "why"))
    return Record(Place("rejected", 0, at), NOW + timedelta(hours=hours), record.key, record.value, headers)


def replayed(record: Record, *, offset: int = 99, hours: int = 1) -> Record:
    """The record as a worker reads it after `ajil replay`."""
    output = restored(record)
    assert output is not None
    return Record(
        Place(output.topic, 2, offset), NOW + timedelta(hours=hours), output.key, output.value, output.headers
    )


def test_a_record_goes_back_as_it_was_and_keeps_its_event_id() -> None:
    back = replayed(rejected())
    assert (back.place.topic, back.key, back.value) == ("raw", b"\xff", b"{broken")
    assert list(back.headers[:2]) == [("h", b"\x01"), ("h", None)]
    assert not any(name.startswith("__connect") for name, _ in back.headers)
    assert event_id(back.place, back.headers) == event_id(RAW.place)


def test_a_record_rejected_again_counts_and_has_each_header_once() -> None:
    again = rejected(replayed(rejected()), at=1)
    names = [name for name, _ in again.headers]
    assert len(names) == len(set(names)) + 1  # h came twice
    headers = dict(again.headers)
    assert headers["ajil.attempts"] == b"2"
    assert headers["ajil.event-id"] == event_id(RAW.place).encode()
    assert headers["ajil.ingested-at"] == NOW.isoformat().encode()


def test_old_news_is_as_old_as_its_first_reading() -> None:
    asked: list[Article] = []

    class Recording(FakeModel):
        def classify(self, articles):  # type: ignore[no-untyped-def]
            asked.extend(articles)
            return super().classify(articles)

    fine = RAW._replace(value=b'{"title": "A"}')
    ClassifyStage(Recording(), Settings())([fine, replayed(rejected(fine), hours=72)])
    assert asked[0].published_at is None
    assert asked[1].published_at == NOW
    assert asked[1].received_at == NOW + timedelta(hours=72)


def test_the_newest_rejection_of_each_event_is_chosen_the_oldest_first() -> None:
    choice = Choice(frozenset(), None)
    other = RAW._replace(place=Place("raw", 0, 7))
    for record in (rejected(at=0), rejected(other, at=1, hours=1), rejected(replayed(rejected()), at=2, hours=2)):
        choice.consider(record)
    assert list(choice.places(None)) == [Place("rejected", 0, 1), Place("rejected", 0, 2)]
    assert list(choice.places(1)) == [Place("rejected", 0, 1)]


def test_reasons_and_time_narrow_the_choice() -> None:
    choice = Choice(frozenset({"empty"}), NOW + timedelta(hours=1))
    choice.consider(rejected(at=0, hours=2))
    choice.consider(rejected(at=1, reason=Reason.EMPTY))
    choice.consider(rejected(RAW._replace(place=Place("raw", 0, 1)), at=2, reason=Reason.EMPTY, hours=3))
    assert list(choice.places(None)) == [Place("rejected", 0, 2)]


def test_a_strangers_record_is_left_and_counted() -> None:
    choice = Choice(frozenset(), None)
    choice.consider(RAW)
    assert (choice.places(None), choice.foreign) == ({}, 1)


def test_a_forged_event_id_is_not_believed() -> None:
    assert event_id(RAW.place, [("ajil.event-id", b"x")]) == event_id(RAW.place)
    assert event_id(RAW.place, [("ajil.event-id", b"\xff" * 64)]) == event_id(RAW.place)


@pytest.mark.parametrize("text", ["", "yesterday", "5", "5y", "-5m"])
def test_a_wrong_time_is_told(text: str) -> None:
    with pytest.raises(SettingError, match="--since"):
        parse_since(text, NOW)
