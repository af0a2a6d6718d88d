"""The hashes of `models.arrays`: 64 bits of a word, 64 bits of a pair; the kernel computes the same.

A word of code points c[0..n) hashes to mix(sum of (c[i] + 1) * BASE**i), modulo 2**64: a sum over positions, which
cumulative sums give for all words of a text at once. Equal hashes are compared, so what is found is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    Positions = NDArray[np.intp]

__all__ = ["LONGEST", "insert", "mix", "of_pairs", "of_words"]

LONGEST = 1 << 18
"""Code points that `of_words` takes at once."""

BASE = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, odd: it has an inverse

_THIRTY, _TWENTY_SEVEN, _THIRTY_ONE, _THIRTY_TWO = (np.uint64(n) for n in (30, 27, 31, 32))
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _powers(base: int) -> Hashes:
    powers = np.full(LONGEST + 1, base, dtype=np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


_UP = _powers(BASE)
_DOWN = _powers(pow(BASE, -1, 1 << 64))


def mix(value: Hashes) -> Hashes:
    """Spread 64 bits over 64 bits, one to one; Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators" (2014), the finaliser of SplitMix64."""
    value = (value ^ (value >> _THIRTY)) * _FIRST
    value = (value ^ (value >> _TWENTY_SEVEN)) * _SECOND
    return value ^ (value >> _THIRTY_ONE)


def of_words(codes: NDArray[np.uint32], start: Positions, end: Positions) -> Hashes:
    """The hashes of the words codes[start[i]:end[i]]; `codes` are at most `LONGEST`."""
    total = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes + np.uint64(1)) * _UP[: len(codes)], out=total[1:])
    return mix((total.take(end) - total.take(start)) * _DOWN.take(start))


def of_pairs(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> Hashes:
    """The hashes of pairs of words."""
    return mix((left.astype(np.uint64) << _THIRTY_TWO) | right)


def insert(hashes: Hashes, entries: NDArray[np.uint32]) -> Hashes:
    """A table that is at most half full: the first free slot from the low bits of each hash on holds
    tag << 32 | entry + 1."""
    slots = np.zeros(max(4, 1 << (2 * len(hashes) - 1).bit_length()), dtype=np.uint64)
    mask = len(slots) - 1
    table = [0] * len(slots)
    for found, entry in zip(hashes.tolist(), entries.tolist(), strict=True):
        slot = found & mask
        while table[slot]:
            slot = (slot + 1) & mask
        table[slot] = found >> 32 << 32 | entry + 1
    slots[:] = table
    return slots
