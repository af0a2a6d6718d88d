"""A fitted scikit-learn pipeline -> the flat arrays it is served from, and back.

Scores are computed in double precision from the very idf and weights of the pipeline, whatever precision the pipeline
itself computes in: they are those of the pipeline in double precision (`reference`) to a few units in the last place.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from models.arrays import DIGIT, NONE, SAME, SPACE, Arrays, row_dtype
from models.hashing import insert, of_pairs, of_words
from models.text import _fold_character

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.feature_extraction.text import TfidfVectorizer

__all__ = ["folding", "from_pipeline", "terms_of"]


def from_pipeline(tfidf: TfidfVectorizer, linear: Any) -> Arrays:
    """The arrays of a fitted vectorizer and a fitted linear model (`coef_`, `intercept_`).

    The terms are those of `models.text.terms`, and marks, which begin with `<`. Raises ValueError for what cannot be
    served exactly: other settings of the vectorizer, weights that are not whole in single precision.
    """
    settings = {"sublinear_tf": True, "norm": "l2", "use_idf": True, "binary": False}
    for name, value in settings.items():
        if getattr(tfidf, name) != value:
            raise ValueError(f"the scorer serves {name}={value!r}, the vectorizer has {getattr(tfidf, name)!r}")
    terms: list[str] = [""] * len(tfidf.vocabulary_)
    for term, column in tfidf.vocabulary_.items():
        terms[column] = str(term)
    weight = np.asarray(linear.coef_).T
    rows = np.zeros(len(terms), dtype=row_dtype(weight.shape[1]))
    rows["idf"] = tfidf.idf_
    rows["weight"][:, : weight.shape[1]] = weight
    if not np.array_equal(rows["weight"][:, : weight.shape[1]], weight):
        raise ValueError("the scorer serves weights in single precision, and these would be rounded; round them first")
    parts = [[term] if term.startswith("<") else term.split(" ") for term in terms]
    words = sorted({word for part in parts for word in part})
    number = dict(zip(words, accumulate((len(word) + 2 for word in words), initial=0), strict=False))
    rows["left"] = [number[part[0]] for part in parts]
    rows["right"] = [number[part[1]] if len(part) > 1 else NONE for part in parts]
    row = {part[0]: index for index, part in enumerate(parts) if len(part) == 1}
    letters = [_codes(word) for word in words]
    hashes = np.concatenate([of_words(each, *_whole(len(each))) for each in letters])
    pairs = np.flatnonzero(rows["right"] != NONE).astype(np.uint32)
    page_index, pages = folding()
    heads = [np.array([row.get(word, NONE), len(word)], dtype=np.uint32) for word in words]
    return Arrays(
        page_index=page_index,
        pages=pages,
        words=np.concatenate([part for both in zip(heads, letters, strict=True) for part in both]),
        word_slots=insert(hashes, np.array([number[word] for word in words], dtype=np.uint32)),
        pair_slots=insert(of_pairs(rows["left"][pairs], rows["right"][pairs]), pairs),
        rows=rows,
        intercept=np.asarray(linear.intercept_, dtype=np.float64),
        unicode=unicodedata.unidata_version,
    )


def terms_of(arrays: Arrays) -> list[str]:
    """The term of each row, in order: a vectorizer's vocabulary."""

    def word(number: int) -> str:
        end = number + 2 + int(arrays.words[number + 1])
        return arrays.words[number + 2 : end].tobytes().decode("utf-32-le", "surrogatepass")

    left, right = arrays.rows["left"].tolist(), arrays.rows["right"].tolist()
    words = {number: word(number) for number in {*left, *right} - {NONE}}
    return [words[a] if b == NONE else f"{words[a]} {words[b]}" for a, b in zip(left, right, strict=True)]


@lru_cache(maxsize=1)
def folding() -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """What `models.text.fold` makes of every code point: `page_index` and `pages` of `models.arrays`."""
    codes = np.array([_folded(code) for code in range(0x110000)], dtype=np.uint32).reshape(-1, 256)
    pages, index = np.unique(codes, axis=0, return_inverse=True)
    return index.reshape(-1).astype(np.uint16), pages.reshape(-1)


def _folded(code: int) -> int:
    character = _fold_character(chr(code))
    if character in {"", " "}:
        return SPACE if character else 0
    if character.isdigit():
        return ord(character) | DIGIT
    return SAME if ord(character) == code else ord(character)


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _whole(length: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.zeros(1, dtype=np.intp), np.full(1, length, dtype=np.intp)
