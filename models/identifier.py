"""What a language is told by: the script of a text, and the probabilities of languages in Latin script.

There are two ways to the same answers: the compiled kernel (`models/native`), and this Python where it is absent. The
arrays were made of py3langid's model by `models.langid`; languages/LICENSE is that model's.
"""

from __future__ import annotations

from collections import Counter
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.arabic_script import LANGUAGES, LETTERS, language_of, letter_table, word_table
from models.bundle import BundleError, digest
from models.ngrams import UNIT, NGrams, unpack
from models.scorer import NATIVE
from models.sections import map_file

if NATIVE:
    from models.native import kernel

if TYPE_CHECKING:
    from typing import Protocol

    class Identifier(Protocol):
        """Reads only, so threads may share it."""

        def read(self, text: str, /) -> tuple[int, int, int]: ...
        def probabilities(self, text: bytes, /) -> list[float]: ...


__all__ = ["FILE", "SAMPLE", "SHA256", "Identifier", "Known", "Python", "in_kernel", "known"]

FILE = Path(__file__).parent / "languages" / "languages.ngrams"
SHA256 = "f38d9ed5ff1ad3c34ce23a0ecdcc3b452a6a0f0a3a8e859723bd96b48d5f750c"
"""What `FILE` must have; `python -m models.langid` prints it."""

SAMPLE = 600
"""Letters looked at; more changed no decision on the corpora."""
_CHARS = 20 * SAMPLE  # looked at for those letters, and for the words of a text in Arabic script


class Known(NamedTuple):
    """An identifier, and the names of what it numbers."""

    identifier: Identifier
    scripts: list[str]
    languages: list[str]


@cache
def known(*, native: bool = NATIVE) -> Known:
    """What comes with Ajil, loaded once; raises models.bundle.BundleError for a changed file."""
    try:
        data = map_file(FILE)
    except (OSError, ValueError) as error:
        raise BundleError(f"{FILE}: {error}; install Ajil again") from error
    if digest(data) != SHA256:
        raise BundleError(f"{FILE} is not the file that Ajil came with; install Ajil again")
    arrays = unpack(data)
    identifier = in_kernel(arrays) if native else Python(arrays)
    return Known(identifier, arrays.script_names(), arrays.languages())


class Python:
    """The identifier in Python."""

    def __init__(self, arrays: NGrams) -> None:
        self._arrays = arrays
        self._arabic = _arabic(arrays)
        self._scripts = cache(self._script)

    def read(self, text: str) -> tuple[int, int, int]:
        """-> letters counted, number of the most frequent script, place in `models.arabic_script.LANGUAGES`.

        At most `SAMPLE` letters are counted; of two scripts as frequent it is the one that comes first. The place is
        -1 for Arabic and for any other script. Without letters all are 0, 0, -1.
        """
        sample = text[:_CHARS]
        counts = Counter(islice(filter(self._scripts, sample), SAMPLE))
        scripts: Counter[int] = Counter()
        for letter, count in counts.items():
            scripts[self._scripts(letter)] += count
        if not scripts:
            return 0, 0, -1
        script, _ = scripts.most_common(1)[0]
        total = counts.total()
        return total, script, language_of(sample, counts, total) if script == self._arabic else -1

    def probabilities(self, text: bytes) -> list[float]:
        """Of each language, for a text in Latin script in UTF-8; all the same where no n-gram is known."""
        counts = Counter(self._ngrams(text))
        scores = np.zeros(len(self._arrays.prior))
        if counts:
            weights = self._arrays.weights
            rows = np.minimum(np.fromiter(counts.keys(), dtype=np.intp), len(weights) - 1)
            often = np.fromiter(counts.values(), dtype=np.float64)
            scores = np.log1p(often) @ weights[rows, : len(scores)].astype(np.float64) / UNIT + self._arrays.prior
        # py3langid's temperature: without it a long text would always be sure.
        scores /= np.sqrt(len(text) or 1)
        likely = np.exp(scores - scores.max())
        return list((likely / likely.sum()).tolist())

    def _script(self, character: str) -> int:
        code = ord(character)
        return int(self._arrays.pages[int(self._arrays.page_index[code >> 8]) << 8 | (code & 255)])

    def _ngrams(self, text: bytes) -> list[int]:
        edges, fails = self._edges
        found = []
        row = 0
        for byte in text:
            while (edge := edges.get(row << 8 | byte)) is None and row:
                row = fails[row]
            row = 0
            if edge is not None:
                row, ngram = edge >> 24, edge & 0xFFFFFF
                if ngram:
                    found.append(ngram - 1)
        return found

    @cached_property
    def _edges(self) -> tuple[dict[int, int], list[int]]:
        """Label -> next row and n-gram, made for the first text in Latin script; the kernel reads the arrays."""
        edges = self._arrays.edges[self._arrays.edges != 0]
        labels, targets = edges >> np.uint64(40), edges & np.uint64(0xFFFFFFFFFF)
        return dict(zip(labels.tolist(), targets.tolist(), strict=True)), self._arrays.fails.tolist()


def in_kernel(arrays: NGrams) -> Identifier:
    """The identifier in the kernel; raises ValueError where that is absent, or the arrays do not fit it."""
    if not NATIVE:
        raise ValueError("the compiled kernel is not installed; build Ajil with a C compiler, or use native=False")
    return kernel.Identifier(
        SAMPLE,
        _CHARS,
        _arabic(arrays),
        len(LETTERS),
        len(LANGUAGES),
        letter_table(),
        *word_table(),
        arrays.page_index,
        arrays.pages,
        arrays.edges,
        arrays.fails,
        arrays.prior,
        arrays.weights,
    )


def _arabic(arrays: NGrams) -> int:
    return arrays.script_names().index("ARABIC")
