"""The scorer in numpy alone, for machines where the compiled kernel is absent: the same results, text by text.

All texts of a batch are one array of code points; words, stems, hashes and terms are found for all of them at once.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.arrays import DIGIT, NONE, SAME, SPACE, Arrays
from models.explain import _LEAST, Term
from models.hashing import LONGEST, mix, of_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Codes = NDArray[np.uint32]
    Positions = NDArray[np.int64]
    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = ["Model"]

_BATCH = 1 << 17
"""Code points read at once: what fits the caches. A longer text is read alone."""

_PLANE = 0x10000  # code points that are folded by one table, the others by two

_LOGS = 1 + np.log(np.arange(1, 1025, dtype=np.float64))
_WORD_CHARS = 32
_ZEROS = np.full(5, ord("0"), dtype=np.uint32)

_LETTERS = "اهتبكفلنوي"  # the letters of affixes are kinds 1 to 10, every other character is 0
_PREFIXES = ("وال", "بال", "كال", "فال", "ولل", "ال", "لل")
_SUFFIXES = ("ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي")
_NO_PLURAL = np.array([ord(letter) for letter in "sui"], dtype=np.uint32)  # before a final s
_KIND = np.zeros(0x700, dtype=np.uint16)
_KIND[[ord(letter) for letter in _LETTERS]] = np.arange(1, len(_LETTERS) + 1)


def _kinds_of(affix: str) -> int:
    """Four bits a letter, the last letter lowest."""
    return sum((_LETTERS.index(letter) + 1) << 4 * place for place, letter in enumerate(reversed(affix)))


def _prefix_sizes() -> NDArray[np.int64]:
    """Letters of the prefix to drop, by the kinds of the first three letters and the length (6 stands for longer)."""
    sizes = np.zeros((1 << 12, 7), dtype=np.int64)
    three = np.arange(1 << 12)
    sizes[three >> 8 == _kinds_of("و"), 5:] = 1
    for prefix in reversed(_PREFIXES):
        sizes[three >> 4 * (3 - len(prefix)) == _kinds_of(prefix), len(prefix) + 3 :] = len(prefix)
    return sizes.reshape(-1)


_PREFIX_SIZE = _prefix_sizes()


class _Words(NamedTuple):
    """The words of a batch: where each stands in `codes` and in its text, and whose it is."""

    codes: Codes  # folded; stems are parts of it
    start: Positions
    end: Positions
    document: Positions
    first: Positions  # of the surface, in its text
    last: Positions


class Model:
    """One model; like `models.native.kernel.Model`."""

    def __init__(self, longest: int, arrays: Arrays) -> None:
        if not 0 < longest < LONGEST:
            raise ValueError(f"texts are cut at 1 to {LONGEST - 1} characters, not {longest}")
        self._longest = longest
        self._arrays = arrays
        self._idf = np.ascontiguousarray(arrays.rows["idf"])
        self._weight = np.ascontiguousarray(arrays.rows["weight"])
        self._pairs = arrays.rows["left"].astype(np.uint64) << np.uint64(32) | arrays.rows["right"]
        self._lanes = _lanes(arrays.words)
        self._folded = _fold(arrays, np.arange(_PLANE, dtype=np.uint32))

    def score(
        self,
        texts: Sequence[str],
        marks: Sequence[str],
        decision: Floats,
        counts: Numbers,
        most: int,
        term: type[Term],
    ) -> list[list[Term]]:
        """Write decision values (n, classes) and counts of words, terms and unknown words (n, 3); returns the strongest
        terms."""
        texts = [text[: self._longest] for text in texts]
        marks = [mark[: self._longest] for mark in marks]
        explanation: list[list[Term]] = []
        begin = size = 0
        sizes = [len(text) + len(mark) + 1 for text, mark in zip(texts, marks, strict=True)]
        for index, more in enumerate([*sizes, 0]):
            if index > begin and (index == len(texts) or size + more > _BATCH):
                part = slice(begin, index)
                explanation += self._score(texts[part], marks[part], decision[part], counts[part], most, term)
                begin, size = index, 0
            size += more
        return explanation

    def _score(
        self,
        texts: Sequence[str],
        marks: Sequence[str],
        decision: Floats,
        counts: Numbers,
        most: int,
        term: type[Term],
    ) -> list[list[Term]]:
        words = self._words(texts)
        number = self._numbers(words.codes, words.start, words.end)
        known = np.flatnonzero(number >= 0)
        single = np.full(len(number), NONE, dtype=np.int64)
        single[known] = self._arrays.words.take(number[known])
        left = known[:-1][(np.diff(known) == 1) & (words.document[known[:-1]] == words.document[known[1:]])]
        pair = self._pair_rows(number[left], number[left + 1])
        left, pair = left[pair >= 0], pair[pair >= 0]
        singles = np.flatnonzero(single != NONE)
        marked, mark = self._marks(marks)
        terms = len(self._idf)
        keys = np.concatenate(
            [
                np.full(1, -1),
                words.document.take(singles) * terms + single.take(singles),
                words.document.take(left) * terms + pair,
                marked * terms + mark,
            ]
        )
        keys.sort()
        new = np.flatnonzero(keys[1:] != keys[:-1]) + 1
        often = np.diff(new, append=len(keys))
        document, row = np.divmod(keys[new], terms)
        tf = _LOGS.take(often - 1, mode="clip")
        if len(often) and often.max() > len(_LOGS):
            tf = 1 + np.log(often)
        value = tf * self._idf.take(row)
        counts[:, 0] = np.bincount(words.document, minlength=len(texts))
        counts[:, 1] = np.bincount(document, minlength=len(texts))
        counts[:, 2] = np.bincount(words.document[single == NONE], minlength=len(texts))
        decision[:] = self._arrays.intercept
        present, begin = np.unique(document, return_index=True)
        explanation: list[list[Term]] = [[] for _ in texts]
        if not len(present):
            return explanation
        weight = self._weight.take(row, axis=0)[:, : self._arrays.classes]
        norm = np.sqrt(np.add.reduceat(value * value, begin))
        decision[present] += np.add.reduceat(weight * value[:, None], begin) / norm[:, None]
        if not most:
            return explanation
        # Where each row of each text stands, in the order of the text.
        place = np.concatenate([singles, left])
        order = np.argsort(place, kind="stable")
        rows = np.concatenate([single[singles], pair]).take(order)
        place, is_pair = place.take(order), order >= len(singles)
        bounds = np.searchsorted(words.document[place], np.arange(len(texts) + 1)).tolist()
        first, last = words.first.tolist(), words.last.tolist()
        for at, end, whole, text in zip(begin, [*begin[1:], len(row)], norm, present.tolist(), strict=True):
            by = value[at:end] / whole * _direction(weight[at:end], decision[text])
            mine = rows[bounds[text] : bounds[text + 1]]
            for best in np.argsort(-by, kind="stable"):
                if by[best] < _LEAST or len(explanation[text]) == most:
                    break
                found = np.flatnonzero(mine == row[at + best])
                if not len(found):
                    continue  # a mark, which stands nowhere
                word = place[bounds[text] + found[0]]
                written = texts[text][first[word] : last[word]]
                if is_pair[bounds[text] + found[0]]:
                    written = f"{written} {texts[text][first[word + 1] : last[word + 1]]}"
                explanation[text].append(term(written, round(float(by[best]), 4)))
        return explanation

    def _words(self, texts: Sequence[str]) -> _Words:
        raw = _codes("\n" + "\n".join(texts) + "\n")
        codes = self._folded.take(raw, mode="clip")
        if raw.max() >= _PLANE:
            beyond = np.flatnonzero(raw >= _PLANE)
            codes[beyond] = _fold(self._arrays, raw[beyond])
        ends = np.fromiter(accumulate((len(text) + 1 for text in texts), initial=0), dtype=np.int64)
        codes[ends] = SPACE
        present = codes != 0
        kept = None if present.all() else np.flatnonzero(present)
        if kept is not None:
            codes = codes[kept]
        filled = codes != SPACE
        edges = np.flatnonzero(filled[1:] != filled[:-1]) + 1
        start, end = edges[::2].copy(), edges[1::2].copy()
        # A surface is all between two spaces, with the characters around and in the word that folding deletes.
        first, last = (edges[::2], edges[1::2]) if kept is None else (kept[start - 1] + 1, kept[end])
        document = np.searchsorted(ends, first, side="right") - 1
        number = np.flatnonzero(codes[start] >= DIGIT)
        if len(number):
            digits = np.cumsum(codes >= DIGIT, dtype=np.int32)
            number = number[digits[end[number] - 1] - digits[start[number]] == end[number] - start[number] - 1]
        codes &= np.uint32(DIGIT - 1)
        length = np.minimum(end[number] - start[number], len(_ZEROS))
        start, end = _stems(codes, start, end)
        start[number], end[number] = len(codes), len(codes) + length
        begin = ends[:-1][document]
        return _Words(np.concatenate([codes, _ZEROS]), start, end, document, first - begin - 1, last - begin - 1)

    def _numbers(self, codes: Codes, start: Positions, end: Positions) -> Numbers:
        words, letters, lanes = self._arrays.words, self._lanes, _lanes(codes)

        def same(asked: Positions, word: Positions) -> NDArray[np.bool_]:
            here, there = start.take(asked), word + 2
            length = end.take(asked) - here
            equal = length == words.take(word + 1)
            left = np.flatnonzero(equal)
            place = 0
            while len(left):
                # Three letters at a time; the last step ends with the word and may read some letters again.
                at = np.clip(length[left] - 3, 0, place)
                differs = lanes.take(here[left] + at) ^ letters.take(there[left] + at)
                differs &= _WITHIN.take(length[left] - at, mode="clip")
                equal[left[differs != 0]] = False
                place += 3
                left = left[length[left] > place]
            return np.asarray(equal)

        return _find(self._arrays.word_slots, of_words(codes, start, end), same)

    def _pair_rows(self, left: Numbers, right: Numbers) -> Numbers:
        pairs = left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)

        def same(asked: Positions, row: Positions) -> NDArray[np.bool_]:
            return np.asarray(self._pairs.take(row) == pairs.take(asked))

        return _find(self._arrays.pair_slots, mix(pairs), same)

    def _marks(self, marks: Sequence[str]) -> tuple[Positions, Numbers]:
        """The document and the row of each known mark."""
        codes = _codes("".join(marks))
        end = np.flatnonzero(codes == ord("\n"))
        if not len(end):
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64)
        number = self._numbers(codes, np.concatenate([[0], end[:-1] + 1]), end)
        document = np.searchsorted(np.cumsum([len(mark) for mark in marks]), end, side="right")
        row = self._arrays.words[number].astype(np.int64)
        known = (number >= 0) & (row != NONE)
        return document[known], row[known]


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _direction(weight: NDArray[np.float32], decision: Floats) -> NDArray[np.float32]:
    """Towards the best class, away from the second; ties go to the first of two."""
    if weight.shape[1] == 1:
        return weight[:, 0]
    best, second = np.argsort(-decision, kind="stable")[:2]
    return np.asarray(weight[:, best] - weight[:, second])


def _stems(codes: Codes, start: Positions, end: Positions) -> tuple[Positions, Positions]:
    """`models.text.stem` of words that are no numbers: the part of each that is its stem."""
    first = codes[start]
    arabic = np.flatnonzero((first >= 0x620) & (first <= 0x6FF))
    if len(arabic):
        kinds = np.append(_KIND.take(codes, mode="clip"), np.zeros(2, dtype=np.uint16))
        begin, stop = start[arabic], end[arabic]
        three = kinds.take(begin) << 8 | kinds.take(begin + 1) << 4 | kinds.take(begin + 2)
        begin = begin + _PREFIX_SIZE.take(three * np.int64(7) + np.minimum(stop - begin, 6))
        two = kinds.take(stop - 1) | kinds.take(stop - 2) << 4
        for suffix in _SUFFIXES:
            ending = two == _kinds_of(suffix) if len(suffix) == 2 else two & 15 == _kinds_of(suffix)
            drop = np.flatnonzero(ending)
            drop = drop[stop[drop] - begin[drop] >= len(suffix) + 3]
            stop[drop] -= len(suffix)
            two[drop] = kinds[stop[drop] - 1] | kinds[stop[drop] - 2] << 4
        start[arabic], end[arabic] = begin, stop
    plural = np.flatnonzero((codes[end - 1] == ord("s")) & (end - start > 3) & ((first < 0x620) | (first > 0x6FF)))
    end[plural] -= ~np.isin(codes[end[plural] - 2], _NO_PLURAL)
    return start, np.minimum(end, start + _WORD_CHARS)


def _fold(arrays: Arrays, codes: Codes) -> Codes:
    folded = arrays.pages[(arrays.page_index[codes >> 8].astype(np.uint32) << 8) | (codes & 255)]
    return np.where(folded == SAME, codes, folded)


def _lanes(codes: Codes) -> NDArray[np.uint64]:
    """At each place its code point and the two after it, 21 bits each: three letters compare at once."""
    padded = np.append(codes, np.zeros(2, dtype=np.uint32)).astype(np.uint64)
    return np.asarray(padded[:-2] | padded[1:-1] << np.uint64(21) | padded[2:] << np.uint64(42))


_WITHIN = np.array([0, (1 << 21) - 1, (1 << 42) - 1, (1 << 63) - 1], dtype=np.uint64)
"""The part of a lane that belongs to a word of which so many letters are left."""


def _find(
    slots: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    same: Callable[[Positions, Positions], NDArray[np.bool_]],
) -> Numbers:
    """The entry of each hash in a table, -1 for none; `same` compares what was asked with entries of an equal tag."""
    found = np.full(len(hashes), -1, dtype=np.int64)
    mask = len(slots) - 1
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    asked = np.arange(len(hashes))
    slot, tag = hashes.view(np.int64) & mask, hashes >> half
    while len(asked):
        entry = slots.take(slot)
        goes_on = entry != 0
        hit = np.flatnonzero((entry >> half == tag) & goes_on)
        entries = (entry.take(hit) & low).view(np.int64) - 1
        right = same(asked.take(hit), entries)
        found[asked[hit[right]]] = entries[right]
        goes_on[hit[right]] = False
        asked, tag = asked[goes_on], tag[goes_on]
        slot = (slot[goes_on] + 1) & mask
    return found
