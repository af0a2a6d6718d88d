"""`ajil worker` that forgets to count one article of its first batch, as one that loses it would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.classifier import Classifier
from stream.metrics import Metrics
from tests.broker.odd_worker import run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.errors import Rejection
    from stream.records import EnrichedArticle

count = Metrics.classified
forgotten: list[EnrichedArticle | Rejection] = []


def forgetting(self: Metrics, results: Iterable[EnrichedArticle | Rejection]) -> None:
    first, *others = results
    if forgotten:
        others = [first, *others]
    else:
        forgotten.append(first)
    count(self, others)


if __name__ == "__main__":
    Metrics.classified = forgetting  # type: ignore[method-assign]
    run(Classifier)
