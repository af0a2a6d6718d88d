"""What a signal carries of an article; its terms themselves are tested in tests/models/test_keyterms.py."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.classifier import Classifier
from models.keyterms import key_terms
from stream.stories.features import story_terms

MODEL = Classifier.load()


def test_terms_become_records() -> None:
    (term,) = story_terms(key_terms(None, "the ministers", {"the": 0.9, "minister": 0.01}))[:1]

    assert (term.term, term.word, term.frequency, term.background) == ("minister", "ministers", 3.0, 0.01)


def test_a_signal_stays_small() -> None:
    body = " ".join(f"والمستشفيات{number}" for number in range(1000))

    assert len(msgspec.json.encode(story_terms(MODEL.key_terms("عنوان الخبر", body, "ar")))) < 6_000


@given(st.text(), st.text(), st.sampled_from(["ar", "en", "und"]))
def test_any_text_has_terms_that_can_be_written(title: str, body: str, lang: str) -> None:
    found = story_terms(MODEL.key_terms(title, body, lang))

    assert len({each.term for each in found}) == len(found)
    assert all(each.word and each.frequency >= 1 for each in found)
    msgspec.json.encode(found)
