"""`ajil worker --agents alerts` that strikes itself down where it is told to, and may have a mistake built in.

    python -m tests.broker.faults.alert_worker [MISTAKE]

FAULTS_STRIKE=HOW:POINT:N sends SIGKILL (kill) or SIGSTOP (stop) to the process when it comes to a point the N-th time:

- output: one more output is with Kafka, those after it are not;
- delivered: all outputs of a batch are with Kafka, its offsets are not;
- offsets: outputs and offsets are, the transaction is not committed;
- committed: it is, and the worker is about to learn of it;
- restored: one more story has been read back.

Mistakes, each of which the harness must catch: `not_transactional`, `not_restored`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import confluent_kafka

from stream import app, clients, logs
from stream.alerts import AlertStage
from stream.commands.worker import serve
from stream.settings import load_settings
from stream.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from confluent_kafka import Message


class Strike:
    def __init__(self, told: str) -> None:
        how, self.point, left = told.split(":")
        self._signal = signal.SIGKILL if how == "kill" else signal.SIGSTOP
        self._left = int(left)

    def at(self, point: str) -> None:
        if point == self.point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)


STRIKE = Strike(os.environ.get("FAULTS_STRIKE", "kill:nowhere:0"))


class StrikingProducer(confluent_kafka.Producer):
    def produce(self, *args: Any, **kwargs: Any) -> None:
        super().produce(*args, **kwargs)
        if STRIKE.point == "output":
            super().flush()
            STRIKE.at("output")

    def flush(self, *args: Any, **kwargs: Any) -> int:
        left: int = super().flush(*args, **kwargs)
        if not left:
            STRIKE.at("delivered")
        return left

    def send_offsets_to_transaction(self, *args: Any, **kwargs: Any) -> None:
        if STRIKE.point == "delivered":
            self.flush()
        super().send_offsets_to_transaction(*args, **kwargs)

    def commit_transaction(self, *args: Any, **kwargs: Any) -> None:
        STRIKE.at("offsets")
        super().commit_transaction(*args, **kwargs)
        STRIKE.at("committed")


class StrikingStage(AlertStage):
    def restore(self, messages: Iterable[Message], mine: Callable[[str], bool] = lambda _: True) -> None:
        super().restore(self._read(messages), mine)

    def _read(self, messages: Iterable[Message]) -> Iterator[Message]:
        for message in messages:
            STRIKE.at("restored")
            yield message


class Forgetful(StrikingStage):
    """It begins anew after each restart, and tells its readers what they know."""

    def restore(self, messages: Iterable[Message], mine: Callable[[str], bool] = lambda _: True) -> None:
        super().restore(())


class Piecemeal(Source):
    """It delivers and then commits, like the classify agent: a story may be written without its alert."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"transactional": False})


MISTAKES: dict[str, dict[str, type]] = {
    "not_transactional": {"Source": Piecemeal},
    "not_restored": {"AlertStage": Forgetful},
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as `ajil worker` does, until Faust has its own
    # The worker makes its parts of these names.
    vars(clients)["Producer"] = StrikingProducer
    vars(app)["AlertStage"] = StrikingStage
    vars(app).update(MISTAKES[sys.argv[1]] if len(sys.argv) > 1 else {})
    settings = load_settings()
    logs.configure(settings)
    serve(settings, None, ("alerts",))


if __name__ == "__main__":
    main()
