"""One run's set-up: topics, a feeder, slots with workers, and a watcher of what they write."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.broker.faults.load import Feeder
from tests.broker.faults.slot import Slot
from tests.broker.faults.watcher import Watcher
from tests.worker_process import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from confluent_kafka import Message

    from tests.broker.faults.load import Item, Place
    from tests.broker.faults.proxy import Proxy
    from tests.kafka_client import Topics
    from tests.kafka_server import KafkaServer

__all__ = ["BATCH", "PARTITIONS", "Bench", "Stalled", "ToolMissing"]

BATCH = 100
PARTITIONS = 4


class Stalled(Exception):
    """Nothing came out any more, though there was work."""


class ToolMissing(Exception):
    """This machine lacks what the scenario needs."""


@dataclass
class Bench(ABC):
    """What a scenario works with, for one of the agents."""

    server: KafkaServer
    proxy: Proxy
    topics: Topics
    folder: Path
    delivery: str
    articles: int
    seed: int
    kills: int
    command: tuple[str, ...] = ()
    aimed: tuple[str, ...] = ()
    """The same worker, which strikes itself down where it hurts most when told to."""
    raising: bool = False
    """Whether some articles make the model raise; only an aimed worker's does."""
    quiet: float = 80.0
    """Seconds without any output after which a run counts as stalled."""
    slots: list[Slot] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the end of each fault to the first output written after it."""
    interruptions: int = 0
    """How many batches in hand were struck: each may be repeated once, at least once."""
    slowest_recovery: float = 15.0
    """Seconds that a recovery may take."""
    proxied: bool = False
    """Whether workers reach the broker through the proxy only."""
    env: dict[str, str] = field(default_factory=dict)
    """What workers have in their environment besides their settings."""
    settings: dict[str, object] = field(default_factory=dict)
    """Settings of every worker."""
    expected_exits: set[int] = field(default_factory=lambda: {0, -9})
    """A clean stop, and SIGKILL from this harness."""
    odd: dict[Place, Item] = field(default_factory=dict)
    """What a scenario has sent besides the feed."""

    agent: ClassVar[str]

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.items = self.load()

    # The agent --------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def source(self) -> str:
        """The topic it reads."""

    @property
    @abstractmethod
    def outputs(self) -> list[str]:
        """Topics that tell which inputs have come out."""

    @property
    @abstractmethod
    def group(self) -> str:
        """Its consumer group."""

    @abstractmethod
    def load(self) -> list[Item]:
        """What is fed, the same for the same seed."""

    @abstractmethod
    def events(self, message: Message) -> Iterable[bytes]:
        """The event ids that an output answers."""

    @abstractmethod
    def aim(self, how: str) -> str:
        """A strike for an aimed worker, at a point of chance; `how` is kill or stop."""

    @abstractmethod
    def books(self) -> Any:
        """What went in against what came out; `faults(allowed_repeats)` tells what is wrong with it."""

    # Workers ----------------------------------------------------------------------------------------------------

    def start(
        self, count: int = 1, *, static: bool = True, aimed: bool = False, strike: str | None = None, **settings: object
    ) -> list[Slot]:
        """Start so many more workers. `static`: with an instance id of their own, kept over restarts."""
        address = self.proxy.address if self.proxied else self.server.address
        started = []
        for _ in range(count):
            told = {"batch_size": BATCH, "delivery": self.delivery, "log_format": "json"} | self.settings | settings
            if static:
                told["instance_id"] = f"slot-{len(self.slots) + 1}"
            env = environment(address, self.topics, **told) | self.env
            self.slots.append(Slot(self.folder, env, self.aimed if aimed or self.raising else self.command, strike))
            started.append(self.slots[-1])
        return started

    # Flow -------------------------------------------------------------------------------------------------------

    def feed(self, seconds: float) -> None:
        """Feed everything over so many seconds, in the background."""
        rate = max(1.0, len(self.items) / seconds)
        self.feeder = Feeder(self.server.address, self.source, self.items, rate)
        self.watcher = Watcher(self.server.address, self.outputs, PARTITIONS, self.events)
        self.watcher.start()
        self.feeder.start()

    @property
    def expected(self) -> int:
        """How many inputs must come out."""
        return len(self.items) + len(self.odd)

    def wait(self, what: str, done: Callable[[], bool], *, tend: bool = True) -> None:
        """Until `done()`; dead workers are started again meanwhile. Raises `Stalled`."""
        begun = time.monotonic()
        while not done():
            for slot in self.slots:
                slot.measure()
                if tend:
                    slot.tend()
            if time.monotonic() - max(begun, self.watcher.last) > self.quiet:
                out = f"{len(self.watcher.events)} of {self.expected} are out"
                if self.feeder.left or self.feeder.unplaced:
                    out += f"; of the feed {self.feeder.left} wait for Kafka, {len(self.feeder.unplaced)} are not there"
                raise Stalled(f"{what}: nothing came for {self.quiet:.0f} s, {out}")
            time.sleep(0.05)

    def progress(self, share: float) -> None:
        """Until this share of everything has come out."""
        self.wait(f"{share:.0%} of the outputs", lambda: len(self.watcher.events) >= share * self.expected)

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for slot in self.slots:
                slot.measure()
            time.sleep(0.05)

    def recover(self) -> None:
        """A fault has just ended: take the time until the next output is written."""
        ended = time.time()
        self.wait("recovery", lambda: self.watcher.newest > ended or self.all_out())
        if self.watcher.newest > ended:
            self.recoveries.append(self.watcher.newest - ended)

    def all_out(self) -> bool:
        return not self.feeder.left and len(self.watcher.events) >= self.expected

    @property
    def sent(self) -> dict[Place, Item]:
        if not self.feeder.left:
            self.feeder.join()  # it may still be looking up where the last ones lie
        return self.feeder.placed | self.odd

    # End --------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Wait until everything has come out, then stop every worker. Raises `Stalled`."""
        self.wait("the end", self.all_out)
        for slot in self.slots:
            if not slot.gone:
                slot.stop()

    def committed(self) -> dict[int, int]:
        """The group's offset in each partition."""
        consumer = Consumer({"bootstrap.servers": self.server.address, "group.id": self.group, "log_level": 0})
        try:
            # A transaction that a killed worker left open holds this up until Kafka ends it.
            places = consumer.committed([TopicPartition(self.source, p) for p in range(PARTITIONS)], timeout=60)
        except KafkaException:
            return {}  # it never ended: nothing more can be read, and what is missing counts as unread
        finally:
            consumer.close()
        return {place.partition: place.offset for place in places}

    def close(self) -> None:
        """End whatever still runs."""
        for slot in self.slots:
            if not slot.dead:
                slot.kill()  # a stalled run leaves its workers
        if hasattr(self, "watcher"):
            self.watcher.ended.set()
            self.watcher.join()
