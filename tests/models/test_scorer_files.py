"""Packed models that are cut, altered or hostile: refused before they are read, and never read outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrays import Arrays, ArraysError, pack, unpack
from models.explain import Term
from models.scorer import Scorer
from models.sections import header
from models.text import MAX_CHARS
from tests.models.scorer_model import NEEDS_KERNEL, SENTENCES, UNTIMED, arrays

PACKED = pack(arrays(3))
HEADER = header(len(arrays(3)) - 1)


def ends() -> list[int]:
    """Where each section ends."""
    found, end = [], HEADER.size
    for section in arrays(3)[:-1]:
        end += -end % 64 + section.nbytes
        found.append(end)
    return found


@pytest.mark.parametrize("end", [0, 7, HEADER.size - 1, HEADER.size, *(e - 1 for e in ends()), *ends()[:-1]])
def test_a_cut_file_is_refused(end: int) -> None:
    with pytest.raises(ArraysError):
        unpack(PACKED[:end])


def test_a_file_with_more_behind_it_is_refused() -> None:
    with pytest.raises(ArraysError, match="sections end"):
        unpack(PACKED + b"\0")


def test_a_changed_bit_in_magic_or_sizes_is_refused() -> None:
    version = range(16, 32)
    for position in set(range(HEADER.size)) - set(version):
        for bit in range(8):
            changed = bytearray(PACKED)
            changed[position] ^= 1 << bit
            with pytest.raises(ArraysError):
                unpack(bytes(changed))


def changed(name: str, position: Any, value: int) -> bytes:
    sections = arrays(3)._asdict()
    section = sections[name].copy()
    section[position] = value
    return pack(Arrays(**{**sections, name: section}))


@pytest.mark.parametrize(
    ("name", "position", "value"),
    [
        ("page_index", 5, 60_000),
        ("pages", 5, 0x110000),
        ("words", 0, 100_000),
        ("words", 1, 0),
        ("words", 1, 100_000),
        ("words", slice(None), 100_000),
        ("word_slots", 0, 1 << 32),
        ("word_slots", 0, 0xFFFFFFFF),
        ("word_slots", slice(None), 1),
        ("pair_slots", 0, 0xFFFFFFFF),
        ("pair_slots", slice(None), 1),
    ],
)
def test_an_index_that_leads_outside_is_refused(name: str, position: Any, value: int) -> None:
    with pytest.raises(ArraysError, match=name.split("_")[0]):
        unpack(changed(name, position, value))


@pytest.mark.parametrize(
    ("field", "value"),
    [("left", 0xFFFFFFFE), ("right", 0xFFFFFFFE), ("idf", np.nan), ("idf", -1.0), ("weight", np.inf)],
)
def test_a_row_that_leads_outside_or_is_no_number_is_refused(field: str, value: float) -> None:
    sections = arrays(3)._asdict()
    sections["rows"] = sections["rows"].copy()
    sections["rows"][field][7] = value

    with pytest.raises(ArraysError):
        unpack(pack(Arrays(**sections)))


@pytest.mark.parametrize("native", [False, pytest.param(True, marks=NEEDS_KERNEL)])
@UNTIMED
@given(st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 255)), min_size=1, max_size=20))
def test_any_change_is_refused_or_scores_something(native: bool, changes: list[tuple[int, int]]) -> None:
    data = bytearray(PACKED)
    for position, value in changes:
        data[position] = value
    try:
        model = unpack(bytes(data))
    except ArraysError:
        return

    assert Scorer(model, native=native).score(SENTENCES).decision.shape == (len(SENTENCES), 3)


@NEEDS_KERNEL
@UNTIMED
@given(st.randoms(use_true_random=False))
def test_a_file_that_changes_after_its_checks_never_leads_the_kernel_outside(random: Any) -> None:
    """What the sanitizers watch: garbage behind the checks. Without them it must at least not end the process."""
    from models.native.kernel import Model

    data = bytearray(PACKED)
    model = unpack(memoryview(data))
    kernel = Model(MAX_CHARS, *model[:-1])
    for _ in range(random.randrange(1, 2000)):
        data[random.randrange(HEADER.size, len(data))] = random.choice((0, 1, 255, random.randrange(256)))
    n = len(SENTENCES)
    texts, marks = tuple(SENTENCES), ("<no colon>\n",) * n
    decision, counts = np.empty((n, 3)), np.empty((n, 3), np.int64)

    kernel.score(texts, marks, decision, counts, 5, Term)

    assert (counts >= 0).all()


@NEEDS_KERNEL
@pytest.mark.parametrize("section", [0, 1, 3, 4])
def test_the_kernel_refuses_sections_that_do_not_fit(section: int) -> None:
    from models.native.kernel import Model

    sections: list[Any] = list(arrays(3)[:-1])
    sections[section] = np.concatenate([sections[section], sections[section][:1]])

    with pytest.raises(ValueError, match="do not fit"):
        Model(MAX_CHARS, *sections)


@NEEDS_KERNEL
@pytest.mark.parametrize(
    ("marks", "decision", "counts", "most", "term"),
    [
        (("",), 6, 6, 5, Term),
        (("", ""), 5, 6, 5, Term),
        (("", ""), 6, 4, 5, Term),
        (("", ""), 6, 6, -1, Term),
        (("", ""), 6, 6, 17, Term),
        (("", ""), 6, 6, 5, list),
    ],
)
def test_the_kernel_refuses_results_that_do_not_fit(
    marks: tuple[str, ...], decision: int, counts: int, most: int, term: Any
) -> None:
    from models.native.kernel import Model

    model = Model(MAX_CHARS, *arrays(3)[:-1])

    with pytest.raises(ValueError, match="do not fit"):
        model.score(("a", "b"), marks, np.empty(decision), np.empty(counts, np.int64), most, term)
