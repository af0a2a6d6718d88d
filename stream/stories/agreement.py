"""How well stories agree with labels: BCubed and pairwise figures, and the alerts that are lost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["Agreement", "Scores", "agreement"]


class Scores(NamedTuple):
    """All from 0 to 1."""

    precision: float
    recall: float
    f1: float


class Agreement(NamedTuple):
    """`bcubed`: of the articles filed with an article, the share that belongs there, and the other way round, averaged
    over the articles (Bagga and Baldwin, "Entity-based cross-document coreferencing", 1998). `pairs`: of the pairs of
    articles in one story.

    `lost`: the share of labelled stories whose first article was filed under an older story, so that nobody was told
    of them as news. `told` and `labelled` count the stories.
    """

    articles: int
    labelled: int
    told: int
    bcubed: Scores
    pairs: Scores
    lost: float


def agreement(labels: Sequence[Hashable], stories: Sequence[Hashable]) -> Agreement:
    """The figures of articles in the order of the stream: the label of each, and the story it was filed under.

    >>> found = agreement(["fire", "fire", "vote", "vote"], [1, 1, 1, 2])
    >>> round(found.bcubed.precision, 3), found.bcubed.recall, found.lost
    (0.667, 0.75, 0.5)
    >>> found.pairs
    Scores(precision=0.3333333333333333, recall=0.5, f1=0.4)

    Raises ValueError where there are no articles, or not a label for each.
    """
    if not labels or len(labels) != len(stories):
        raise ValueError(f"{len(labels)} labels for {len(stories)} articles; there must be one for each")
    by_label, by_story = Counter(labels), Counter(stories)
    shared = Counter(zip(labels, stories, strict=True))
    articles = len(labels)
    precision = sum(n * n / by_story[story] for (_, story), n in shared.items()) / articles
    recall = sum(n * n / by_label[label] for (label, _), n in shared.items()) / articles
    together = _pairs(shared)
    opened: set[Hashable] = set()
    begun: set[Hashable] = set()
    lost = 0
    for label, story in zip(labels, stories, strict=True):
        lost += label not in begun and story in opened
        begun.add(label)
        opened.add(story)
    return Agreement(
        articles=articles,
        labelled=len(by_label),
        told=len(by_story),
        bcubed=_scores(precision, recall),
        pairs=_scores(_share(together, _pairs(by_story)), _share(together, _pairs(by_label))),
        lost=lost / len(by_label),
    )


def _pairs(counts: Counter[Hashable] | Counter[tuple[Hashable, Hashable]]) -> int:
    return sum(n * (n - 1) // 2 for n in counts.values())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0  # of nothing, nothing is wrong


def _scores(precision: float, recall: float) -> Scores:
    total = precision + recall
    return Scores(precision, recall, 2 * precision * recall / total if total else 0.0)
