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
    def key_terms(self, title: str, body: str, most: int, known: bool, /) -> list[tuple[str, str, float, float]]: ...
