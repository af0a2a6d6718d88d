"""A served linear model: texts in, decision values and the terms behind them out; and an article's key terms.

There are two ways to the same numbers: the compiled kernel (`models/native`), and numpy (`models/vectorised`) where it
is absent. Both give the decision of the scikit-learn pipeline in double precision to a few units in the last place.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
import numpy as np

from models.arrays import Arrays, ArraysError, unpack
from models.explain import MOST, Term
from models.keyterms import MOST_TERMS, key_terms, share_terms
from models.sections import map_file
from models.text import MAX_CHARS
from models.vocabulary import word_shares

try:
    from models.native import kernel
except ImportError:  # it was not built: no compiler, or another version of Python
    kernel = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["NATIVE", "Scorer", "Scores"]

NATIVE = kernel is not None
"""Whether the compiled kernel is there."""


class Scores(NamedTuple):
    """Of n texts: `decision` (n, classes), `words` (n), `terms`, the distinct known ones (n), and `unknown`, the words
    that are no term by themselves (n).

    `explanation` has for each text the terms that moved the decision towards the best class (away from the second),
    at most five, strongest first, as the text writes them; it is empty when none was asked for.
    """

    decision: NDArray[np.float64]
    words: NDArray[np.int64]
    terms: NDArray[np.int64]
    unknown: NDArray[np.int64]
    explanation: list[list[Term]]


class Scorer:
    """One linear model. It only reads, and keeps nothing between calls: threads may share it."""

    def __init__(self, arrays: Arrays, *, native: bool = NATIVE) -> None:
        """Raises ValueError when the kernel is wanted and absent."""
        if native and not NATIVE:
            raise ValueError("the compiled kernel is not installed; build Ajil with a C compiler, or use native=False")
        self.arrays = arrays
        self.native = native
        self._model = kernel.Model(MAX_CHARS, *arrays[:-1]) if native else _vectorised(arrays)

    @classmethod
    def open(cls, source: Path | bytes | memoryview, *, native: bool = NATIVE) -> Self:
        """Serve a packed model from memory, or map its file; raises models.arrays.ArraysError or OSError."""
        if isinstance(source, (bytes, memoryview)):
            return cls(unpack(source), native=native)
        if not source.stat().st_size:
            raise ArraysError(f"{source} is empty; copy it again")
        return cls(unpack(map_file(source)), native=native)

    def decision(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Decision values, (n texts, n classes)."""
        return self.score(texts, explain=False).decision

    def score(
        self, texts: Sequence[str], *, marks: Sequence[Sequence[str]] | None = None, explain: bool = True
    ) -> Scores:
        """The scores of each text, in order; no text's scores depend on another's.

        `marks` are further terms of each text beside its words and pairs (`models.alert`). Raises ValueError for a mark
        with a line end, TypeError for what is no text.
        """
        n = len(texts)
        decision = np.empty((n, self.arrays.classes))
        counts = np.empty((n, 3), dtype=np.int64)
        explanation = self._model.score(tuple(texts), _joined(marks, n), decision, counts, MOST if explain else 0, Term)
        return Scores(decision, counts[:, 0], counts[:, 1], counts[:, 2], explanation)

    def key_terms(self, title: str | None, body: str, *, known: bool = True) -> bytes:
        """The terms of an article that say most, as `models.keyterms` defines them: JSON, an array for each.

        Without `known`, as for an article in another language, every share is 0.0.
        """
        if self.native:
            return self._model.key_terms(title or "", body, MOST_TERMS, known)
        return msgspec.json.encode(key_terms(title, body, self._shares if known else {}))

    @cached_property
    def _shares(self) -> dict[str, float]:
        """Made for the first article: the kernel reads the shares from the arrays."""
        return share_terms(word_shares(self.arrays))


def _vectorised(arrays: Arrays) -> Any:
    from models.vectorised import Model  # its tables are for those who need them

    return Model(MAX_CHARS, arrays)


def _joined(marks: Sequence[Sequence[str]] | None, n: int) -> tuple[str, ...]:
    """Each text's marks, a line each."""
    if marks is None:
        return ("",) * n
    joined = tuple("\n".join([*each, ""]) for each in marks)
    if sum(lines.count("\n") for lines in joined) != sum(map(len, marks)):
        raise ValueError("a mark has no line end")
    return joined
