"""What may change in a text without changing what the model reads."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.classifier import Article, Classifier
from models.text import MAX_CHARS, fold, lines, stem, surfaces, terms, words
from tests.models.articles import ARABIC, FURNITURE

LETTERS = "ابتثجحخدذرزسشصضطظعغفقكلمنهويأإآةىءئؤ"
MARKS = "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670ـ\u200f\u200d"
EASTERN = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")

arabic = st.text(alphabet=LETTERS + '0123456789 \n.,،؟"-', max_size=200)


@st.composite
def decorated(draw: st.DrawFn) -> tuple[str, str]:
    text = draw(arabic)
    marks = draw(st.lists(st.text(alphabet=MARKS, max_size=3), min_size=len(text), max_size=len(text)))
    return text, "".join(
        letter + mark if letter.isalpha() else letter for letter, mark in zip(text, marks, strict=True)
    )


@given(decorated())
def test_diacritics_elongation_and_invisible_characters_change_nothing(pair: tuple[str, str]) -> None:
    text, changed = pair

    assert terms(changed) == terms(text)


@given(arabic)
def test_digit_forms_change_nothing(text: str) -> None:
    assert terms(text.translate(EASTERN)) == terms(text)


@given(st.text(max_size=200))
def test_composed_and_decomposed_letters_are_the_same(text: str) -> None:
    latin = "".join(c for c in text if ord(c) < 0x250)

    assert words(unicodedata.normalize("NFD", latin)) == words(unicodedata.normalize("NFC", latin))


@given(st.text(max_size=300))
def test_folding_looks_at_one_code_point_at_a_time_and_gives_at_most_one(text: str) -> None:
    assert fold(text) == "".join(fold(character) for character in text)
    assert all(len(fold(character)) <= 1 for character in text)


@given(st.text(max_size=300))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=300))
def test_surfaces_are_the_words_of_the_text_with_their_stems(text: str) -> None:
    found = list(surfaces(text))

    stems = [term for term in terms(text) if " " not in term]
    assert [stem for _, stem in found] == stems
    assert all(surface in text for surface, _ in found)


@pytest.mark.parametrize(("plural", "singular"), [("banks", "bank"), ("élèves", "élève"), ("prices", "price")])
def test_a_latin_plural_reads_as_its_singular(plural: str, singular: str) -> None:
    assert terms(plural) == terms(singular)


@pytest.mark.parametrize("word", ["gas", "press", "virus", "crisis", "s", "المدرسs"])
def test_a_final_s_that_is_no_plural_stays(word: str) -> None:
    assert stem(*words(word)).endswith("s")


@given(st.text(st.sampled_from("ab \n\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029\u2027"), max_size=12) | st.text())
def test_lines_are_those_of_python_but_for_an_empty_last_one(text: str) -> None:
    assert lines(text) in (text.splitlines(), [*text.splitlines(), ""])


def test_every_character_ends_a_line_that_does_so_in_python() -> None:
    for code in range(0x110000):
        assert lines(f"a{chr(code)}b") == f"a{chr(code)}b".splitlines(), hex(code)


def test_only_the_beginning_of_a_flood_is_read() -> None:
    assert len(words("كلمة " * MAX_CHARS)) <= MAX_CHARS


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


@pytest.mark.parametrize(("label", "body"), [(label, body) for label, bodies in ARABIC.items() for body in bodies])
def test_no_label_changes_with_diacritics_digits_or_furniture(classifier: Classifier, label: str, body: str) -> None:
    marked = "".join(c + "\u064e" if c.isalpha() and index % 3 == 0 else c for index, c in enumerate(body))
    stretched = body.replace("ال", "الـــ")
    furnished = "\n".join([body, *FURNITURE])
    changed = [marked, stretched, body.translate(EASTERN), furnished]

    first, *others = classifier.classify([Article(title=None, body=text) for text in [body, *changed]])

    assert first.alternatives[0].label == label
    assert [other.label for other in others] == [first.label] * len(changed)
    assert all(other.confidence == pytest.approx(first.confidence) for other in others)
