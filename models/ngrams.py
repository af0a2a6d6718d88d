"""The flat arrays that a language is recognised with, a file as `models.sections` has it.

Which script a text is in is counted; which language one in Latin script is in, naive Bayes over n-grams of bytes says
(Lui and Baldwin, "langid.py: an off-the-shelf language identification tool", 2012). The n-grams of a text are found by
an automaton (Aho and Corasick, "Efficient string matching", 1975): it goes from row to row by edges that are labelled
with bytes, each of which may complete an n-gram, and takes the row of a shorter suffix where there is no edge. The
header's number is that of the languages, its Unicode version that of the letters. The sections:

- `scripts`: first words of the Unicode names of letters, separated by spaces.
- `page_index` (4,352) and `pages` (pages x 256): code point -> number of its script from 1 on, 0 for what is no letter.
- `codes`: ISO 639-1 codes of the languages, separated by spaces.
- `edges`: open addressing by `slot_of`: row << 48 | byte << 40 | next row << 24 | n-gram + 1; 0 is an empty slot.
- `fails` (rows): the row of the longest shorter suffix, always a lower one; row 0 is the root.
- `prior` (languages): logarithms of their probabilities.
- `weights` (n-grams x 32): logarithms of the probability of an n-gram in each language, in units of 1/256, which is
  exact in half precision below -4. All n-grams after the last have the last one's: no language was seen with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.sections import ArraysError, Format

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LANGUAGES", "UNIT", "NGrams", "pack", "slot_of", "unpack"]

LANGUAGES = 32
"""The most that there can be: the columns of `weights`, and one line of a processor's cache."""
UNIT = 256

_PAGES = 0x110000 >> 8
_BASE = np.uint64(0x9E3779B97F4A7C15)


class NGrams(NamedTuple):
    """The sections, and the Unicode version of the letters."""

    scripts: NDArray[np.uint8]
    page_index: NDArray[np.uint16]
    pages: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    edges: NDArray[np.uint64]
    fails: NDArray[np.uint16]
    prior: NDArray[np.float64]
    weights: NDArray[np.int16]
    unicode: str

    def script_names(self) -> list[str]:
        """The script of each number; the first is that of no letter."""
        return ["", *self.scripts.tobytes().decode("ascii").split()]

    def languages(self) -> list[str]:
        """The code of each column of `prior`."""
        return self.codes.tobytes().decode("ascii").split()


def slot_of(labels: NDArray[np.uint64], slots: int) -> NDArray[np.intp]:
    """The first of so many slots to look for an edge in; a label is row << 8 | byte."""
    return (labels * _BASE >> np.uint64(65 - slots.bit_length())).astype(np.intp)


def _dtypes(_: int) -> dict[str, np.dtype[Any]]:
    return {
        "scripts": np.dtype("u1"),
        "page_index": np.dtype("<u2"),
        "pages": np.dtype("u1"),
        "codes": np.dtype("u1"),
        "edges": np.dtype("<u8"),
        "fails": np.dtype("<u2"),
        "prior": np.dtype("<f8"),
        "weights": np.dtype("<i2"),
    }


_FORMAT = Format(b"AJILLNG1", "languages", LANGUAGES, _dtypes)


def pack(arrays: NGrams) -> bytes:
    """The file of `arrays`; the same arrays give the same bytes."""
    flat = {name: section.ravel() for name, section in arrays._asdict().items() if name != "unicode"}
    return _FORMAT.pack(len(arrays.prior), arrays.unicode, flat)


def unpack(buffer: bytes | memoryview) -> NGrams:
    """Read-only views into `buffer`, every size and every index checked; raises ArraysError."""
    number, unicode, sections = _FORMAT.unpack(buffer)
    if len(sections["weights"]) % LANGUAGES:
        raise ArraysError("the arrays' weights are not whole; copy them again")
    sections["weights"] = sections["weights"].reshape(-1, LANGUAGES)
    arrays = NGrams(**sections, unicode=unicode)
    for wrong in _violations(arrays, number):
        raise ArraysError(f"the arrays' {wrong}; copy them again")
    return arrays


def _violations(arrays: NGrams, languages: int) -> list[str]:
    """What would lead outside an array, or nowhere; sizes first, as the contents are read by them."""
    rows, slots = len(arrays.fails), len(arrays.edges)
    sizes = {
        f"page_index has {len(arrays.page_index)} pages, not {_PAGES}": len(arrays.page_index) == _PAGES,
        "pages are not whole": len(arrays.pages) % 256 == 0 < len(arrays.pages),
        "scripts or codes are not ASCII": _is_ascii(arrays.scripts) and _is_ascii(arrays.codes),
        "edges are no power of two": 1 < slots <= 1 << 24 and slots & (slots - 1) == 0,
        "fails, prior or weights have another length": 0 < rows <= 1 << 16
        and len(arrays.prior) == languages
        and len(arrays.weights) > 0,
    }
    found = [message for message, right in sizes.items() if not right]
    if found:
        return found
    edges = arrays.edges[arrays.edges != 0]
    scripts = arrays.script_names()
    contents = {
        "page_index leads outside pages": int(arrays.page_index.max()) < len(arrays.pages) // 256,
        "pages lead outside scripts": int(arrays.pages.max()) < len(scripts) <= 256,
        "codes are not one for each language": len(set(arrays.languages())) == languages,
        "edges are full": len(edges) < slots,
        "edges lead outside the rows": not len(edges)
        or int(np.maximum(edges >> np.uint64(48), edges >> np.uint64(24) & np.uint64(0xFFFF)).max()) < rows,
        "fails lead to no shorter suffix": arrays.fails[0] == 0 and bool((arrays.fails[1:] < np.arange(1, rows)).all()),
        "prior is not finite": bool(np.isfinite(arrays.prior).all()),
    }
    return [message for message, sound in contents.items() if not sound]


def _is_ascii(text: NDArray[np.uint8]) -> bool:
    return len(text) > 0 and int(text.max()) < 128
