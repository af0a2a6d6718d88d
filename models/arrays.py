"""The flat arrays a linear model over `models.text.terms` is served from, a file as `models.sections` has it.

Its number is that of the classes, its Unicode version that of the folding table. The sections:

- `page_index` (4,352) and `pages` (pages x 256): code point -> folded code point, `SAME` (itself), `SPACE`, or 0
  (deleted); `DIGIT` is set where the folded character is a digit. Serving so reads as the trainer's Python did.
- `words`: one after the other, each its row as a term (`NONE` where it is only part of pairs), its length and its code
  points. A word is a stem, or a mark such as `<no dash>`; its number is the place of its row.
- `word_slots`: open addressing over the words: tag (upper half of the hash) << 32 | number + 1; 0 is an empty slot.
- `pair_slots`: open addressing over the pairs: tag << 32 | row + 1.
- `rows` (terms): the words of each term (right is `NONE` for a single word), its idf and its weight for each class;
  row i is column i of the vectorizer.
- `intercept` (classes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.sections import ArraysError, Format

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DIGIT", "NONE", "SAME", "SPACE", "Arrays", "ArraysError", "pack", "row_dtype", "unpack"]

NONE = 0xFFFFFFFF
SPACE = 1
SAME = 2
DIGIT = 1 << 31

_PAGES = 0x110000 >> 8
_MOST_CLASSES = 256


class Arrays(NamedTuple):
    """The sections, and the Unicode version of the folding table."""

    page_index: NDArray[np.uint16]
    pages: NDArray[np.uint32]
    words: NDArray[np.uint32]
    word_slots: NDArray[np.uint64]
    pair_slots: NDArray[np.uint64]
    rows: NDArray[np.void]
    intercept: NDArray[np.float64]
    unicode: str

    @property
    def classes(self) -> int:
        """Columns of a decision."""
        return len(self.intercept)


def row_dtype(classes: int) -> np.dtype[np.void]:
    """One term: `left`, `right`, `idf`, `weight` (padded with zeros to whole groups of four)."""
    return np.dtype([("left", "<u4"), ("right", "<u4"), ("idf", "<f8"), ("weight", "<f4", (-(-classes // 4) * 4,))])


def _dtypes(classes: int) -> dict[str, np.dtype[Any]]:
    u4, u8 = np.dtype("<u4"), np.dtype("<u8")
    return {
        "page_index": np.dtype("<u2"),
        "pages": u4,
        "words": u4,
        "word_slots": u8,
        "pair_slots": u8,
        "rows": row_dtype(classes),
        "intercept": np.dtype("<f8"),
    }


_FORMAT = Format(b"AJILSCR1", "classes", _MOST_CLASSES, _dtypes)


def pack(arrays: Arrays) -> bytes:
    """The file of `arrays`; the same arrays give the same bytes."""
    return _FORMAT.pack(arrays.classes, arrays.unicode, arrays._asdict())


def unpack(buffer: bytes | memoryview) -> Arrays:
    """Read-only views into `buffer`, every size and every index checked; raises ArraysError."""
    classes, unicode, sections = _FORMAT.unpack(buffer)
    arrays = Arrays(**sections, unicode=unicode)
    if len(arrays.intercept) != classes:
        raise ArraysError(f"a model of {classes} classes has {len(arrays.intercept)} intercepts; copy it again")
    for wrong in _violations(arrays):
        raise ArraysError(f"a model's {wrong}; copy it again or train it again")
    return arrays


def _violations(arrays: Arrays) -> list[str]:
    """What would lead outside an array, or nowhere; sizes first, as the contents are read by them."""
    words, terms = len(arrays.words), len(arrays.rows)
    sizes = {
        f"page_index has {len(arrays.page_index)} pages, not {_PAGES}": len(arrays.page_index) == _PAGES,
        "pages are not whole": len(arrays.pages) % 256 == 0,
        "word_slots are no power of two": _is_power_of_two(len(arrays.word_slots)),
        "pair_slots are no power of two": _is_power_of_two(len(arrays.pair_slots)),
        "words or rows are none or too many": 2 < words < NONE and 0 < terms < NONE,
    }
    found = [message for message, right in sizes.items() if not right]
    if found:
        return found
    left, right = arrays.rows["left"], arrays.rows["right"]
    contents = {
        "page_index leads outside pages": int(arrays.page_index.max()) < len(arrays.pages) // 256,
        "pages hold no code points": int((arrays.pages & ~np.uint32(DIGIT)).max()) < 0x110000,
        "word_slots lead outside the words or are full": _slots_are_sound(arrays.word_slots, words - 2),
        "pair_slots lead outside rows or are full": _slots_are_sound(arrays.pair_slots, terms),
        "rows lead outside the words": bool((left < words).all() and ((right < words) | (right == NONE)).all()),
        "idf is not positive": bool(((arrays.rows["idf"] > 0) & np.isfinite(arrays.rows["idf"])).all()),
        "weights are not all finite": bool(
            np.isfinite(arrays.rows["weight"]).all() and np.isfinite(arrays.intercept).all()
        ),
    }
    found = [message for message, sound in contents.items() if not sound]
    return found or [message for message, sound in _words_are_sound(arrays).items() if not sound]


def _words_are_sound(arrays: Arrays) -> dict[str, bool]:
    slots = arrays.word_slots[arrays.word_slots != 0]
    number = (slots & np.uint64(0xFFFFFFFF)).astype(np.int64) - 1
    row, length = arrays.words[number], arrays.words[number + 1].astype(np.int64)
    return {
        "words lead outside rows": bool(((row < len(arrays.rows)) | (row == NONE)).all()),
        "words do not end in time": bool((length > 0).all() and (number + 2 + length <= len(arrays.words)).all()),
        "words are not those of word_slots": int((length + 2).sum()) == len(arrays.words),
        "rows are not those of words and pair_slots": int((row != NONE).sum()) + np.count_nonzero(arrays.pair_slots)
        == len(arrays.rows),
    }


def _is_power_of_two(number: int) -> bool:
    return 0 < number < 1 << 32 and number & (number - 1) == 0


def _slots_are_sound(slots: NDArray[np.uint64], most: int) -> bool:
    entries = slots & np.uint64(0xFFFFFFFF)
    return int(entries.max()) <= most and bool((slots == 0).any()) and bool(((slots == 0) == (entries == 0)).all())
