"""Runs: one broker, then scenario after scenario on topics of their own."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.broker.faults.bench import PARTITIONS, Bench, Stalled
from tests.broker.faults.proxy import Proxy
from tests.broker.faults.report import Result
from tests.broker.faults.scenarios import OTHER_WORKERS, SCENARIOS
from tests.kafka_client import create_topics
from tests.kafka_server import KafkaServer, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Runs", "broken_kafka"]

QUIET_BAD = 12.0
"""A worker that has lost records never brings them all out: seconds without any after which that is clear."""


class Runs:
    def __init__(self, server: KafkaServer, proxy: Proxy, folder: Path) -> None:
        self._server, self._proxy, self._folder = server, proxy, folder

    def scenario(self, name: str, delivery: str, *, articles: int, kills: int, seed: int = 1) -> Result:
        """Run a scenario of `SCENARIOS` with Ajil's own worker."""
        return self._run(name, "ajil", self._bench(name, delivery, articles, kills, seed))

    def other_worker(self, worker: str, *, articles: int, kills: int, seed: int = 1) -> Result:
        """Run a worker of `OTHER_WORKERS` through its scenario."""
        name = OTHER_WORKERS[worker]
        bench = self._bench(worker, "at_least_once", articles, kills, seed)
        bench.command = bench.aimed = ("tests.broker.faults.known_bad", worker)
        bench.quiet = QUIET_BAD
        return self._run(name.__name__, worker, bench)

    def _bench(self, name: str, delivery: str, articles: int, kills: int, seed: int) -> Bench:
        folder = self._folder / f"{name}-{delivery}"
        folder.mkdir(parents=True)
        topics = create_topics(self._server.address, partitions=PARTITIONS)
        return Bench(self._server, self._proxy, topics, folder, delivery, articles, seed, kills)

    def _run(self, name: str, worker: str, bench: Bench) -> Result:
        begun = time.monotonic()
        stalled = None
        try:
            SCENARIOS[name](bench)
        except Stalled as error:
            stalled = str(error)
        finally:
            bench.close()
            self._proxy.mend()
            self._proxy.slow()
        return Result.of(name, worker, bench, time.monotonic() - begun, stalled)


@contextmanager
def broken_kafka(folder: Path) -> Iterator[Runs]:
    """A broker to be broken, with a proxy before its second listener."""
    proxy = Proxy()
    server = KafkaServer(folder / "kafka", listeners={"PROXIED": Listener(advertised=proxy.address)})
    server.start()
    proxy.target = server.addresses["PROXIED"]
    try:
        yield Runs(server, proxy, folder)
    finally:
        proxy.close()
        if server.is_running:
            server.stop()
