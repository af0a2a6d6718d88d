"""py3langid's model -> the arrays that Ajil recognises languages with: python -m models.langid.

py3langid (a development dependency) is what they are held to. The arrays are of the languages in Latin script that news
is written in: over all of its languages a headline of five words is anything. Nothing else is left out, so that the
n-grams of any text are found, and a language is as probable as py3langid has it among these.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier, visit_counts
from py3langid.modelio import load_model

from models.bundle import digest
from models.identifier import FILE
from models.ngrams import LANGUAGES, UNIT, NGrams, pack, slot_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["Reference", "export"]

_LATIN = "en fr es de tr pt it nl sv no da fi pl cs sk sl hr ro hu lt lv et sq az id ms vi tl sw ha so"


class Reference:
    """py3langid itself, restricted to the languages of `_LATIN`."""

    def __init__(self) -> None:
        weight, prior, known, moves, rows, outputs = load_model(MODEL_DIR / MODEL_FILE)
        columns = [index for index, code in enumerate(known) if code in _LATIN.split()]
        self.languages = [known[index] for index in columns]
        self._weight, self._prior = weight[:, columns], prior[columns]
        self._walk = moves, [row << 8 for row in rows], outputs
        self._library = LanguageIdentifier(
            self._weight, self._prior, self.languages, moves, outputs, norm_probs=True, tk_row=rows
        )

    def library(self, text: str) -> list[float]:
        """The library's own probabilities of `languages`, in single precision."""
        likely = dict(self._library.rank(text))
        return [likely[code] for code in self.languages]

    def exact(self, text: bytes) -> list[float]:
        """The same by the library's n-grams and weights in double precision, for a text as it encodes it."""
        counts = visit_counts(*self._walk, text)
        scores = np.zeros(len(self.languages))
        if counts:
            often = np.log1p(np.array(list(counts.values()), dtype=np.float64))
            scores = often @ self._weight[list(counts)].astype(np.float64) + self._prior.astype(np.float64)
        scores /= np.sqrt(len(text) or 1)
        likely = np.exp(scores - scores.max())
        return list((likely / likely.sum()).tolist())


class Automaton(NamedTuple):
    """`move` (states, 256): the next state for each byte. `ngram` (states): what entering a state completes, or -1."""

    move: Ints
    ngram: Ints


class Trie(NamedTuple):
    """How an automaton's states are first reached: their order, and the parent and the byte of each."""

    order: list[int]
    parent: Ints
    byte: Ints


def export() -> NGrams:
    """The arrays; raises ValueError where the library's model is not what they can hold."""
    weight, prior, known, moves, rows, outputs = load_model(MODEL_DIR / MODEL_FILE)
    columns = [index for index, code in enumerate(known) if code in _LATIN.split()]
    automaton = Automaton(np.array(moves, dtype=np.int64).reshape(-1, 256)[np.array(rows)], np.array(outputs))
    weights, number = _weights(weight[:, columns])
    edges, fails = _edges(automaton, number)
    scripts, page_index, pages = _letters()
    return NGrams(
        scripts=_ascii(scripts),
        page_index=page_index,
        pages=pages,
        codes=_ascii([known[index] for index in columns]),
        edges=edges,
        fails=fails,
        prior=prior[columns].astype(np.float64),
        weights=weights,
        unicode=unicodedata.unidata_version,
    )


def _weights(weight: NDArray[np.float16]) -> tuple[NDArray[np.int16], Ints]:
    """Whole numbers of units; and the new number of each n-gram: those that no language was seen with come last."""
    units = weight.astype(np.float64) * UNIT
    if not np.array_equal(units, units.astype(np.int16)):
        raise ValueError(f"a weight is not a whole number of 1/{UNIT}: it would be rounded")
    unseen = (units == units.min(axis=0)).all(axis=1)
    number = np.empty(len(units), dtype=np.int64)
    number[np.argsort(unseen, kind="stable")] = np.arange(len(units))
    table = np.zeros((len(units) - int(unseen.sum()) + 1, LANGUAGES), dtype=np.int16)
    table[-1, : units.shape[1]] = units.min(axis=0)
    table[number[~unseen], : units.shape[1]] = units[~unseen]
    return table, number


def _edges(automaton: Automaton, number: Ints) -> tuple[NDArray[np.uint64], NDArray[np.uint16]]:
    """A row for each state that goes on; what goes on nowhere is left at once, to the row of a shorter suffix."""
    trie = _trie(automaton)
    fail = _fails(automaton, trie)
    goes_on = np.zeros(len(fail), dtype=bool)
    goes_on[trie.parent[trie.order[1:]]] = True
    row = np.zeros(len(fail), dtype=np.int64)
    row[[state for state in trie.order if goes_on[state]]] = np.arange(goes_on.sum())
    for state in trie.order:
        if not goes_on[state]:
            row[state] = row[fail[state]]
    fails = np.zeros(goes_on.sum(), dtype=np.uint16)
    fails[row[goes_on]] = row[fail[goes_on]]
    targets = np.array(trie.order[1:])
    labels = (row[trie.parent[targets]] << 8 | trie.byte[targets]).astype(np.uint64)
    ngrams = np.where(automaton.ngram >= 0, number[automaton.ngram] + 1, 0)[targets]
    entries = labels << np.uint64(40) | (row[targets] << 24 | ngrams).astype(np.uint64)
    return _table(labels, entries), fails


def _trie(automaton: Automaton) -> Trie:
    parent = np.full(len(automaton.move), -1)
    byte = np.zeros_like(parent)
    order, parent[0] = [0], 0
    for state in order:
        following = automaton.move[state]
        new = np.flatnonzero(parent[following] < 0)
        parent[following[new]], byte[following[new]] = state, new
        order += following[new].tolist()
    return Trie(order, parent, byte)


def _fails(automaton: Automaton, trie: Trie) -> Ints:
    """The state of the longest shorter suffix; raises ValueError where moves are not made of edges and these."""
    fail = np.zeros_like(trie.parent)
    for state in trie.order[1:]:
        parent = trie.parent[state]
        if parent:
            fail[state] = automaton.move[fail[parent], trie.byte[state]]
    for state in trie.order[1:]:
        moves = automaton.move[fail[state]].copy()
        own = automaton.move[state]
        edges = np.flatnonzero((trie.parent[own] == state) & (trie.byte[own] == np.arange(256)) & (own != 0))
        moves[edges] = own[edges]
        if not np.array_equal(moves, own):
            raise ValueError(f"state {state} moves as no automaton of suffixes does")
    return fail


def _table(labels: NDArray[np.uint64], entries: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Open addressing, at most half full."""
    slots = 1 << (2 * len(entries) - 1).bit_length()
    table = [0] * slots
    for slot, entry in zip(slot_of(labels, slots).tolist(), entries.tolist(), strict=True):
        while table[slot]:
            slot = (slot + 1) % slots
        table[slot] = entry
    return np.array(table, dtype=np.uint64)


def _letters() -> tuple[list[str], NDArray[np.uint16], NDArray[np.uint8]]:
    """The scripts, by the first word of a letter's name, and the number of each code point's."""
    names: dict[str, int] = {}
    codes = np.zeros(0x110000, dtype=np.uint8)
    for code in filter(lambda code: chr(code).isalpha(), range(0x110000)):
        codes[code] = names.setdefault(unicodedata.name(chr(code), "?").split()[0], len(names) + 1)
    pages, index = np.unique(codes.reshape(-1, 256), axis=0, return_inverse=True)
    return list(names), index.reshape(-1).astype(np.uint16), pages.reshape(-1)


def _ascii(names: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer(" ".join(names).encode("ascii"), dtype=np.uint8)


if __name__ == "__main__":
    data = pack(export())
    FILE.write_bytes(data)
    print(f"{FILE}: {len(data)} bytes, sha256 {digest(data)}")
