"""What a signal carries of an article; its terms themselves are tested in tests/models/test_keyterms.py."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.classifier import Classifier
from stream.classify import ClassifyStage
from stream.records import Place, Record, Signal, StoryTerm, read_signal
from stream.settings import Settings

MODEL = Classifier.load()
STAGE = ClassifyStage(MODEL, Settings())
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def terms_of(title: str, body: str, lang: str) -> list[StoryTerm]:
    return msgspec.json.decode(MODEL.key_terms(title, body, lang), type=list[StoryTerm])


def test_terms_are_read_back_from_a_signal() -> None:
    article = msgspec.json.encode({"title": "Fire at a mill in Orvik", "body": "A mill burned, says Orvik's mayor."})

    outputs = STAGE([Record(Place("raw", 0, 0), NOON, None, article, [])]).outputs
    signal = read_signal(outputs[1].value or b"")

    assert isinstance(signal, Signal)
    found = {term.term: term for term in signal.terms}
    assert found["orvik"].word == "Orvik"
    assert found["mill"].frequency == 5.0
    assert 0 < found["fire"].background < 0.1


def test_a_signal_stays_small() -> None:
    body = " ".join(f"والمستشفيات{number}" for number in range(1000))

    assert len(MODEL.key_terms("عنوان الخبر", body, "ar")) < 6_000


@given(st.text(), st.text(), st.sampled_from(["ar", "en", "und"]))
def test_any_text_has_terms_that_can_be_read(title: str, body: str, lang: str) -> None:
    found = terms_of(title, body, lang)

    assert len({each.term for each in found}) == len(found)
    assert all(each.word and each.frequency >= 1 for each in found)
