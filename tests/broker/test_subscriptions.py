"""Subscriptions on a real broker: nothing lost, order kept, through receivers and gateways that go away."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.catalogue import Catalogue
from stream.gateway.subscriptions import Subscriptions
from stream.gateway.subscriptions.circuit import Backoff
from stream.settings import Settings
from tests.alerts import Receiver, alert, record, subscriptions_file
from tests.kafka_client import Record, consume_all, produce
from tests.worker_process import WorkerProcess, environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.kafka_client import Topics
    from tests.kafka_server import KafkaServer

SECONDS = 60.0
QUICK = Backoff(0.05, 0.2)


async def until(what: str, found: Callable[[], Any]) -> None:
    end = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < end, f"{what}: not within {SECONDS:.0f} s"
        await asyncio.sleep(0.05)


class Gateway:
    """Subscriptions in this process, and what they have committed."""

    def __init__(self, kafka: KafkaServer, topics: Topics, file: Path) -> None:
        self.undelivered = topics.undelivered
        self.settings = Settings(
            brokers=kafka.address,
            group=f"g.{topics.raw}",
            topic_alerts=topics.alerts,
            topic_undelivered=self.undelivered,
            subscriptions=file,
        )
        self.catalogue = Catalogue()
        self._admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 4})
        self._topic = topics.alerts

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        self.catalogue = Catalogue()
        subscriptions = Subscriptions(self.settings, self.catalogue, QUICK)
        await subscriptions.start()
        try:
            for name in subscriptions._file.destinations:
                await until(f"{name} in its place", lambda name=name: len(self.committed(name)) == 4)
            yield self
        finally:
            await subscriptions.stop()

    def committed(self, name: str) -> dict[int, int]:
        group = f"{self.settings.group}.subscription.{name}"
        asked = [ConsumerGroupTopicPartitions(group)]
        (future,) = self._admin.list_consumer_group_offsets(asked).values()
        try:
            found: list[TopicPartition] = future.result(SECONDS).topic_partitions
        except KafkaException:  # the first group of a broker: its coordinator is still loading
            return {}
        return {place.partition: place.offset for place in found if place.offset >= 0}

    def metric(self, name: str, **labels: str) -> float:
        return self.catalogue.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def address(kafka: KafkaServer, topics: Topics) -> str:
    return kafka.address


def send(address: str, topics: Topics, *names: object, partition: int = 0, **fields: Any) -> list[str]:
    """Alerts onto one partition; their webhook ids, in order."""
    told = [alert(name, **fields) for name in names]
    produce(address, topics.alerts, [record(one, partition) for one in told])
    return [f"{one.alert_id}/{one.revision}" for one in told]


async def test_a_receiver_that_was_down_gets_everything_in_order(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        file = subscriptions_file(tmp_path, desk=receiver.toml)
    port, gateway = receiver.port, Gateway(kafka, topics, file)
    send(address, topics, "before the subscription")
    async with gateway.running():
        ids = send(address, topics, *range(30))
        await until("a failure", lambda: gateway.metric("ajil_destination_circuit_open", destination="desk.hook"))
        assert gateway.committed("desk.hook")[0] == 1
        async with Receiver(port=port) as receiver:
            await until("all", lambda: len(receiver.taken) == 30)
            assert receiver.taken == ids
            await until("commit", lambda: gateway.committed("desk.hook")[0] == 31)
        labels = {"destination": "desk.hook", "service": "webhook"}
        assert gateway.metric("ajil_deliveries_total", result="delivered", **labels) == 30
        assert gateway.metric("ajil_deliveries_total", result="failed", **labels) >= 5
        assert gateway.metric("ajil_destination_circuit_open", destination="desk.hook") == 0
    assert consume_all(address, gateway.undelivered) == []


async def test_a_killed_gateway_repeats_under_the_same_id_and_loses_nothing(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    chance = random.Random(7)

    async def hold() -> None:
        await asyncio.sleep(0.02)

    async with Receiver(lambda n, _: web.Response(status=503 if n % 7 == 0 else 200), hold=hold) as receiver:
        file = subscriptions_file(tmp_path, desk=receiver.toml)
        gateway = Gateway(kafka, topics, file)
        async with gateway.running():
            pass  # the groups have their places
        env = environment(address, topics, subscriptions=file, topic_undelivered=gateway.undelivered, session_timeout=6)
        ids = send(address, topics, *range(200))
        for _ in range(4):
            before = len(receiver.taken)
            with WorkerProcess(tmp_path, env, module="tests.subscriptions_process") as process:
                await until("deliveries", lambda before=before: len(receiver.taken) > before + chance.randrange(5, 30))
                process.kill()
        with WorkerProcess(tmp_path, env, module="tests.subscriptions_process") as process:
            await until("all", lambda: set(receiver.taken) == set(ids))
            await until("commit", lambda: gateway.committed("desk.hook")[0] == 200)
            assert await asyncio.to_thread(process.stop) == 0
        firsts = list(dict.fromkeys(receiver.taken))
        assert firsts == ids
        # At most the one in hand, for each kill.
        assert len(receiver.taken) - len(firsts) <= 4


async def test_a_slow_destination_delays_no_other(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    stuck = asyncio.Event()
    async with Receiver(hold=stuck.wait) as slow, Receiver() as quick:
        gateway = Gateway(kafka, topics, subscriptions_file(tmp_path, slow=slow.toml, quick=quick.toml))
        async with gateway.running():
            ids = send(address, topics, *range(20))
            await until("the quick one", lambda: quick.taken == ids)
            await until("the slow one to be asked", lambda: slow.asked)
            assert slow.taken == []
            stuck.set()
            await until("the slow one", lambda: slow.taken == ids)


async def test_an_invalid_file_is_refused_and_a_valid_one_applied(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    async with Receiver() as old, Receiver() as new:
        file = subscriptions_file(tmp_path, desk=old.toml)
        gateway = Gateway(kafka, topics, file)
        async with gateway.running():
            file.write_text('[subscriptions.desk]\ntopcs = ["politics"]\n')
            await until("refusal", lambda: gateway.metric("ajil_subscriptions_reloads_total", result="refused"))
            ids = send(address, topics, "a", "b")
            await until("delivery by the old file", lambda: old.taken == ids)
            (tmp_path / "new").mkdir()
            text = subscriptions_file(tmp_path / "new", desk=new.toml, added=new.toml).read_text()
            file.write_text(text.replace('"secret"', '"late"'))
            await until("refusal", lambda: gateway.metric("ajil_subscriptions_reloads_total", result="refused") == 2)
            # The secret that was missing is enough.
            (tmp_path / "new" / "secret").rename(tmp_path / "late")
            await until("applied", lambda: gateway.metric("ajil_subscriptions_reloads_total", result="applied"))
            await until("the added one in its place", lambda: len(gateway.committed("added.hook")) == 4)
            later = send(address, topics, "c")
            await until("delivery by the new file", lambda: new.taken == later * 2)
            assert old.taken == ids


async def test_a_record_that_is_no_alert_holds_up_none(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        gateway = Gateway(kafka, topics, subscriptions_file(tmp_path, desk=receiver.toml))
        async with gateway.running():
            wrong = [b"{", b'{"alert_id": "\xff"}', b'{"more": ' + b"[" * 100_000]
            produce(address, topics.alerts, [Record(value, key=b"a", partition=0) for value in wrong])
            ids = send(address, topics, "a")
            await until("delivery", lambda: receiver.taken == ids)


async def test_what_is_refused_or_too_old_goes_to_the_dead_letters(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    def answer(_: int, id_: str) -> web.Response:
        return web.Response(status=422 if id_ == "en-bad/1" else 500 if id_ == "en-down/1" else 200)

    async with Receiver(answer) as receiver:
        file = subscriptions_file(tmp_path, desk=receiver.toml + '\ngive_up_after = "1s"')
        gateway = Gateway(kafka, topics, file)
        async with gateway.running():
            good = send(address, topics, "first", "bad", "down", "last")
            await until("the last", lambda: receiver.taken == [good[0], good[3]])
            await until("commit", lambda: gateway.committed("desk.hook")[0] == 4)
            assert receiver.asked.count("en-bad/1") == 1
            assert receiver.asked.count("en-down/1") >= 5
            labels = {"destination": "desk.hook", "service": "webhook", "result": "undelivered"}
            assert gateway.metric("ajil_deliveries_total", **labels) == 2
        dead = {json.loads(one.value or b"")["alert_id"]: dict(one.headers) for one in consume_all(
            address, gateway.undelivered
        )}  # fmt: skip
        assert set(dead) == {"en-bad", "en-down"}
        told = dead["en-bad"]
        assert told["ajil.destination"] == b"desk.hook"
        assert told["__connect.errors.exception.class.name"] == b"refused"
        assert told["__connect.errors.exception.message"] == b"the receiver answered 422"
        assert (told["__connect.errors.topic"], told["__connect.errors.offset"]) == (topics.alerts.encode(), b"1")
        assert told["ce_type"] == b"ajil.alert.opened"
        assert dead["en-down"]["__connect.errors.exception.class.name"] == b"given_up"


async def test_a_restart_remembers_who_was_told(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        file = subscriptions_file(tmp_path, desk=receiver.toml)
        file.write_text(file.read_text().replace("[subscriptions.desk]", '[subscriptions.desk]\ntopics = ["sport"]'))
        gateway = Gateway(kafka, topics, file)
        send(address, topics, "early", topic="sport")
        async with gateway.running():
            (told,) = send(address, topics, "told", topic="sport")
            send(address, topics, "untold", topic="health")
            await until("the first", lambda: receiver.taken == [told])
            await until("commit", lambda: gateway.committed("desk.hook")[0] == 3)
        async with gateway.running():
            # Its topic has changed since, and it goes to whoever got the alert all the same.
            for name in ("early", "untold", "told"):
                send(address, topics, name, kind="retracted", revision=2, topic=None)
            (last,) = send(address, topics, "last", topic="sport")
            await until("the last", lambda: last in receiver.taken)
            assert receiver.taken == [told, "en-told/2", last]


async def test_two_gateways_share_a_destination(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        file = subscriptions_file(tmp_path, desk=receiver.toml)
        gateway = Gateway(kafka, topics, file)
        async with gateway.running():
            ids = send(address, topics, *range(10))
            async with Gateway(kafka, topics, file).running():
                for partition in range(4):
                    ids += send(address, topics, *(f"{partition}.{n}" for n in range(10)), partition=partition)
                await until("all", lambda: set(receiver.taken) == set(ids))
            ids += send(address, topics, "alone", partition=3)
            await until("the one that is left", lambda: set(receiver.taken) == set(ids))
        for partition in ("1", "2"):
            mine = [id_ for id_ in dict.fromkeys(receiver.taken) if id_.startswith(f"en-{partition}.")]
            assert mine == [f"en-{partition}.{n}/1" for n in range(10)]


async def test_a_broker_that_goes_away_loses_nothing(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        gateway = Gateway(kafka, topics, subscriptions_file(tmp_path, desk=receiver.toml))
        async with gateway.running():
            ids = send(address, topics, *range(10))
            await until("the first", lambda: receiver.taken)
            await asyncio.to_thread(kafka.kill)
            await asyncio.to_thread(kafka.start)
            ids += send(address, topics, *range(10, 20))
            await until("all", lambda: set(receiver.taken) == set(ids))
            assert list(dict.fromkeys(receiver.taken)) == ids


async def test_the_gateway_delivers_and_dead_letters_can_be_replayed(
    kafka: KafkaServer, topics: Topics, address: str, tmp_path: Path
) -> None:
    async with Receiver(lambda *_: web.Response(status=422)) as receiver:
        file = subscriptions_file(tmp_path, desk=receiver.toml)
        gateway = Gateway(kafka, topics, file)
        env = environment(address, topics, subscriptions=file, topic_undelivered=gateway.undelivered, gateway_port=0)
        command = [sys.executable, "-m", "stream.cli", "gateway"]
        served = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.DEVNULL)
        try:
            await until("its place", lambda: len(gateway.committed("desk.hook")) == 4)
            ids = send(address, topics, "a", "b", "c")
            await until("dead letters", lambda: len(consume_all(address, gateway.undelivered)) == 3)
            receiver.answer = lambda *_: web.Response()
            dry = await ajil(env, "replay", "desk", "--since", "1h", "--dry-run")
            assert (dry.returncode, dry.stdout.count("the receiver answered 422")) == (0, 3)
            assert receiver.taken == []
            done = await ajil(env, "replay", "desk.hook")
            assert (done.returncode, "3 of 3 alerts delivered" in done.stderr) == (0, True), done.stderr
            assert receiver.taken == ids
            assert (await ajil(env, "replay", "nobody")).returncode == 2
        finally:
            served.terminate()
            code = await served.wait()
        assert code == 0
    failed = await ajil(env, "replay", "desk.hook")  # the receiver is gone
    assert (failed.returncode, "0 of 3 alerts delivered" in failed.stderr) == (1, True)


async def ajil(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream.cli", "subscriptions", *args]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=env, timeout=60, check=False
    )
