"""The terms that tell one event from another; the kernel gives those of the Python."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import decode
from sklearn.feature_extraction.text import TfidfVectorizer

from models.classifier import Classifier
from models.export import from_pipeline
from models.keyterms import LEAD, MOST_TERMS, READ, TITLE, key_terms, share_terms
from models.scorer import Scorer
from models.text import MAX_CHARS
from tests.models.scorer_model import NEEDS_KERNEL, SENTENCES, UNTIMED, arrays
from tests.models.test_scorer import TEXTS

FLASH = "زلزال في المدينة"


def frequencies(title: str | None, body: str, **shares: float) -> dict[str, float]:
    return {each.term: each.frequency for each in key_terms(title, body, shares)}


def shares(title: str | None, body: str, **known: float) -> dict[str, float]:
    return {each.term: each.share for each in key_terms(title, body, share_terms(known))}


def test_a_title_counts_three_times_the_lead_twice_the_rest_once() -> None:
    body = f"lead {'filler ' * (LEAD - 1)} rest {'filler ' * READ} unread"
    found = frequencies("title", body)

    assert {"title": 3.0, "lead": 2.0, "rest": 1.0}.items() <= found.items()
    assert "unread" not in found


def test_without_a_title_the_first_words_stand_for_it() -> None:
    found = frequencies(None, f"flood {'filler ' * (TITLE - 1)} after")

    assert found["flood"] == 3.0
    assert found["after"] == 2.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ministers", "minister"),
        ("closed", "closing"),
        ("cities", "city"),
        ("والمدرسة", "مدرسة"),
        ("أنقرة", "انقره"),
        ("٢٠٢٦", "2026"),
    ],
)
def test_spellings_of_one_word_are_one_term(one: str, other: str) -> None:
    assert frequencies(one, "").keys() == frequencies(other, "").keys() != set()


def test_numbers_are_kept_apart() -> None:
    assert "2" in frequencies("Day 2", "")
    assert "2" not in frequencies("Day 21", "")


def test_names_and_numbers_count_more_than_words_that_are_also_written_small() -> None:
    found = frequencies("Fire in Rabat", "A fire burns. 12 people are hurt.")

    assert found["rabat"] == 4.5
    assert found["fire"] == 5.0
    assert found["12"] == 3.0


@pytest.mark.parametrize("text", [f"عاجل: {FLASH}", f"عـــاجل | {FLASH}", f"{FLASH} https://t.example/عاجل"])
def test_markers_and_addresses_tell_no_event(text: str) -> None:
    assert frequencies(None, text) == frequencies(None, FLASH)


def test_two_flashes_share_no_marker() -> None:
    mill = frequencies("BREAKING: Paper mill burns at Orvik", "")
    mayor = frequencies("BREAKING: Mayor resigns", "Urgent")

    assert mill.keys().isdisjoint(mayor)
    assert mayor.keys() == {"mayor", "resign"}


def test_a_word_that_only_begins_like_a_marker_is_kept() -> None:
    assert frequencies("Break in at the urgently closed mill", "").keys() >= {"break", "urgently"}


def test_a_term_keeps_its_first_spelling() -> None:
    (term,) = key_terms("The Minister's", "the ministers", {"the": 0.9})[:1]

    assert (term.term, term.word) == ("minister", "Minister")


def test_common_words_go_first_when_there_are_too_many() -> None:
    names = " ".join(f"name{number}" for number in range(2 * MOST_TERMS))
    found = frequencies(None, f"the {names}", the=0.9)

    assert len(found) == MOST_TERMS
    assert "the" not in found


def test_a_term_has_the_shares_of_the_words_that_become_it() -> None:
    found = shares("city meeting meetings met a", "", city=0.1, cities=0.2, meeting=0.3, meet=0.05, a=0.9)

    assert found == pytest.approx({"city": 0.3, "meet": 0.35, "meeting": 0.0, "met": 0.0})


def test_shares_end_at_one() -> None:
    assert shares("cities", "", city=0.7, cities=0.7) == {"city": 1.0}


def test_a_number_has_a_part_of_the_share_of_its_length() -> None:
    assert shares("7 2026", "", **{"0": 0.5, "0000": 0.4}) == pytest.approx({"7": 0.1, "2026": 0.012})


def test_the_shipped_model_knows_how_common_words_are() -> None:
    found = {term: share for term, _, _, share in decode(Classifier.load().key_terms("زلزال في فلسطين 7", "", "ar"))}

    assert found["في"] > 0.9
    assert 0 < found["زلزال"] < found["فلسط"] < 0.1
    assert 0.01 < found["7"] < 1


def test_a_language_without_a_model_has_no_shares() -> None:
    found = decode(Classifier.load().key_terms("The minister, bir haber", "", "tr"))

    assert {term: share for term, _, _, share in found} == {"the": 0, "minister": 0, "bir": 0, "haber": 0}


WHOLE = st.one_of(TEXTS, TEXTS.map(str.upper), TEXTS.map(str.title), st.sampled_from(SENTENCES))
ENDINGS = st.sampled_from(
    [
        *("http://", "https://a", "xhttps://عاجل b", "httphttp://a.b", "http:// a", "HTTP://A"),
        *("BREAKING:", "عـاجل", "urgent", "breakings", "0s", "00ing", "1234ing", "12345ed", "والـ123", "١٢ies"),
        *("bankies", "banked", "banking", "bankes", "ratesing", "bies", "ies", "es", "ss", "sing", "Ⅷ", "፩", "፩፪"),
        *(
            "وbonus",
            "الbasis",
            "1" * 32 + "a",
            "a" * 32 + "s",
            "A\u0301b",
            "\u0301A",
            "ﬁne",
            "a\u3000b\u2028c",
            "\x1cx\x85y",
            "a-B_c.d",
        ),
    ]
)
ARTICLES = st.lists(st.one_of(WHOLE, ENDINGS), max_size=12).map(" ".join)


@NEEDS_KERNEL
@UNTIMED
@given(st.one_of(st.none(), ARTICLES), ARTICLES, st.sampled_from([1, 7]), st.booleans())
def test_any_article_has_the_same_terms_in_the_kernel(title: str | None, body: str, classes: int, known: bool) -> None:
    model = arrays(classes, styled=classes == 1)

    native = Scorer(model, native=True).key_terms(title, body, known=known)

    assert native == Scorer(model, native=False).key_terms(title, body, known=known)


@NEEDS_KERNEL
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "a-" * 10_000,
        "the bank " * 100_000,
        "ي" * 10_000_000,
        "bank" + "\u0301" * 300_000 + "s",
        " " * 5996 + "banks",
        " " * 5994 + "http://x",
        "http://" + "x" * 10_000,
        "\U0001d7d8\U0001d400 " * 4000,
        "\ud800 \U0010ffff " * 4000,
        "\n".join(SENTENCES * 200),
        " ".join(f"Name{number} {number}" for number in range(500)),
    ],
    ids=lambda text: f"{text[:8].strip()!r} x {len(text)}",
)
def test_floods_have_the_same_terms_in_the_kernel(text: str) -> None:
    native, python = (Scorer(arrays(7), native=native) for native in (True, False))

    for title, body in ((None, text), (text, ""), (text, text), ("The bank", text)):
        assert native.key_terms(title, body) == python.key_terms(title, body)


ENDED = ("", "y", "ies", "ed", "es", "ing", "s")


@NEEDS_KERNEL
@UNTIMED
@given(st.lists(st.sampled_from(["y", "e", "s", "i", "d", "ing", "t", "ie", "ies", "es", "ed", "7"]), max_size=6))
def test_a_latin_term_has_the_shares_of_the_same_words_in_the_kernel(pieces: list[str]) -> None:
    """Of a vocabulary that has every ending, so that a word too few or too many is seen."""
    word = "".join(pieces)
    known = sorted({word[: len(word) - cut] + ending for cut in range(4) for ending in ENDED} - {""})
    tfidf = TfidfVectorizer(analyzer=str.split, vocabulary=known, sublinear_tf=True)
    tfidf.fit([" ".join(known[:: step + 1]) for step in range(len(known))])
    linear = SimpleNamespace(coef_=np.zeros((2, len(known)), dtype=np.float32), intercept_=np.zeros(2))
    model = from_pipeline(tfidf, linear)

    native, python = (Scorer(model, native=native).key_terms(None, " ".join(known)) for native in (True, False))

    assert native == python


@NEEDS_KERNEL
@pytest.mark.parametrize("word", ["وBASIS", "وbonus", "الboss", "والbanks", "الrate", "bankها", "و12345", "الrateing"])
def test_a_latin_term_within_an_arabic_word_is_the_same_in_the_kernel(word: str) -> None:
    """The stem of وBASIS is basis, which loses its s like any Latin term."""
    native, python = (Scorer(arrays(7), native=native).key_terms(None, word) for native in (True, False))

    assert native == python


@NEEDS_KERNEL
def test_every_code_point_is_the_same_in_the_kernel() -> None:
    native, python = (Scorer(arrays(7), native=native) for native in (True, False))
    for start in range(0, 0x110000, 29):
        # In a word, alone, and before a word, which it may make a name.
        text = " ".join(f"{chr(code)}ab{chr(code)} {chr(code)}" for code in range(start, min(start + 29, 0x110000)))

        assert native.key_terms(None, text) == python.key_terms(None, text), hex(start)


@NEEDS_KERNEL
def test_threads_share_a_reader() -> None:
    scorer = Scorer(arrays(7))
    articles = [(one, other) for one in SENTENCES for other in SENTENCES] * 5
    alone = [scorer.key_terms(*article) for article in articles]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda article: scorer.key_terms(*article), articles)) == alone


@pytest.mark.parametrize("native", [False, pytest.param(True, marks=NEEDS_KERNEL)])
def test_what_is_no_text_is_refused(native: bool) -> None:
    with pytest.raises((TypeError, AttributeError)):
        Scorer(arrays(3), native=native).key_terms("the bank", 3)  # type: ignore[arg-type]


@NEEDS_KERNEL
def test_a_text_is_cut_where_the_scorer_cuts_it() -> None:
    assert Scorer(arrays(3)).key_terms(None, "bank" + " " * MAX_CHARS) == Scorer(arrays(3)).key_terms(None, "bank")
