"""The classify agent's bench: articles in; enriched articles, rejected records and signals out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stream import records
from tests.broker.faults.bench import Bench
from tests.broker.faults.ledger import Books, compare
from tests.broker.faults.load import seeded
from tests.kafka_client import consume_all
from tests.worker_process import environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message

    from tests.broker.faults.load import Item

__all__ = ["ClassifyBench"]

IDS = {"ce_id", records.EVENT_ID}


@dataclass
class ClassifyBench(Bench):
    agent: ClassVar = "classify"
    command: tuple[str, ...] = ("stream.cli", "--agents", "classify")
    aimed: tuple[str, ...] = ("tests.broker.faults.aimed_worker", "classify")

    @property
    def source(self) -> str:
        return self.topics.raw

    @property
    def outputs(self) -> list[str]:
        return [self.topics.enriched, self.topics.rejected]

    @property
    def group(self) -> str:
        return environment(self.server.address, self.topics)["AJIL_GROUP"]

    def load(self) -> list[Item]:
        return list(seeded(self.articles, self.seed))

    def use_raising(self) -> None:
        """Aimed workers only, and articles on which their model raises."""
        self.raising = True
        self.items = list(seeded(self.articles, self.seed, raising=True))

    def events(self, message: Message) -> Iterable[bytes]:
        return [value for name, value in message.headers() or () if name in IDS]

    def aim(self, how: str) -> str:
        """Between delivery and commit."""
        return f"{how}:{self.rng.randint(1, 4) if how == 'kill' else 20}"

    def books(self) -> Books:
        address, topics = self.server.address, self.topics
        names = (topics.enriched, topics.rejected, topics.signals)
        enriched, rejected, signals = (consume_all(address, name) for name in names)
        return compare(topics.raw, self.sent, enriched, rejected, signals, self.committed())
