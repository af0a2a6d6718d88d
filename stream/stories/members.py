"""The articles that live stories are compared by: a table of terms and weights, one row a member."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.keyterms import MOST_TERMS
from stream.stories.weights import SLOTS, Vector, slots_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Members", "unpack"]

_GROWTH = 1_024  # rows
_SOURCE = 4  # bytes
_PACKED = np.dtype([("hash", "<u4"), ("weight", "<f2")])


class Members:
    """Rows of at most 60 terms, heaviest first, and a source: 364 bytes each. Rows are reused."""

    def __init__(self) -> None:
        self._hashes = np.zeros((0, MOST_TERMS), dtype=np.uint32)
        # Half precision: a weight is right to one in two thousand, and a row takes 120 bytes less.
        self._weights = np.zeros((0, MOST_TERMS), dtype=np.float16)
        self.sources = np.zeros(0, dtype=np.uint32)
        self._free: list[int] = []
        self._place = np.zeros(SLOTS, dtype=np.uint8)  # a query's terms, while it is compared

    def add(self, hashes: NDArray[np.uint32], weights: NDArray[np.floating], source: int) -> int:
        """The number of the new row."""
        if not self._free:
            old = len(self._hashes)
            # In place, as a second copy of everything would be the peak of the worker's memory.
            self._hashes.resize((old + _GROWTH, MOST_TERMS), refcheck=False)
            self._weights.resize((old + _GROWTH, MOST_TERMS), refcheck=False)
            self.sources.resize(old + _GROWTH, refcheck=False)
            self._free = list(range(old + _GROWTH - 1, old - 1, -1))
        row = self._free.pop()
        self._hashes[row] = 0
        self._weights[row] = 0
        self._hashes[row, : len(hashes)] = hashes
        self._weights[row, : len(hashes)] = weights
        self.sources[row] = source
        return row

    def remove(self, row: int) -> None:
        self._free.append(row)

    def pack(self, row: int) -> bytes:
        """A row as bytes, at most 364; `unpack` reads them."""
        used = self._weights[row] > 0
        packed = np.empty(np.count_nonzero(used), dtype=_PACKED)
        packed["hash"], packed["weight"] = self._hashes[row][used], self._weights[row][used]
        return int(self.sources[row]).to_bytes(_SOURCE, "little") + packed.tobytes()

    def heaviest(self, rows: list[int], most: int) -> set[int]:
        """The first `most` terms of each row."""
        return set(self._hashes[rows, :most][self._weights[rows, :most] > 0].tolist())

    def norm(self, rows: NDArray[np.int32]) -> float:
        """The Euclidean norm of the rows' sum."""
        _, term = np.unique(self._hashes[rows], return_inverse=True)
        total = np.bincount(term.ravel(), self._weights[rows].ravel().astype(np.float64))
        return float(np.sqrt(total @ total))

    def products(self, query: Vector, rows: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """For each term of each row, both (rows, 60): which of the query's it is, from 1 (0: none), and the product
        of the two weights."""
        hashes = self._hashes[rows]
        asked = slots_of(query.hashes)
        self._place[asked] = np.arange(1, len(asked) + 1)
        place = self._place[slots_of(hashes)]
        self._place[asked] = 0
        # Of two terms in one slot the table knows one.
        place[np.concatenate(([np.uint32(0)], query.hashes))[place] != hashes] = 0
        weights = np.concatenate(([np.float32(0)], query.weights))
        return place, weights[place] * self._weights[rows]


def unpack(member: bytes) -> tuple[NDArray[np.uint32], NDArray[np.float16], int]:
    """What `Members.add` takes, of what `Members.pack` packed; what is no whole term is passed over."""
    source, terms = member[:_SOURCE], member[_SOURCE:]
    whole = min(len(terms) // _PACKED.itemsize, MOST_TERMS)
    packed = np.ndarray(whole, dtype=_PACKED, buffer=terms)
    return packed["hash"], packed["weight"], int.from_bytes(source, "little")
