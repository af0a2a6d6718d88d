"""`ajil worker` that strikes itself down between delivery and commit, and whose model raises on some articles.

FAULTS_STRIKE=kill:N or stop:N sends SIGKILL or SIGSTOP to the process before its N-th commit of a batch (at least
once), or before the N-th commit of a transaction whose outputs and offsets Kafka has (exactly once).
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import confluent_kafka

from models.classifier import Article, Classifier, Verdict
from stream import clients
from tests.broker.faults.load import RAISING
from tests.broker.odd_worker import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class RaisingClassifier(Classifier):
    def classify(self, articles: Sequence[Article]) -> list[Verdict]:
        if any(article.title == RAISING for article in articles):
            raise ArithmeticError(RAISING)
        return super().classify(articles)


def strike() -> Callable[[], None]:
    """A function that does nothing until it is called the N-th time."""
    how, _, left = os.environ.get("FAULTS_STRIKE", "none:0").partition(":")
    calls = int(left)

    def call() -> None:
        nonlocal calls
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSTOP)

    return call


def main() -> None:
    call = strike()

    class StrikingProducer(confluent_kafka.Producer):
        delivered = False

        def flush(self, *args: Any, **kwargs: Any) -> int:
            left: int = super().flush(*args, **kwargs)
            type(self).delivered = not left
            return left

        def commit_transaction(self, *args: Any, **kwargs: Any) -> None:
            call()
            super().commit_transaction(*args, **kwargs)

    class StrikingConsumer(confluent_kafka.Consumer):
        def commit(self, *args: Any, **kwargs: Any) -> Any:
            # Commits without outputs (of a partition just taken up, of a mark) are not what is aimed at.
            if StrikingProducer.delivered:
                StrikingProducer.delivered = False
                call()
            return super().commit(*args, **kwargs)

    # The worker makes its clients of these names.
    vars(clients)["Producer"] = StrikingProducer
    vars(clients)["Consumer"] = StrikingConsumer
    run(RaisingClassifier)


if __name__ == "__main__":
    main()
