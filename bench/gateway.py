"""A real gateway on a real Kafka: how late alerts are for thousands of readers, and what a cut costs them.

    python -m bench.gateway fanout      2,000 readers: the delay of every delivery
    python -m bench.gateway slow        as many, and 500 who read nothing: delay and memory
    python -m bench.gateway reconnects  10,000 reconnects over restarts of the gateway: what is lost or repeated
    python -m bench.gateway latency     500 articles a second through a worker: from article to open stream

Each prints JSON. Delays are from just before `produce` to the arrival in another process of the same machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
from confluent_kafka import Producer

from stream.records import Alert, ArticleRef, encode
from tests.kafka_client import create_topic
from tests.kafka_server import KafkaServer
from tests.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS = ("articles.raw", "articles.enriched", "articles.rejected", "signals", "stories", "alerts", "feedback")
WORDS = [
    f"{first}{last}" for first in ("dam", "mill", "port", "road", "wood") for last in ("ford", "ton", "wick", "ley")
]
WARM_UP = 10.0
"""Seconds until the worker has its partitions and its model."""


class Gateway:
    """`ajil gateway` in a process of its own, on one port through restarts."""

    def __init__(self, brokers: str, **settings: object) -> None:
        (self.port,) = free_ports(1)
        told = {"AJIL_BROKERS": brokers, "AJIL_GATEWAY_PORT": self.port, "AJIL_LOG_LEVEL": "warning"}
        told |= {f"AJIL_{name.upper()}": value for name, value in settings.items()}
        self.env = os.environ | {name: str(value) for name, value in told.items()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "stream.cli", "gateway"], env=self.env)
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                    return
            except OSError:
                assert self.process.poll() is None, "the gateway ended"
                time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(30)

    def metrics(self, name: str) -> list[str]:
        """The lines of a metric."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
            return [line for line in page.read().decode().splitlines() if line.startswith(name)]

    def memory(self) -> float:
        """Resident MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)

    def cpu(self) -> float:
        """Seconds used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def alert(number: int) -> bytes:
    """About 2 kB, as a story of five articles."""
    now = datetime.now(UTC)
    articles = [
        ArticleRef(
            id=f"{number}-{index}",
            event_id="0" * 64,
            source=f"outlet{index}.example",
            url=f"https://outlet{index}.example/{number}",
            title=" ".join(random.choices(WORDS, k=10)),  # noqa: S311
            published_at=now,
            ingested_at=now,
            breaking=True,
        )
        for index in range(5)
    ]
    told: dict[str, Any] = {"revision": 1, "kind": "opened", "reasons": ["marker"], "lang": "en", "topic": "politics"}
    told |= {"published_at": now, "ingested_at": now, "alerted_at": now, "article_count": 5}
    ids = f"en-{number:032x}"
    outlets = [article.source or "" for article in articles]
    title = f"{number} {time.time_ns()}"
    return encode(Alert(alert_id=ids, story_id=ids, title=title, articles=articles, outlets=outlets, **told))


def produce(brokers: str, count: int, rate: float) -> None:
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 0, "partitioner": "murmur2_random"})
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        producer.produce("news.alerts", alert(number), str(number))
        producer.poll(0)
    producer.flush(30)


def fan_out(brokers: str, readers: int, slow: int, rate: float, seconds: float) -> dict[str, Any]:
    with Gateway(brokers) as gateway:
        empty = gateway.memory()
        with clients(gateway, readers, slow, seconds + 3) as reading:
            began, cpu = time.monotonic(), gateway.cpu()
            feeder = threading.Thread(target=produce, args=(brokers, int(rate * seconds), rate))
            feeder.start()
            memory = [gateway.memory()]
            while feeder.is_alive():
                time.sleep(1)
                memory.append(gateway.memory())
            cpu = (gateway.cpu() - cpu) / (time.monotonic() - began)
            told = json.loads(reading.communicate()[0])
        every = memory[:: max(1, len(memory) // 8)]
        dropped = gateway.metrics("ajil_gateway_subscribers_dropped_total")
    return told | {"rate": rate, "cpu": round(cpu, 2), "rss_mb_idle": empty, "rss_mb": every, "dropped": dropped}


@contextmanager
def clients(gateway: Gateway, readers: int, slow: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Readers in a process of their own, all connected."""
    command = [sys.executable, "-m", "bench.sse_clients", str(gateway.port), str(readers), str(slow), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (our own interpreter and module)
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


class Follower:
    """A reader that is cut off again and again, and comes back with its last id."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.seen: Counter[int] = Counter()
        self.last_id = "0"
        self.reconnects = 0
        self.resets = 0

    async def follow(self, total: int, sessions: int, chance: random.Random) -> None:
        while len(self.seen) < total:
            length = chance.randrange(1, 2 * total // sessions) if self.reconnects < sessions else 2 * total
            try:
                await self._read(length, total)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.2)
            self.reconnects += 1

    async def _read(self, length: int, total: int) -> None:
        """Read some events and cut the connection in the middle of what comes then."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        try:
            request = f"GET /v1/alerts/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {self.last_id}\r\n\r\n"
            writer.write(request.encode())
            if b" 200 " not in await reader.readline():
                raise ConnectionError
            told: dict[str, str] = {}
            while length and len(self.seen) < total:
                line = (await reader.readuntil(b"\n")).decode().rstrip("\r\n")
                field, _, value = line.partition(": ")
                if field in ("id", "event", "data"):
                    told[field] = value
                elif not line and "id" in told:
                    # As a browser: the id holds once its block is complete.
                    self.last_id = told["id"]
                    if told.get("event") == "reset":
                        self.resets += 1
                    elif "data" in told:
                        self.seen[int(json.loads(told["data"])["title"].split()[0])] += 1
                        length -= 1
                    told = {}
        finally:
            writer.transport.abort()


async def reconnect(brokers: str, followers: int, sessions: int, total: int, rate: float) -> dict[str, Any]:
    """The gateway keeps 100 alerts, one second's, so that whoever was away longer resumes from Kafka."""
    with Gateway(brokers, gateway_history=100) as gateway:
        feeder = threading.Thread(target=produce, args=(brokers, total, rate))
        feeder.start()
        chance = random.Random(7)  # noqa: S311
        all_ = [Follower(gateway.port) for _ in range(followers)]
        following = [asyncio.create_task(follower.follow(total, sessions, chance)) for follower in all_]
        for number in (signal.SIGTERM, signal.SIGKILL):
            await asyncio.sleep(total / rate / 3)
            await asyncio.to_thread(gateway.stop, number)
            await asyncio.sleep(2)
            await asyncio.to_thread(gateway.start)
        await asyncio.gather(*following)
        resumed = await asyncio.to_thread(gateway.metrics, "ajil_gateway_subscribers_resumed_total")
        feeder.join()
    return {
        "followers": followers,
        "alerts": total,
        "reconnects": sum(follower.reconnects for follower in all_),
        "lost": sum(total - len(follower.seen) for follower in all_),
        "repeated": sum(sum(follower.seen.values()) - len(follower.seen) for follower in all_),
        "resets": sum(follower.resets for follower in all_),
        "resumed_since_last_restart": resumed,
    }


def article(chance: random.Random, number: int, breaking: bool) -> bytes:
    """About 1.5 kB of English; a breaking one is a story of its own, and its title ends with the time."""
    names = [
        "".join(chance.choices("bdklmnprstv", k=1)[0] + chance.choice("aeiou") for _ in range(3)) for _ in range(6)
    ]
    where = " and ".join(name.capitalize() for name in names)
    title = f"Fire closes the road between {where}"
    if breaking:
        title = f"BREAKING: {title} {number} {time.time_ns()}"
    body = " ".join(
        f"The council of {name.capitalize()} met on Monday and voted on roads and schools." for name in names
    )
    told = {"id": str(number), "source": f"outlet{number % 40}.example", "lang": "en", "title": title, "body": body * 3}
    return json.dumps(told).encode()


def latency(brokers: str, rate: float, seconds: float) -> dict[str, Any]:
    """One article in a hundred is breaking, and has an alert of its own."""
    limits = {"AJIL_ALERTS_PER_MINUTE": "60000", "AJIL_ALERTS_PER_SOURCE_PER_MINUTE": "60000", "AJIL_HTTP_PORT": "0"}
    with (
        Gateway(brokers) as gateway,
        subprocess.Popen([sys.executable, "-m", "stream.cli", "worker"], env=gateway.env | limits) as worker,
    ):
        feeding = threading.Event()
        feeder = threading.Thread(target=feed, args=(brokers, rate, feeding))
        feeder.start()
        try:
            time.sleep(WARM_UP)
            with clients(gateway, 1, 0, seconds) as reading:
                told = json.loads(reading.communicate()[0])
        finally:
            feeding.set()
            feeder.join()
            worker.kill()
    return told | {"articles_a_second": rate}


def feed(brokers: str, rate: float, stop: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 0})
    chance = random.Random(7)  # noqa: S311
    began = time.monotonic()
    number = 0
    while not stop.is_set():
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        producer.produce("news.articles.raw", article(chance, number, number % 100 == 0), str(number))
        producer.poll(0)
        number += 1
    producer.flush(10)


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    server = KafkaServer(folder)
    server.start()
    for name in TOPICS:
        create_topic(server.address, f"news.{name}")
    try:
        yield server.address
    finally:
        server.stop()


@click.command()
@click.argument("scenario", type=click.Choice(["fanout", "slow", "reconnects", "latency"]))
@click.option("--readers", default=2000, show_default=True)
@click.option("--rate", type=float, help="Alerts (or articles) a second.")
@click.option("--seconds", default=30.0, show_default=True)
def main(scenario: str, readers: int, rate: float | None, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder, kafka(Path(folder)) as brokers:
        if scenario == "fanout":
            told = fan_out(brokers, readers, 0, rate or 10, seconds)
        elif scenario == "slow":
            told = fan_out(brokers, readers, 500, rate or 20, seconds)
        elif scenario == "latency":
            told = latency(brokers, rate or 500, seconds)
        else:
            told = asyncio.run(reconnect(brokers, 200, 50, 3000, rate or 100))
        print(json.dumps(told | {"scenario": scenario}, indent=1))


if __name__ == "__main__":
    main()
