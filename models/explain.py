"""The terms that decided, as the article writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.text import surfaces

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

__all__ = ["MOST", "Term", "explain"]

MOST = 5
_LEAST = 0.0001  # weights are given to four digits


class Term(NamedTuple):
    """A word or pair of words of the article, and how far it moved the decision."""

    term: str
    weight: float


def explain(text: str, x: csr_matrix, names: NDArray[Any], weight: NDArray[np.floating[Any]]) -> list[Term]:
    """The terms of `text` that moved the decision most towards the answer, at most five, strongest first.

    `x` is the text's one TF-IDF row, `names` and `weight` are the name and the weight of every column.
    Terms that are not words of the text (style, pairs torn by a line end) are left out.
    """
    moved = x.data * weight[x.indices]
    strongest = [i for i in np.argsort(-moved, kind="stable")[: 4 * MOST] if moved[i] >= _LEAST]
    wanted = {str(names[x.indices[i]]): float(moved[i]) for i in strongest}
    written: dict[str, str] = {}
    before = ("", "")
    for surface, stem in surfaces(text):
        for term, form in ((stem, surface), (f"{before[1]} {stem}", f"{before[0]} {surface}")):
            if term in wanted:
                written.setdefault(term, form)
        before = (surface, stem)
    found = [Term(written[term], round(value, 4)) for term, value in wanted.items() if term in written]
    return found[:MOST]
