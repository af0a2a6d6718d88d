"""Rows as the model reads them, and their term counts, made once for every model of a training."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from models.furniture import clean
from models.language import UNKNOWN, language
from models.text import terms, words_and_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from models.corpus import Row

__all__ = ["Example", "Examples", "Features", "by_language", "capped"]

_SHORT_TITLE = 3  # words; a shorter title says nothing alone
_LEAD = 12  # words that stand in for a title that is missing
_VOCABULARY = 200_000  # terms; 400,000 gained nothing


class Example(NamedTuple):
    """One row, whole and as a title alone; `hints` are the labels that its desk may mean."""

    full: str
    short: str
    label: str | None
    source: str
    hints: tuple[str, ...] = ()


class Features(NamedTuple):
    """The columns a model looks at and their weights."""

    columns: NDArray[np.intp]
    tfidf: TfidfTransformer


def by_language(rows: Iterable[Row], split: str = "train") -> dict[str, list[Example]]:
    """The rows of `split` as examples, by language; a row that names no language is looked at."""
    found: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        if row.split != split or row.alerts:
            continue
        page = clean(row.title, row.body)
        title = page.title if page.title and len(page.title.split()) >= _SHORT_TITLE else None
        short = title or " ".join(page.body.split()[:_LEAD])
        hints = tuple(hint.strip() for hint in (row.hint or "").partition("(")[0].split("|") if hint.strip())
        lang = row.lang or language(page.text)
        if lang == UNKNOWN:
            continue
        found[lang].append(Example(page.text, short, row.label, row.source, hints))
    return dict(sorted(found.items()))


def capped(examples: Sequence[Example], cap: int) -> list[Example]:
    """At most `cap` examples of each outlet and label, drawn with a fixed seed, in their order.

    Of the rows without a label twice as many: not every one will be used.
    """
    groups = defaultdict(list)
    for index, example in enumerate(examples):
        groups[example.source, example.label or "", "|".join(example.hints)].append(index)
    kept: list[int] = []
    for (_, label, _), group in sorted(groups.items()):
        kept += draw(np.array(group), cap if label else 2 * cap).tolist()
    return [examples[index] for index in sorted(kept)]


def draw(group: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of `group`, always the same ones."""
    if len(group) <= most:
        return group
    return np.sort(np.random.default_rng(len(group)).choice(group, most, replace=False))


class Examples:
    """Examples with their term counts: `full` and `short` are (n examples, n terms), of every term seen twice.

    `full_words` and `short_words` count the words of each, whether seen twice or not.
    """

    def __init__(self, examples: Sequence[Example], *, stemming: bool = True) -> None:
        words: list[int] = []

        def read(text: str) -> list[str]:
            found = terms(text) if stemming else words_and_pairs(text)
            words.append((len(found) + 1) // 2)  # n words have n - 1 pairs
            return found

        counter = CountVectorizer(analyzer=read, min_df=2, dtype=np.float32)
        self.full: csr_matrix = counter.fit_transform([example.full for example in examples])
        self.short: csr_matrix = counter.transform([example.short for example in examples])
        self.full_words, self.short_words = np.array(words).reshape(2, -1)
        self.terms = counter.get_feature_names_out()
        self.labels = np.array([example.label or "" for example in examples], dtype=object)
        self.sources = np.array([example.source for example in examples], dtype=object)
        self.hints = [example.hints for example in examples]

    @property
    def outlets(self) -> list[str]:
        """The outlets that have labelled rows."""
        return sorted(set(self.sources[self.labels != ""]))

    def features(self, rows: NDArray[np.intp]) -> Features:
        """The 200,000 most frequent terms of `rows`, of those in two or more of them."""
        counts = self.full[rows]
        documents = np.bincount(counts.indices, minlength=counts.shape[1])
        total = np.where(documents >= 2, np.asarray(counts.sum(axis=0)).ravel(), 0)
        columns = np.argsort(-total, kind="stable")[:_VOCABULARY]
        columns = np.sort(columns[total[columns] > 0])
        return Features(columns, TfidfTransformer(sublinear_tf=True).fit(counts[:, columns]))

    def matrix(self, rows: NDArray[np.intp], features: Features, *, short: bool = False) -> Any:
        """TF-IDF rows, (n rows, n columns)."""
        return features.tfidf.transform((self.short if short else self.full)[rows][:, features.columns])
