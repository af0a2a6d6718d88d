from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.explain import Term

class Model:
    def __new__(
        cls,
        longest: int,
        page_index: NDArray[np.uint16],
        pages: NDArray[np.uint32],
        words: NDArray[np.uint32],
        word_slots: NDArray[np.uint64],
        pair_slots: NDArray[np.uint64],
        rows: NDArray[Any],
        intercept: NDArray[np.float64],
        /,
    ) -> Model: ...
    def score(
        self,
        texts: tuple[str, ...],
        marks: tuple[str, ...],
        decision: NDArray[np.float64],
        counts: NDArray[np.int64],
        most: int,
        term: type[Term],
        /,
    ) -> list[list[Term]]: ...
    def key_terms(self, title: str, body: str, most: int, known: bool, /) -> bytes: ...

class Identifier:
    def __new__(
        cls,
        most_letters: int,
        most_codes: int,
        arabic: int,
        with_letters: int,
        with_words: int,
        letters: bytes,
        words: NDArray[np.uint64],
        known: bytes,
        page_index: NDArray[np.uint16],
        pages: NDArray[np.uint8],
        edges: NDArray[np.uint64],
        fails: NDArray[np.uint16],
        prior: NDArray[np.float64],
        weights: NDArray[np.int16],
        /,
    ) -> Identifier: ...
    def read(self, text: str, /) -> tuple[int, int, int]: ...
    def probabilities(self, text: bytes, /) -> list[float]: ...
