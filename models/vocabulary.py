"""How common the words of a language are, by the documents its model was trained on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import NONE

if TYPE_CHECKING:
    from models.arrays import Arrays

__all__ = ["word_shares"]


def word_shares(arrays: Arrays) -> dict[str, float]:
    """Each single word that the model counts, as `models.text.stem` leaves it, and the share of documents that have it.

    scikit-learn's smoothed idf is ln((1 + documents) / (1 + documents with the word)) + 1, so the share is read off it.
    """
    rows = np.flatnonzero(arrays.rows["right"] == NONE)
    starts = arrays.rows["left"][rows].tolist()
    idf = arrays.rows["idf"][rows].tolist()
    found = {}
    for start, value in zip(starts, idf, strict=True):
        letters = arrays.words[start + 2 : start + 2 + int(arrays.words[start + 1])]
        found[letters.tobytes().decode("utf-32-le", "surrogatepass")] = min(math.exp(1 - value), 1.0)
    return found
