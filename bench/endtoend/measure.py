"""One way, watched from outside: what it committed when, what CPU it had used by then, what it wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import astuple, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.endtoend.articles import articles
from tests.kafka_client import Record, Topics, consume_all, create_topics, produce
from tests.worker_process import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PEERS", "Backlog", "Way", "latency", "throughput"]

PEERS = Path("build/bench-env/bin/python")
START_SECONDS, SECONDS = 60.0, 5.0
WARM_UP = 500
"""Articles that are not measured: the first records, and what the start has piled up."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Way(NamedTuple):
    """`args` follow `python -m bench.endtoend.peer`; empty for Ajil's own worker. `settings` are AJIL_* of its own."""

    name: str
    args: tuple[str, ...] = ()
    peer: bool = False
    settings: tuple[tuple[str, object], ...] = ()

    def command(self, linger: int) -> list[str]:
        if not self.args:
            return [sys.executable, "-m", "stream.cli", "worker", "--agents", "classify"]
        python = str(PEERS) if self.peer else sys.executable
        return [python, "-W", "ignore", "-m", "bench.endtoend.peer", *self.args, "--linger", str(linger)]


class Backlog:
    """A raw topic with so many articles on it, for any number of ways to read."""

    def __init__(self, address: str, count: int, *, partitions: int) -> None:
        self.address, self.partitions, self.count = address, partitions, count
        self.topics = create_topics(address, partitions=partitions)
        records = (Record(value, key=name.encode()) for name, value in articles(count))
        self.ids = {
            (sent.partition, sent.offset): (sent.key or b"").decode()
            for sent in produce(address, self.topics.raw, records)
        }


class Process:
    """A way that runs. `with` stops it, however it ends."""

    def __init__(self, way: Way, env: dict[str, str], linger: int, log: Path) -> None:
        self.way, self.log = way, log
        with log.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603
                way.command(linger), env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def check(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.way.name} ended:\n{self.tail()}")

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def cpu(self) -> float:
        """Seconds of CPU, user and system, of all its threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak(self) -> int:
        """The most memory it has had, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


class Sample(NamedTuple):
    time: float
    committed: int
    cpu: float


def _environment(way: Way, address: str, topics: Topics, **more: object) -> dict[str, str]:
    settings = {"log_level": "warning", "batch_size": 500} | more | dict(way.settings)
    return environment(address, topics, group=f"g.{topics.enriched}", **settings) | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _drop(address: str, topics: Topics, *, raw: bool) -> None:
    names = [name for name in astuple(topics) if raw or name != topics.raw]
    admin = AdminClient({"bootstrap.servers": address, "log_level": 4})
    for deleted in admin.delete_topics(names).values():
        deleted.result(30)


def throughput(way: Way, backlog: Backlog, log: Path, *, seconds: float = SECONDS) -> dict[str, Any]:
    """Let `way` work off the backlog for some seconds. Offsets are committed after delivery: they are the clock."""
    topics = replace(create_topics(backlog.address, partitions=backlog.partitions), raw=backlog.topics.raw)
    watcher = Consumer({"bootstrap.servers": backlog.address, "group.id": f"g.{topics.enriched}", "log_level": 4})
    places = [TopicPartition(topics.raw, partition) for partition in range(backlog.partitions)]
    with Process(way, _environment(way, backlog.address, topics), 5, log) as process:
        samples = [Sample(time.monotonic(), 0, 0.0)]
        start = samples[0]
        while samples[-1].committed < backlog.count and time.monotonic() < start.time + max(
            seconds, START_SECONDS * (start.committed == 0)
        ):
            process.check()
            committed = sum(max(0, place.offset) for place in watcher.committed(places, timeout=10))
            if committed > samples[-1].committed:
                samples.append(Sample(time.monotonic(), committed, process.cpu()))
            if not start.committed and committed >= WARM_UP:
                start = samples[-1]
            time.sleep(0.02)
        peak = process.peak()
    if samples[-1].committed == start.committed:
        raise RuntimeError(f"{way.name}: {start.committed} articles in {seconds:.0f} s:\n{process.tail()}")
    ends = {place.partition: place.offset for place in watcher.committed(places, timeout=10)}
    watcher.close()
    wanted = [name for (partition, offset), name in backlog.ids.items() if offset < ends[partition]]
    found = Counter(_ids(backlog.address, topics.enriched))
    _drop(backlog.address, topics, raw=False)
    quarters = [start.committed + (samples[-1].committed - start.committed) * part // 4 for part in range(5)]
    marks = [next(sample for sample in samples[1:] if sample.committed >= mark) for mark in quarters]
    return {
        "way": way.name,
        "partitions": backlog.partitions,
        **_between(start, samples[-1]),
        "peak_mb": peak,
        "lost": sum(name not in found for name in wanted),
        "repeated": sum(found.values()) - len(found),
        "quarters_cpu_ms": [_between(*pair)["cpu_ms"] for pair in pairwise(marks) if pair[0] != pair[1]],
    }


def _between(start: Sample, end: Sample) -> dict[str, Any]:
    seconds, count, cpu = (after - before for before, after in zip(start, end, strict=True))
    return {
        "articles": int(count),
        "per_second": round(count / seconds, 1),
        "cpu_ms": round(cpu / count * 1e3, 4),
        "cores": round(cpu / seconds, 2),
    }


class _Id(msgspec.Struct):
    id: str


def _ids(address: str, topic: str) -> Iterator[str]:
    decoder = msgspec.json.Decoder(_Id)
    return (decoder.decode(record.value or b"").id for record in consume_all(address, topic))


def latency(way: Way, address: str, log: Path, *, rate: int = 500, seconds: float = 10.0) -> dict[str, Any]:
    """From `produce` of an article to its enriched record in a consumer's hands, at a steady rate; milliseconds."""
    topics = create_topics(address, partitions=4)
    reader = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "bench.reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 4,
        }
    )
    reader.assign([TopicPartition(topics.enriched, partition, 0) for partition in range(4)])
    sent: dict[str, float] = {}
    stop = threading.Event()
    feeder = threading.Thread(target=_feed, args=(address, topics.raw, rate, sent, stop))
    found: Counter[str] = Counter()
    took: dict[str, float] = {}
    decoder = msgspec.json.Decoder(_Id)

    def read(until: float) -> None:
        while time.perf_counter() < until:
            message = reader.poll(0.1)
            if message is not None and message.error() is None:
                now, name = time.perf_counter(), decoder.decode(message.value()).id
                found[name] += 1
                took.setdefault(name, (now - sent[name]) * 1e3)

    with Process(way, _environment(way, address, topics), 0, log) as process:
        feeder.start()
        end = time.perf_counter() + START_SECONDS
        while not found:
            process.check()
            if time.perf_counter() > end:
                stop.set()
                raise RuntimeError(f"{way.name}: nothing came out in {START_SECONDS:.0f} s")
            read(time.perf_counter() + 0.1)
        read(time.perf_counter() + 3)
        start, cpu = time.perf_counter(), process.cpu()
        read(start + seconds)
        cpu = process.cpu() - cpu
        stop.set()
        feeder.join()
        read(time.perf_counter() + 1)
    reader.close()
    _drop(address, topics, raw=True)
    measured = sorted(took[name] for name, at in sent.items() if start <= at < start + seconds and name in took)
    return {
        "way": way.name,
        "rate": rate,
        "articles": len(measured),
        "p50_ms": round(measured[len(measured) // 2], 2),
        "p99_ms": round(measured[len(measured) * 99 // 100], 2),
        "cpu_ms_at_rate": round(cpu / seconds / rate * 1e3, 4),
        "lost": len(sent) - len(found),
        "repeated": sum(found.values()) - len(found),
    }


def _feed(address: str, topic: str, rate: int, sent: dict[str, float], stop: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all", "linger.ms": 0, "log_level": 4})
    start = time.perf_counter()
    for number, (name, value) in enumerate(articles(rate * 120)):
        wait = start + number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        if stop.is_set():
            break
        sent[name] = time.perf_counter()
        producer.produce(topic, value, name)
        producer.poll(0)
    producer.flush()
