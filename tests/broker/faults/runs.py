"""Runs: one broker, then scenario after scenario on topics of their own."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.broker.faults.alert_bench import AlertBench
from tests.broker.faults.bench import PARTITIONS, Bench, Stalled
from tests.broker.faults.classify_bench import ClassifyBench
from tests.broker.faults.proxy import Proxy
from tests.broker.faults.report import Result
from tests.broker.faults.scenarios import ALERTS, CLASSIFY, CONSUMER_SESSION, OTHER_ALERT_WORKERS, OTHER_WORKERS
from tests.kafka_client import create_topics
from tests.kafka_server import KafkaServer, Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.broker.faults.alert_ledger import AlertBooks
    from tests.broker.faults.ledger import Books

__all__ = ["DELIVERIES", "Runs", "broken_kafka"]

DELIVERIES = ("at_least_once", "exactly_once")
QUIET_BAD = 12.0
"""A worker that has lost records never brings them all out: seconds without any after which that is clear."""


class Runs:
    def __init__(self, server: KafkaServer, proxy: Proxy, folder: Path) -> None:
        self._server, self._proxy, self._folder = server, proxy, folder

    def classify(self, name: str, delivery: str, *, articles: int, kills: int, seed: int = 1) -> Result[Books]:
        """Run a scenario of `CLASSIFY` with Ajil's own worker."""
        bench = self._bench(ClassifyBench, f"{name}-{delivery}", delivery, articles, kills, seed)
        return self._run(CLASSIFY[name], "ajil", bench)

    def alerts(self, name: str, *, articles: int, kills: int, seed: int = 1) -> Result[AlertBooks]:
        """Run a scenario of `ALERTS` with Ajil's own worker: it is transactional whatever the setting says."""
        bench = self._bench(AlertBench, f"{name}-alerts", DELIVERIES[0], articles, kills, seed)
        return self._run(ALERTS[name], "ajil", bench)

    def other_worker(self, worker: str, *, articles: int, kills: int, seed: int = 1) -> Result[Any]:
        """Run a worker of `OTHER_WORKERS` or `OTHER_ALERT_WORKERS` through its scenario."""
        kind, known = (ClassifyBench, OTHER_WORKERS) if worker in OTHER_WORKERS else (AlertBench, OTHER_ALERT_WORKERS)
        bench = self._bench(kind, worker, DELIVERIES[0], articles, kills, seed)
        module = "known_bad" if worker in OTHER_WORKERS else "alert_worker"
        bench.command = bench.aimed = (f"tests.broker.faults.{module}", worker)
        bench.quiet = QUIET_BAD
        return self._run(known[worker], worker, bench)

    def _bench(self, kind: type[Bench], folder: str, delivery: str, articles: int, kills: int, seed: int) -> Bench:
        path = self._folder / folder
        path.mkdir(parents=True)
        topics = create_topics(self._server.address, partitions=PARTITIONS)
        return kind(self._server, self._proxy, topics, path, delivery, articles, seed, kills)

    def _run(self, scenario: Callable[..., None], worker: str, bench: Bench) -> Result[Any]:
        begun = time.monotonic()
        stalled = None
        try:
            scenario(bench)
        except Stalled as error:
            stalled = str(error)
        finally:
            bench.close()
            self._proxy.mend()
            self._proxy.slow()
        return Result.of(scenario.__name__, worker, bench, time.monotonic() - begun, stalled)


@contextmanager
def broken_kafka(folder: Path) -> Iterator[Runs]:
    """A broker to be broken, with a proxy before its second listener."""
    proxy = Proxy()
    session = str(int(CONSUMER_SESSION * 1000))
    server = KafkaServer(
        folder / "kafka",
        listeners={"PROXIED": Listener(advertised=proxy.address)},
        properties={
            "group.consumer.min.session.timeout.ms": session,
            "group.consumer.session.timeout.ms": session,
            "group.consumer.min.heartbeat.interval.ms": "1000",
            "group.consumer.heartbeat.interval.ms": "1000",
        },
    )
    server.start()
    proxy.target = server.addresses["PROXIED"]
    try:
        yield Runs(server, proxy, folder)
    finally:
        proxy.close()
        if server.is_running:
            server.stop()
