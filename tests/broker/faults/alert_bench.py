"""The alerts agent's bench: signals in, stories and alerts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stream.records import Alert, Story, read
from tests.broker.faults.alert_ledger import AlertBooks, compare
from tests.broker.faults.alert_load import told
from tests.broker.faults.bench import Bench
from tests.kafka_client import consume_all
from tests.worker_process import environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message

    from tests.broker.faults.load import Item

__all__ = ["AlertBench"]

POINTS = {"output": 30, "delivered": 3, "offsets": 3, "committed": 3, "restored": 20}
"""Where an aimed alerts worker may be struck, and up to which passing."""
NO_STORM = 60_000
"""Storm control must not keep back what is to be counted."""


@dataclass
class AlertBench(Bench):
    agent: ClassVar = "alerts"
    command: tuple[str, ...] = ("stream.cli", "--agents", "alerts")
    aimed: tuple[str, ...] = ("tests.broker.faults.alert_worker",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings = {"alerts_per_source_per_minute": NO_STORM, "alerts_per_minute": NO_STORM}

    @property
    def source(self) -> str:
        return self.topics.signals

    @property
    def outputs(self) -> list[str]:
        return [self.topics.stories]

    @property
    def group(self) -> str:
        return environment(self.server.address, self.topics)["AJIL_GROUP"] + ".alerts"

    @property
    def expected(self) -> int:
        return len({item.id for item in self.items})

    def load(self) -> list[Item]:
        return told(self.articles, self.seed)

    def events(self, message: Message) -> Iterable[bytes]:
        return [article.event_id.encode() for article in read(message.value(), Story).articles]

    def aim(self, how: str) -> str:
        if how == "stop":
            return "stop:offsets:20"
        # Where transactions matter most: an aim at any point would let a worker without them pass now and then.
        point = "output" if "not_transactional" in self.aimed else self.rng.choice(list(POINTS))
        return f"{how}:{point}:{self.rng.randint(1, POINTS[point])}"

    def books(self) -> AlertBooks:
        address = self.server.address
        stories = [read(record.value or b"", Story) for record in consume_all(address, self.topics.stories)]
        alerts = [read(record.value or b"", Alert) for record in consume_all(address, self.topics.alerts)]
        return compare(self.sent, stories, alerts, self.committed())
