"""What a term weighs: (1 + ln frequency) * idf, where the idf follows the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np

from models.keyterms import MOST_TERMS, RAREST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.records import StoryTerm

__all__ = ["SLOTS", "RecentTerms", "Vector", "slots_of"]

SHRINK = 200.0
"""Articles that the background counts for. Flat from 100 to 400; with 1,000 flashes are joined that differ."""
RECENT = 2_000.0
"""Articles after which the counts are halved: about a day of a busy language."""
SLOTS = 1 << 18
"""Counters of recent terms; two terms share one rarely, and then only look a little more common."""


class Vector(NamedTuple):
    """An article's terms, heaviest first: crc32 of each, weight (Euclidean norm 1), and its spelling."""

    hashes: NDArray[np.uint32]
    weights: NDArray[np.float32]
    words: list[str]


def slots_of(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The place of each term in a table of `SLOTS`."""
    return hashes & np.uint32(SLOTS - 1)


class RecentTerms:
    """How many recent articles have each term; older ones count half, a quarter, and so on."""

    def __init__(self) -> None:
        self._articles = 0.0
        self._counts = np.zeros(SLOTS, dtype=np.float32)

    def weigh(self, terms: Sequence[StoryTerm]) -> Vector:
        """The vector of an article.

        A term's probability is that among recent articles, shrunk to the background's, and never below it: a common
        word says no more for having been left out of the last signals.
        """
        hashes = np.array([crc32(each.term.encode("utf-8", "surrogatepass")) for each in terms], dtype=np.uint32)
        frequency = np.array([each.frequency for each in terms], dtype=np.float32)
        background = np.array([each.background for each in terms], dtype=np.float32)
        background = np.clip(background, RAREST, 1.0)
        recent = (self._counts[slots_of(hashes)] + SHRINK * background) / (self._articles + SHRINK)
        idf = -np.log(np.clip(recent, background, 1.0))
        weights = (1 + np.log(np.maximum(frequency, 1.0))) * idf
        heaviest = np.argsort(-weights, kind="stable")[:MOST_TERMS]
        weights = weights[heaviest]
        norm = float(np.sqrt(weights @ weights)) or 1.0
        words = [terms[index].word for index in heaviest.tolist()]
        return Vector(hashes[heaviest], (weights / norm).astype(np.float32), words)

    def count(self, hashes: NDArray[np.uint32]) -> None:
        """Count one article."""
        self._counts[slots_of(hashes)] += 1
        self._articles += 1
        if self._articles >= RECENT:
            self._counts /= 2
            self._articles /= 2
