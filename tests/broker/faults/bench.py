"""One run's set-up: topics, a feeder, slots with workers, and a watcher of what they write."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from stream import records
from tests.broker.faults.ledger import Books, compare
from tests.broker.faults.load import Feeder, seeded
from tests.kafka_client import consume_all
from tests.worker_process import WorkerProcess, environment

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from tests.broker.faults.load import Item, Place
    from tests.broker.faults.proxy import Proxy
    from tests.kafka_client import Topics
    from tests.kafka_server import KafkaServer

__all__ = ["BATCH", "Bench", "Slot", "Stalled", "ToolMissing"]

BATCH = 100
START_SECONDS = 5.0
PARTITIONS = 4
IDS = {"ce_id", records.EVENT_ID}


class Stalled(Exception):
    """Nothing came out any more, though there was work."""


class ToolMissing(Exception):
    """This machine lacks what the scenario needs."""


class Watcher(threading.Thread):
    """Follows the outputs as a consumer would: which raw records have come out, and when each output was written."""

    def __init__(self, address: str, topics: list[str]) -> None:
        super().__init__(name="watcher", daemon=True)
        self.events: set[bytes] = set()
        self.last = time.monotonic()
        """When something new came last."""
        self.newest = 0.0
        """Unix time at which the newest output was written."""
        self.ended = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "watcher",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t in topics for p in range(PARTITIONS)])

    def run(self) -> None:
        while not self.ended.is_set():
            for message in self._consumer.consume(500, 0.1):
                if message.error():
                    continue
                new = {value for name, value in message.headers() or () if name in IDS and value} - self.events
                self.newest = max(self.newest, message.timestamp()[1] / 1000)
                if new:
                    self.events |= new
                    self.last = time.monotonic()
        self._consumer.close()


class Slot:
    """A worker's place: what a process manager would do with it, how it ended each time, what memory it took."""

    def __init__(self, folder: Path, env: dict[str, str], command: tuple[str, ...], strike: str) -> None:
        self.exits: Counter[int] = Counter()
        self.memory: list[list[tuple[float, float]]] = []
        """For each process (seconds, MB), about once a second."""
        self.gone = False
        self._folder, self._env, self._command = folder, env, command
        self.start(strike)

    def start(self, strike: str = "none:0") -> None:
        """Start the worker; `strike` is what an aimed one does to itself."""
        module, *args = self._command
        self.worker = WorkerProcess(self._folder, self._env | {"FAULTS_STRIKE": strike}, *args, module=module)
        self.memory.append([])
        self.gone = False
        self._started = time.monotonic()

    @property
    def dead(self) -> bool:
        return self.worker.process.poll() is not None

    @property
    def frozen(self) -> bool:
        return Path(f"/proc/{self.worker.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        """SIGKILL, if it has not come from elsewhere already."""
        self.worker.kill()
        self.exits[self.worker.process.returncode] += 1
        self.gone = True

    def stop(self) -> None:
        """SIGTERM; the worker is gone until it is started again."""
        # A Python program that is still importing has no handler yet, and the signal would end it.
        time.sleep(max(0.0, self._started + START_SECONDS - time.monotonic()))
        try:
            self.exits[self.worker.stop(60)] += 1
        except subprocess.TimeoutExpired:
            self.kill()
        self.gone = True

    def signal(self, number: signal.Signals) -> None:
        self.worker.process.send_signal(number)

    def tend(self) -> None:
        """Start a worker that ended by itself once more, as Kubernetes would; the exit code tells of it."""
        if self.dead and not self.gone:
            self.exits[self.worker.process.returncode] += 1
            time.sleep(1)
            self.start()

    def measure(self) -> None:
        try:
            status = Path(f"/proc/{self.worker.process.pid}/statm").read_text()
        except OSError:
            return
        resident = int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        if resident and (not self.memory[-1] or time.monotonic() - self.memory[-1][-1][0] >= 1):
            self.memory[-1].append((time.monotonic(), resident))


@dataclass
class Bench:
    """What a scenario works with. `quiet`: seconds without any output after which a run counts as stalled."""

    server: KafkaServer
    proxy: Proxy
    topics: Topics
    folder: Path
    delivery: str
    articles: int
    seed: int
    kills: int
    command: tuple[str, ...] = ("stream.cli", "--agents", "classify")
    aimed: tuple[str, ...] = ("tests.broker.faults.aimed_worker", "classify")
    """The same worker, which strikes itself down between delivery and commit when told to."""
    raising: bool = False
    """Whether some articles make the model raise; only an aimed worker's does."""
    quiet: float = 80.0
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

    expected_exits: set[int] = field(default_factory=lambda: {0, -9})
    """A clean stop, and SIGKILL from this harness."""
    odd: dict[Place, Item] = field(default_factory=dict)
    """What a scenario has sent besides the feed."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    # Workers ----------------------------------------------------------------------------------------------------

    def start(
        self, count: int = 1, *, static: bool = True, aimed: bool = False, strike: str = "none:0", **settings: object
    ) -> list[Slot]:
        """Start so many more workers. `static`: with an instance id of their own, kept over restarts."""
        address = self.proxy.address if self.proxied else self.server.address
        started = []
        for _ in range(count):
            told = {"batch_size": BATCH, "delivery": self.delivery, "log_format": "json"} | settings
            if static:
                told["instance_id"] = f"slot-{len(self.slots) + 1}"
            env = environment(address, self.topics, **told) | self.env
            self.slots.append(Slot(self.folder, env, self.aimed if aimed or self.raising else self.command, strike))
            started.append(self.slots[-1])
        return started

    # Flow -------------------------------------------------------------------------------------------------------

    def feed(self, seconds: float) -> None:
        """Feed all articles over so many seconds, in the background."""
        items = list(seeded(self.articles, self.seed, raising=self.raising))
        self.feeder = Feeder(self.server.address, self.topics.raw, items, max(1.0, self.articles / seconds))
        self.watcher = Watcher(self.server.address, [self.topics.enriched, self.topics.rejected])
        self.watcher.start()
        self.feeder.start()

    def wait(self, what: str, done: Callable[[], bool], *, tend: bool = True) -> None:
        """Until `done()`; dead workers are started again meanwhile. Raises `Stalled`."""
        begun = time.monotonic()
        while not done():
            for slot in self.slots:
                slot.measure()
                if tend:
                    slot.tend()
            if time.monotonic() - max(begun, self.watcher.last) > self.quiet:
                out = f"{len(self.watcher.events)} of {self.articles} are out"
                raise Stalled(f"{what}: nothing came for {self.quiet:.0f} s, {out}")
            time.sleep(0.05)

    def progress(self, share: float) -> None:
        """Until this share of all articles has come out."""
        self.wait(f"{share:.0%} of the outputs", lambda: len(self.watcher.events) >= share * self.articles)

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
        return not self.feeder.left and len(self.watcher.events) >= len(self.sent)

    @property
    def sent(self) -> dict[Place, Item]:
        return self.feeder.placed | self.odd

    # End --------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Wait until everything has come out, then stop every worker. Raises `Stalled`."""
        self.wait("the end", self.all_out)
        for slot in self.slots:
            if not slot.gone:
                slot.stop()

    def books(self) -> Books:
        address, topics = self.server.address, self.topics
        names = (topics.enriched, topics.rejected, topics.signals)
        enriched, rejected, signals = (consume_all(address, name) for name in names)
        return compare(topics.raw, self.sent, enriched, rejected, signals, self._committed())

    def _committed(self) -> dict[int, int]:
        group = environment(self.server.address, self.topics)["AJIL_GROUP"]
        consumer = Consumer({"bootstrap.servers": self.server.address, "group.id": group, "log_level": 0})
        try:
            # A transaction that a killed worker left open holds this up until Kafka ends it.
            places = consumer.committed([TopicPartition(self.topics.raw, p) for p in range(PARTITIONS)], timeout=60)
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
