"""`ajil worker` with a model that kills the process on an article titled `killer`, as a crash in native code would."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from models.classifier import Article, Classifier, Verdict
from stream import logs
from stream.classify import load_model
from stream.commands.worker import serve
from stream.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


class CrashingClassifier(Classifier):
    def classify(self, articles: Sequence[Article]) -> list[Verdict]:
        if any(article.title == "killer" for article in articles):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().classify(articles)


def main() -> None:
    settings = load_settings()
    logs.configure(settings)
    model = load_model(settings)
    model.__class__ = CrashingClassifier
    serve(settings, model, tuple(sys.argv[1:]))


if __name__ == "__main__":
    main()
