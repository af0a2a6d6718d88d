"""`ajil worker` whose model hangs on an article titled `hang`, for as long as the file HANG_WHILE is there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from models.classifier import Article, Classifier, Verdict
from tests.broker.odd_worker import run

if TYPE_CHECKING:
    from collections.abc import Sequence


class HangingClassifier(Classifier):
    def classify(self, articles: Sequence[Article]) -> list[Verdict]:
        if any(article.title == "hang" for article in articles):
            while Path(os.environ["HANG_WHILE"]).exists():
                time.sleep(0.1)
        return super().classify(articles)


if __name__ == "__main__":
    run(HangingClassifier)
