"""The scorer, both ways, against the scikit-learn pipeline it was made from."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from models.arrays import pack, unpack
from models.calibration import softmax
from models.export import from_pipeline, terms_of
from models.scorer import Scorer
from models.text import MAX_CHARS, _fold_character, stem, terms, words
from tests.models.scorer_model import NEEDS_KERNEL, SENTENCES, UNTIMED, arrays, expected, marks, pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.arrays import Arrays

WAYS = [
    pytest.param(False, id="numpy"),
    pytest.param(True, id="native", marks=NEEDS_KERNEL),
]

CHARACTERS = st.characters(exclude_categories=())  # surrogates and unassigned code points too
MARKS = st.sampled_from([chr(c) for c in (*range(0x300, 0x310), *range(0x64B, 0x653), 0x640, 0x200D, 0x20DD)])
PIECES = st.one_of(
    st.sampled_from([word for sentence in SENTENCES for word in sentence.split()]),
    st.sampled_from(SENTENCES),
    st.text(st.sampled_from("والبكفلهانتيىةآأإؤئء٠٣0123suia"), max_size=14),
    st.text(CHARACTERS, max_size=12),
    st.text(MARKS, max_size=40),
    st.sampled_from(
        ["\0", "\n", "\x1c", "\x85", "\u2028", "\ud800", "\udfff", "\ufeff", "\U0010ffff", " " * 9, "İ", "ς"]
    ),
)
TEXTS = st.lists(PIECES, max_size=30).flatmap(
    lambda pieces: st.sampled_from(["", " ", "\n", "ـ", "\u0301"]).map(lambda between: between.join(pieces))
)


def assert_same(scorer: Scorer, reference: tuple[Any, Any], texts: Sequence[str], *, styled: bool = False) -> None:
    decision, known, explained = expected(*reference, texts)

    found = scorer.score(texts, marks=[marks(text) for text in texts] if styled else None)

    assert found.words.tolist() == [len(words(text)) for text in texts]
    assert found.terms.tolist() == known
    vocabulary = reference[0].vocabulary_
    assert found.unknown.tolist() == [sum(stem(word) not in vocabulary for word in words(text)) for text in texts]
    assert np.array_equal(found.decision.argmax(axis=1), decision.argmax(axis=1))
    np.testing.assert_allclose(found.decision, decision, rtol=0, atol=1e-12)
    np.testing.assert_allclose(softmax(found.decision, 0.1), softmax(decision, 0.1), rtol=1e-9)
    assert found.explanation == explained


@pytest.mark.parametrize("native", WAYS)
@UNTIMED
@given(st.lists(TEXTS, max_size=5), st.sampled_from([2, 3, 7]))
def test_any_text_gets_the_scores_terms_and_explanation_of_scikit_learn(
    native: bool, texts: list[str], classes: int
) -> None:
    assert_same(Scorer(arrays(classes), native=native), pipeline(classes), texts or [""])


@pytest.mark.parametrize("native", WAYS)
@UNTIMED
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_marks_are_terms_too_and_are_no_explanation(native: bool, texts: list[str]) -> None:
    assert_same(Scorer(arrays(1, styled=True), native=native), pipeline(1, styled=True), texts, styled=True)


@pytest.fixture(scope="module")
def every_character() -> tuple[Arrays, NDArray[np.float64]]:
    """A model that knows every folded character as a word, and the decision that each code point is to get: which it
    is."""
    folded = [_fold_character(chr(code)) for code in range(0x110000)]
    number = {stem(each): 0 for each in folded if each.strip()}
    number = {word: index + 1 for index, word in enumerate(number)}
    tfidf = TfidfVectorizer(analyzer=terms, vocabulary=list(number), sublinear_tf=True).fit(["a"])
    linear = SimpleNamespace(coef_=np.array([list(number.values())], dtype=np.float32), intercept_=np.zeros(1))
    return from_pipeline(tfidf, linear), np.array([number[stem(each)] if each.strip() else 0.0 for each in folded])


@pytest.mark.parametrize("native", WAYS)
def test_many_short_texts_keep_their_marks(native: bool) -> None:
    texts = ["the bank", "0:", ""] * 3000

    assert_same(Scorer(arrays(1, styled=True), native=native), pipeline(1, styled=True), texts, styled=True)


@pytest.mark.parametrize("native", WAYS)
def test_every_code_point_is_read_as_the_trainer_reads_it(
    native: bool, every_character: tuple[Arrays, NDArray[np.float64]]
) -> None:
    model, wanted = every_character
    scorer = Scorer(model, native=native)
    for plane in range(0, 0x110000, 0x10000):
        codes = range(plane, plane + 0x10000)

        decision = scorer.decision([chr(code) for code in codes])

        assert np.array_equal(decision[:, 0].round(), wanted[codes])
        assert scorer.score(["x" + "x".join(map(chr, codes)) + "x"], explain=False).words == [
            1 + np.count_nonzero([_fold_character(chr(code)) == " " for code in codes])
        ]


@pytest.mark.parametrize("native", WAYS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "the bank " * 1_200_000,
        "ي" * 10_000_000,
        "الب\u0301" * 60_000,
        "a " * 150_000,
        "bank" + "\u0301" * 300_000 + "s",
        " " * (MAX_CHARS - 4) + "bank" + "ers",
        " " * (MAX_CHARS - 2) + "bank",
        "\n".join(SENTENCES * 200),
    ],
    ids=lambda text: f"{text[:8].strip()!r} x {len(text)}",
)
def test_a_flood_is_cut_and_scored_like_anything_else(native: bool, text: str) -> None:
    assert_same(Scorer(arrays(7), native=native), pipeline(7), ["the bank", text, SENTENCES[0]])


@pytest.mark.parametrize("native", WAYS)
def test_no_text_depends_on_the_others_of_its_batch(native: bool) -> None:
    texts = [*SENTENCES, "", *SENTENCES[::-1], "\n".join(SENTENCES)] * 20
    scorer = Scorer(arrays(7), native=native)

    together = scorer.score(texts)

    for text, decision, explanation in zip(texts, together.decision, together.explanation, strict=True):
        alone = scorer.score([text])
        np.testing.assert_allclose(alone.decision[0], decision, rtol=0, atol=1e-12)
        assert alone.explanation == [explanation]


@pytest.mark.parametrize("native", WAYS)
def test_ties_go_to_the_first_term_and_the_first_class(native: bool) -> None:
    names = ["ash", "bay", "cod", "dew", "elm", "fir", "gum"]
    tfidf = TfidfVectorizer(analyzer=terms, vocabulary=names, sublinear_tf=True).fit(names)
    same = SimpleNamespace(coef_=np.array([[1.0] * 7, [0.0] * 7]), intercept_=np.zeros(2))
    turned = SimpleNamespace(coef_=np.array([[1.0] * 3 + [0.0] * 4, [0.0] * 4 + [1.0] * 3]), intercept_=np.zeros(2))

    for linear in (same, turned):
        scorer = Scorer(from_pipeline(tfidf, linear), native=native)
        assert_same(scorer, (tfidf, linear), [" ".join(names), " ".join(names[::-1]), "fir elm bay cod ash gum"])
        assert scorer.score(["gum fir elm cod bay ash"]).explanation[0][0].term == "ash"


@pytest.mark.parametrize("native", WAYS)
def test_no_text_at_all_has_no_scores(native: bool) -> None:
    found = Scorer(arrays(3), native=native).score([])

    assert found.decision.shape == (0, 3)
    assert found.explanation == []


@pytest.mark.parametrize("native", WAYS)
def test_threads_share_a_scorer(native: bool) -> None:
    scorer = Scorer(arrays(7), native=native)
    batches = [SENTENCES[i:] + SENTENCES[:i] for i in range(len(SENTENCES))] * 10
    alone = [scorer.score(batch) for batch in batches]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(scorer.score, batches))

    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.decision, other.decision)
        assert one.explanation == other.explanation


@pytest.mark.parametrize("native", WAYS)
def test_a_packed_model_is_mapped_and_scores_the_same(native: bool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(pack(arrays(7)))

    mapped = Scorer.open(path, native=native)

    assert_same(mapped, pipeline(7), SENTENCES)
    assert np.array_equal(mapped.decision(SENTENCES), Scorer.open(path.read_bytes(), native=native).decision(SENTENCES))


def test_the_vocabulary_comes_back_from_the_arrays() -> None:
    tfidf, _ = pipeline(1, styled=True)

    assert terms_of(unpack(pack(arrays(1, styled=True)))) == tfidf.get_feature_names_out().tolist()


@pytest.mark.parametrize("native", WAYS)
def test_what_is_no_text_is_refused(native: bool) -> None:
    with pytest.raises(TypeError):
        Scorer(arrays(3), native=native).score(["the bank", None])  # type: ignore[list-item]


@pytest.mark.parametrize("native", WAYS)
def test_a_mark_of_two_lines_is_refused(native: bool) -> None:
    with pytest.raises(ValueError, match="line end"):
        Scorer(arrays(3), native=native).score(["the bank"], marks=[["<a\nb>"]])


def test_weights_that_would_be_rounded_are_refused() -> None:
    tfidf, linear = pipeline(3)
    linear = type(linear)(coef_=linear.coef_.astype(np.float64) / 3, intercept_=linear.intercept_)

    with pytest.raises(ValueError, match="single precision"):
        from_pipeline(tfidf, linear)


@pytest.mark.parametrize("native", WAYS)
def test_demo_articles_get_the_scores_of_scikit_learn(native: bool) -> None:
    lines = files("stream").joinpath("demo/articles.jsonl").read_text(encoding="utf-8").splitlines()
    articles = [json.loads(line).get("article", {}) for line in lines]
    texts = [f"{article.get('title')}\n{article.get('body')}" for article in articles]

    assert_same(Scorer(arrays(7), native=native), pipeline(7), texts)
