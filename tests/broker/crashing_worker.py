"""`ajil worker` with a model that kills the process on an article titled `killer`, as a crash in native code would."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from models.classifier import Article, Classifier, Verdict
from tests.broker.odd_worker import run

if TYPE_CHECKING:
    from collections.abc import Sequence


class CrashingClassifier(Classifier):
    def classify(self, articles: Sequence[Article]) -> list[Verdict]:
        if any(article.title == "killer" for article in articles):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().classify(articles)


if __name__ == "__main__":
    run(CrashingClassifier)
