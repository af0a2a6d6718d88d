"""Both ways of the models against their references over whole corpora: python -m models.exact FILE_OR_FOLDER...

The scorer is held to scikit-learn, the identifier of languages to py3langid. Every article is read three times, as the
models read it: whole, its title alone, and its text as it is. Prints the largest differences of each language and way;
the exit status is 1 where a decision differs, or a probability by more than 1e-9 of itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.bundle import SHIPPED, Bundle
from models.calibration import softmax
from models.corpus import files, read
from models.explain import explain
from models.furniture import clean
from models.identifier import SAMPLE, known
from models.langid import Reference as Langid
from models.language import _of_latin_script, _utf8, language
from models.reference import Reference
from models.scorer import NATIVE, Scorer
from models.text import stem, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from models.arrays import Arrays
    from models.explain import Term
    from models.scorer import Scores

TOLERANCE = 1e-9


class Expected(NamedTuple):
    """What scikit-learn says of a batch."""

    decision: NDArray[np.float64]
    terms: NDArray[np.integer]
    unknown: list[int]
    explanation: dict[int, list[Term]]
    temperature: float


class Differences:
    """What is found of one language and way."""

    def __init__(self) -> None:
        self.texts = self.decided = self.counted = self.explained = 0
        self.largest = 0.0

    def add(self, found: Scores, expected: Expected, texts: Sequence[str]) -> None:
        """Count what differs in a batch."""
        self.texts += len(texts)
        self.decided += int((found.decision.argmax(axis=1) != expected.decision.argmax(axis=1)).sum())
        self.counted += int((found.terms != expected.terms).sum())
        self.counted += int((found.unknown != expected.unknown).sum())
        self.counted += sum(count != len(words(text)) for count, text in zip(found.words, texts, strict=True))
        p = softmax(expected.decision, expected.temperature)
        difference = np.abs(softmax(found.decision, expected.temperature) - p) / p
        self.largest = max(self.largest, float(difference.max()))
        for row, explanation in expected.explanation.items():
            self.explained += explanation != found.explanation[row]

    @property
    def are_none(self) -> bool:
        return not (self.decided or self.counted or self.explained) and self.largest <= TOLERANCE


def texts_by_language(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Language -> each different text, in order."""
    found: dict[str, dict[str, None]] = {}
    for path in files(paths):
        for row in read(path):
            page = clean(row.title, row.body)
            for text in (page.text, row.title or page.title or "", row.body):
                found.setdefault(language(page.text, row.lang), {})[text] = None
    return {lang: list(texts) for lang, texts in found.items()}


def expect(reference: Reference, texts: Sequence[str], temperature: float) -> Expected:
    """scikit-learn's answers; models.explain's for every 16th text."""
    X = reference.transform(texts)
    decision = X @ reference.weight + reference.intercept
    names = reference.tfidf.get_feature_names_out()
    explanation = {}
    for row in range(0, len(texts), 16):
        best, second = np.argsort(-decision[row], kind="stable")[:2]
        weight = reference.weight[:, best] - reference.weight[:, second]
        explanation[row] = explain(texts[row], X[[row]], names, weight)
    known = set(names)
    unknown = [sum(stem(word) not in known for word in words(text)) for text in texts]
    return Expected(decision, np.diff(X.indptr), unknown, explanation, temperature)


def compare(arrays: Arrays, texts: Sequence[str], temperature: float) -> dict[str, Differences]:
    """Way -> what differs."""
    reference = Reference.of(arrays)
    scorers = {"native" if native else "numpy": Scorer(arrays, native=native) for native in sorted({False, NATIVE})}
    found = {way: Differences() for way in scorers}
    for start in range(0, len(texts), 256):
        batch = texts[start : start + 256]
        expected = expect(reference, batch, temperature)
        for way, scorer in scorers.items():
            found[way].add(scorer.score(batch), expected, batch)
    return found


def identify(texts: Iterable[str]) -> dict[str, Differences]:
    """Way -> what differs in the languages of texts in Latin script."""
    langid = Langid()
    ways = {"native" if native else "python": known(native=native) for native in sorted({False, NATIVE})}
    found = {way: Differences() for way in ways}
    for sample in {text[:SAMPLE] for text in texts}:
        expected, library = np.array(langid.exact(_utf8(sample))), langid.library(sample)
        decisions = {_of_latin_script(langid.languages, each, "") for each in (expected.tolist(), library)}
        for way, (identifier, scripts, languages) in ways.items():
            if scripts[identifier.read(sample)[1]] != "LATIN":
                continue
            p = identifier.probabilities(_utf8(sample))
            differences = found[way]
            differences.texts += 1
            differences.decided += decisions != {_of_latin_script(languages, p, "")}
            differences.largest = max(differences.largest, float((np.abs(p - expected) / expected).max()))
    return found


def main(paths: list[Path]) -> int:
    """Returns the exit status."""
    bundle, status = Bundle.read(SHIPPED), 0
    corpora = texts_by_language(paths)
    for lang, model in bundle.manifest.languages.items():
        arrays = bundle.load(model.part)
        for way, found in compare(arrays, corpora.get(lang, [""]), model.full.temperature).items():
            status |= not found.are_none
            print(
                f"{lang} {way:6} {found.texts:7} texts: {found.decided} decisions differ, {found.counted} counts, "
                f"{found.explained} of {-(-found.texts // 16)} explanations; "
                f"probabilities by at most {found.largest:.1e} of themselves",
                flush=True,
            )
    for way, found in identify(text for texts in corpora.values() for text in texts).items():
        status |= not found.are_none
        print(
            f"language {way:6} {found.texts:7} texts in Latin script: {found.decided} decisions differ; "
            f"probabilities by at most {found.largest:.1e} of themselves",
            flush=True,
        )
    return status


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
