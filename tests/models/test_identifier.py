"""The identifier, both ways, against unicodedata and py3langid, from which its arrays were made."""

from __future__ import annotations

import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models import identifier
from models.arabic_script import LANGUAGES, LETTERS, WORDS, language_of
from models.bundle import BundleError, digest
from models.identifier import FILE, SAMPLE, SHA256, Python, in_kernel, known
from models.langid import Reference, export
from models.language import _of_latin_script, _utf8, language, says_something
from models.ngrams import ArraysError, NGrams, pack, unpack
from models.sections import header
from tests.models.scorer_model import NEEDS_KERNEL, UNTIMED
from tests.models.test_scorer import TEXTS

if TYPE_CHECKING:
    from pathlib import Path

WAYS = [
    pytest.param(False, id="python"),
    pytest.param(True, id="native", marks=NEEDS_KERNEL),
]
SAME_UNICODE = pytest.mark.skipif(
    unicodedata.unidata_version != unpack(FILE.read_bytes()).unicode, reason="this Python knows other letters"
)

SPELT = [
    *("Le président a présenté ses vœux", "Das Haus an der Straße", "Hükümet yeni bütçeyi açıkladı", "BREAKING NEWS"),
    *("El niño comió", "Người Việt Nam", "Ελλάδα", "Правительство", "政府公布", "ひらがな", "한국어", "fi ﬁ ª µ ǅ İ"),
    *("از كه را اين آن", "کرد و گفت", "كي كا كے هي", "ہے میں نے", "عاجل: الحكومة", "پچژگ", "ۆێە", "ټډړ", "ۇۋې"),
    *("هم بر تا دو پس", "از\u0600 را", "\u0600از", "خارجه\u06ff", "ازازازاز", "جمهوريجمهوري"),
]
PIECES = st.one_of(
    st.sampled_from(SPELT),
    st.sampled_from(sorted({*WORDS["fa"], *WORDS["ur"]})),
    st.text(st.sampled_from("".join(sorted(frozenset().union(*LETTERS.values()))) + "ابتثجح"), max_size=8),
    st.text(st.sampled_from("etaoinshr çñüéßøåžşğ'’-"), max_size=30),
    TEXTS,
)
ANY_TEXT = st.lists(PIECES, max_size=20).flatmap(
    lambda pieces: st.sampled_from(["", " ", " ", "\n", "\u2003", "\x1f"]).map(lambda between: between.join(pieces))
)


@cache
def reference() -> Reference:
    return Reference()


def by_name(text: str) -> tuple[int, str, int]:
    """The letters, their script and the language in Arabic script, told by the names of Unicode."""
    letters = [c for c in text[: 20 * SAMPLE] if c.isalpha()][:SAMPLE]
    if not letters:
        return 0, "", -1
    scripts = Counter(unicodedata.name(letter, "?").split()[0] for letter in letters)
    script, _ = scripts.most_common(1)[0]
    place = language_of(text[: 20 * SAMPLE], Counter(letters), len(letters)) if script == "ARABIC" else -1
    return len(letters), script, place


@SAME_UNICODE
@pytest.mark.parametrize("native", WAYS)
@UNTIMED
@given(ANY_TEXT)
@example("aΑ" * 300)
@example("Αa" * 300)
@example("ا" * 599 + "b" * 601)
@example("از " * 5000)
@example(" " * 11_999 + "ab")
def test_any_text_is_read_as_unicode_names_its_letters(native: bool, text: str) -> None:
    letters, script, place = known(native=native).identifier.read(text)

    assert (letters, known().scripts[script], place) == by_name(text)


@SAME_UNICODE
@pytest.mark.parametrize("native", WAYS)
def test_every_code_point_has_its_script(native: bool) -> None:
    read, scripts = known(native=native).identifier.read, known().scripts
    for code in range(0x110000):
        letters, script, _ = read(chr(code))

        assert letters == chr(code).isalpha(), hex(code)
        assert scripts[script] == (unicodedata.name(chr(code), "?").split()[0] if letters else ""), hex(code)


@pytest.mark.parametrize("native", WAYS)
@UNTIMED
@given(ANY_TEXT)
@example("")
@example("\0" * 600)
@example("e" * 600)
@example("\U0001f6a8" * 600)
def test_any_text_has_the_probabilities_of_py3langid(native: bool, text: str) -> None:
    text = text[:SAMPLE]

    found = known(native=native).identifier.probabilities(_utf8(text))

    np.testing.assert_allclose(found, reference().exact(_utf8(text)), rtol=1e-9)
    np.testing.assert_allclose(found, reference().library(text), rtol=1e-3, atol=1e-6)  # in single precision


@pytest.mark.parametrize("native", WAYS)
@UNTIMED
@given(st.binary(max_size=700))
def test_any_bytes_have_the_probabilities_of_py3langid(native: bool, text: bytes) -> None:
    found = known(native=native).identifier.probabilities(text)

    np.testing.assert_allclose(found, reference().exact(text), rtol=1e-9)


@UNTIMED
@given(ANY_TEXT, st.sampled_from(["", "en", "fr", "tr", "xx"]))
def test_any_text_gets_the_decision_of_py3langid(text: str, claimed: str) -> None:
    text = text[:SAMPLE]
    languages, exact = known().languages, reference().exact(_utf8(text))

    found = _of_latin_script(languages, known().identifier.probabilities(_utf8(text)), claimed)

    assert found == _of_latin_script(reference().languages, exact, claimed)
    # The library's own, but where single precision is too little to decide.
    shares = sorted(share / max(exact) for share in exact)
    likely = dict(zip(languages, exact, strict=True))
    near = [abs(likely.get(code, 0) / max(exact) - share) for code, share in ((claimed, 0.2), ("en", 0.4))]
    if min([*near, shares[-1] - shares[-2]]) > 1e-4:
        assert found == _of_latin_script(languages, reference().library(text), claimed)


@pytest.mark.parametrize("native", WAYS)
@pytest.mark.parametrize("flood", ["ab " * 4_000_000, "در " * 4_000_000, "é" * 3_000_000, "\ud800" * 1000], ids=len)
def test_a_flood_is_cut(native: bool, flood: str) -> None:
    assert known(native=native).identifier.read(flood) == known(native=native).identifier.read(flood[:12_000])
    assert language(flood) == language(flood[:12_000])


@NEEDS_KERNEL
def test_a_long_text_may_be_identified_as_well() -> None:
    text = "".join(SPELT).encode() * 1000

    found, expected = (known(native=native).identifier.probabilities(text) for native in (True, False))

    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_threads_share_an_identifier() -> None:
    texts = SPELT * 20
    alone = [language(text) for text in texts]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(language, texts)) == alone


def test_something_is_said_from_three_letters_on() -> None:
    assert [says_something(text) for text in ("", "12", "ab", "a1b2c", "عاج")] == [False, False, False, True, True]


@pytest.mark.parametrize("native", WAYS)
def test_what_is_no_text_is_refused(native: bool) -> None:
    with pytest.raises(TypeError):
        known(native=native).identifier.read(b"text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        known(native=native).identifier.probabilities(None)  # type: ignore[arg-type]


@SAME_UNICODE
def test_the_arrays_are_those_that_the_library_gives() -> None:
    assert digest(pack(export())) == SHA256
    assert digest(FILE.read_bytes()) == SHA256


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"\1" + data[1:], lambda data: b""])
def test_a_changed_file_is_refused(change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "languages.ngrams").write_bytes(change(FILE.read_bytes()))
    monkeypatch.setattr(identifier, "FILE", tmp_path / "languages.ngrams")

    with pytest.raises(BundleError, match="install Ajil again"):
        known.__wrapped__()


def small() -> NGrams:
    """Arrays with two languages, three n-grams (a, ab, b) and a row for what follows an a."""
    whole = unpack(FILE.read_bytes())
    edges = [0] * 8
    for row, byte, following, ngram in ((0, ord("a"), 1, 1), (1, ord("b"), 0, 2), (0, ord("b"), 0, 3)):
        label = row << 8 | byte
        slot = (label * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 61
        while edges[slot]:
            slot = (slot + 1) % 8
        edges[slot] = label << 40 | following << 24 | ngram
    weights = np.zeros((2, 32), dtype=np.int16)
    weights[:, :2] = [[-1500, -1300], [-2000, -1900]]
    return whole._replace(
        codes=np.frombuffer(b"en fr", dtype=np.uint8),
        edges=np.array(edges, dtype=np.uint64),
        fails=np.zeros(2, dtype=np.uint16),
        prior=np.array([1.0, 2.0]),
        weights=weights,
    )


PACKED = pack(small())
HEADER = header(8)


def test_packed_arrays_come_back() -> None:
    for name, section in unpack(PACKED)._asdict().items():
        assert np.array_equal(section, getattr(small(), name)), name


@pytest.mark.parametrize("end", [0, 7, HEADER.size - 1, HEADER.size, len(PACKED) - 1])
def test_a_cut_file_is_refused(end: int) -> None:
    with pytest.raises(ArraysError):
        unpack(PACKED[:end])


@pytest.mark.parametrize(
    ("section", "position", "value"),
    [
        ("scripts", 0, 200),
        ("codes", slice(None), 97),
        ("page_index", 5, 60_000),
        ("pages", 5, 255),
        ("edges", 0, 2 << 48 | 1),
        ("edges", 0, 2 << 24 | 1),
        ("edges", slice(None), 1),
        ("fails", 1, 1),
        ("fails", 0, 1),
        ("prior", 0, np.nan),
    ],
)
def test_an_index_that_leads_outside_is_refused(section: str, position: Any, value: Any) -> None:
    array = getattr(small(), section).copy()
    array[position] = value

    with pytest.raises(ArraysError, match=section):
        unpack(pack(small()._replace(**{section: array})))


@pytest.mark.parametrize("section", ["page_index", "pages", "edges", "fails", "prior", "weights"])
def test_sections_that_do_not_fit_are_refused(section: str) -> None:
    array = getattr(small(), section)

    with pytest.raises(ArraysError):
        unpack(pack(small()._replace(**{section: array.ravel()[:0]})))


@NEEDS_KERNEL
@UNTIMED
@given(st.randoms(use_true_random=False), ANY_TEXT)
def test_arrays_that_change_after_their_checks_never_lead_the_kernel_outside(random: Any, text: str) -> None:
    """What the sanitizers watch: garbage behind the checks. Without them it must at least not end the process."""
    data = bytearray(PACKED)
    arrays = unpack(memoryview(data))
    kernel: Any = in_kernel(arrays)
    for _ in range(random.randrange(1, 2000)):
        data[random.randrange(HEADER.size, len(data))] = random.choice((0, 1, 255, random.randrange(256)))

    letters, script, place = kernel.read(text)

    assert 0 <= letters <= SAMPLE
    assert 0 <= script < 256
    assert -1 <= place < len(LANGUAGES)
    assert len(kernel.probabilities(_utf8(text[:SAMPLE]))) == 2


@NEEDS_KERNEL
@pytest.mark.parametrize("section", [0, 1, 2])
def test_the_kernel_refuses_sections_that_do_not_fit(section: int) -> None:
    sections: list[Any] = [small().page_index, small().pages, small().edges]
    sections[section] = np.concatenate([sections[section], sections[section][:1]])
    arrays = small()._replace(page_index=sections[0], pages=sections[1], edges=sections[2])

    with pytest.raises(ValueError, match="do not fit"):
        in_kernel(arrays)


def test_the_small_arrays_say_the_same_both_ways() -> None:
    for text in (b"", b"a", b"ab", b"abab", b"b\0a", b"xyz"):
        python = Python(small()).probabilities(text)

        assert len(python) == 2
        if identifier.NATIVE:
            np.testing.assert_allclose(in_kernel(small()).probabilities(text), python, rtol=1e-12)
