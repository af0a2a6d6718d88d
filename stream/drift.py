"""What a worker tells of drift: how far its articles of the last day are from what is usual for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.drift import Seen, Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from models.usual import Usual
    from stream.catalogue import Catalogue, Values

__all__ = ["DriftWatch", "Seen", "windows"]


def windows(usual: Mapping[str, Usual]) -> dict[str, Window]:
    """A window for each language whose model knows what is usual."""
    return {
        lang: Window(known.full, known.short)
        for lang, known in usual.items()
        if known.full is not None and known.short is not None
    }


class DriftWatch:
    """Language -> window; keeps nothing else."""

    def __init__(self, windows: Mapping[str, Window]) -> None:
        self._windows = windows

    def register(self, catalogue: Catalogue) -> None:
        """Enter the gauges; each is absent where its window has too few articles."""
        lang = "a language of the bundle"
        catalogue.measured(
            "drift_psi",
            "Population stability index of the articles of the last day against what is usual for the model: under 0.1 "
            "nothing has moved, over 0.25 much has. Absent while the window has fewer than 300 articles.",
            self._psi,
            lang=lang,
            feature="`topic` (the best label), `confidence` (its probability), `vocabulary` (the share of an article's "
            "words that the model does not know)",
        )
        catalogue.measured(
            "drift_window_articles", "Articles of the last day that drift is measured on.", self._articles, lang=lang
        )
        catalogue.measured(
            "drift_topic_ratio",
            "Share of the articles that a topic is the best label of. Absent while the window has fewer than 300.",
            self._topics,
            lang=lang,
            topic="a label of the bundle",
            of="`window` (the last day), `reference` (what is usual for texts of these lengths)",
        )

    def add(self, lang: str, seen: Sequence[Seen]) -> None:
        """Count articles that were read just now."""
        if lang in self._windows:
            self._windows[lang].add(seen)

    def _psi(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for lang, window in self._windows.items():
            for feature, value in window.measure().psi.items():
                yield (lang, feature), value

    def _articles(self) -> Values:
        return [((lang,), window.measure().articles) for lang, window in self._windows.items()]

    def _topics(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for lang, window in self._windows.items():
            for label, (share, usual) in window.measure().topics.items():
                yield (lang, label, "window"), share
                yield (lang, label, "reference"), usual
