"""How far what a model reads and says has moved from what is usual for it."""

from __future__ import annotations

import time
from collections import Counter, deque
from math import log
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from models.classifier import SHORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from models.usual import Shape

    Counts = Counter[tuple[str, str, object]]
    """Kind of text, feature, bin -> articles."""

__all__ = ["FEWEST", "Drift", "Seen", "Window", "psi"]

FEWEST = 300
"""Articles. Without any drift, PSI of ten bins is distributed as chi-square with nine degrees of freedom over the
number of articles: with so many, 999 windows of 1,000 stay under 0.1, where people begin to look."""

SLOT_SECONDS = 3600.0
SLOTS = 24
"""A day: the topics of the morning are not those of the night."""


def psi(observed: Mapping[object, float], expected: Mapping[object, float]) -> float:
    """The population stability index of counts against counts, bin by bin.

    Under 0.1 nothing has moved, over 0.25 much has (Siddiqi, "Credit risk scorecards", 2006; its distribution:
    Yurdakul, "Statistical properties of population stability index", 2018). Half an article is added to every bin, so
    that an empty one does not make it infinite.

    >>> round(psi({"sport": 50, "health": 50}, {"sport": 50, "health": 50}), 3)
    0.0
    >>> round(psi({"sport": 75, "health": 25}, {"sport": 50, "health": 50}), 3)
    0.269
    >>> round(psi({"sport": 100}, {"sport": 100, "health": 0}), 3)
    0.0
    """
    bins = set(observed) | set(expected)
    here = sum(observed.values()) + len(bins) / 2
    there = sum(expected.values()) + len(bins) / 2
    total = 0.0
    for each in sorted(bins, key=str):  # a sum of floats depends on its order
        a, b = (observed.get(each, 0) + 0.5) / here, (expected.get(each, 0) + 0.5) / there
        total += (a - b) * log(a / b)
    return total


Seen = tuple[str, float, int, int]
"""What is looked at of one article: its best label and that one's confidence (0 to 1), its words, and how many of
them the model does not know. A plain tuple, for there is one for each article."""


class Drift(NamedTuple):
    """`psi` has topic, confidence and vocabulary; `topics` the share of each label in the window, and what is usual for
    texts of these lengths. Both are empty while there are fewer than `FEWEST` articles."""

    articles: int
    psi: dict[str, float]
    topics: dict[str, tuple[float, float]]


class Window:
    """One language's articles of the last day, counted in slots of an hour: a few hundred numbers, however many come.

    Short texts are held against short ones and full against full ones: a day with more flashes is no drift.
    """

    def __init__(self, full: Shape, short: Shape, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds, and never goes back."""
        self._shapes = {"full": full, "short": short}
        self._clock = clock
        self._lock = Lock()
        self._slots: deque[tuple[int, Counts]] = deque()
        self._counts: Counts = Counter()
        """The sum of the slots."""

    def add(self, articles: Iterable[Seen]) -> None:
        """Count articles that came just now."""
        batch: Counts = Counter()
        for topic, confidence, words, unknown in articles:
            kind = "short" if words < SHORT else "full"
            shape = self._shapes[kind]
            batch[kind, "topic", topic] += 1
            batch[kind, "confidence", shape.confidence.index(confidence)] += 1
            batch[kind, "vocabulary", shape.vocabulary.index(unknown / words)] += 1
        with self._lock:
            self._forget()
            now = int(self._clock() // SLOT_SECONDS)
            if not self._slots or self._slots[-1][0] != now:
                self._slots.append((now, Counter()))
            self._slots[-1][1].update(batch)
            self._counts.update(batch)

    def measure(self) -> Drift:
        """
        >>> from models.usual import Bins, Shape
        >>> usual = Shape({"sport": 0.5, "health": 0.5}, Bins([0.9], [0.5, 0.5]), Bins([0.1], [0.5, 0.5]))
        >>> window = Window(usual, usual)
        >>> window.add([("sport", 0.99, 200, 2), ("sport", 0.8, 200, 50)] * 200)
        >>> drift = window.measure()
        >>> drift.articles, {feature: round(value, 2) for feature, value in drift.psi.items()}
        (400, {'topic': 3.33, 'confidence': 0.0, 'vocabulary': 0.0})
        >>> drift.topics
        {'health': (0.0, 0.5), 'sport': (1.0, 0.5)}
        """
        with self._lock:
            self._forget()
            counts = self._counts.copy()
        kinds: Counter[str] = Counter()
        observed: dict[str, Counter[object]] = {"topic": Counter(), "confidence": Counter(), "vocabulary": Counter()}
        for (kind, feature, each), count in counts.items():
            observed[feature][each] += count
            kinds[kind] += count if feature == "topic" else 0
        articles = kinds.total()
        if articles < FEWEST:
            return Drift(articles, {}, {})
        expected = self._expected(kinds)
        labels = sorted({*observed["topic"], *expected["topic"]}, key=str)
        return Drift(
            articles,
            {feature: psi(observed[feature], expected[feature]) for feature in observed},
            {
                str(label): (observed["topic"][label] / articles, expected["topic"].get(label, 0.0) / articles)
                for label in labels
            },
        )

    def _expected(self, kinds: Mapping[str, int]) -> dict[str, dict[object, float]]:
        """Feature -> bin -> how many of so many full and short texts usually fall there."""
        expected: dict[str, dict[object, float]] = {}
        for kind, shape in self._shapes.items():
            for feature, shares in (
                ("topic", shape.topics.items()),
                ("confidence", enumerate(shape.confidence.shares)),
                ("vocabulary", enumerate(shape.vocabulary.shares)),
            ):
                bins = expected.setdefault(feature, {})
                for each, share in shares:
                    bins[each] = bins.get(each, 0.0) + kinds.get(kind, 0) * share
        return expected

    def _forget(self) -> None:
        oldest = int(self._clock() // SLOT_SECONDS) - SLOTS
        while self._slots and self._slots[0][0] <= oldest:
            self._counts -= self._slots.popleft()[1]
