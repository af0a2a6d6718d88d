"""The broker that the other tests stand on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from tests.kafka_client import Record, Topics, consume_all, create_topic, produce
from tests.kafka_server import KafkaServer, KafkaServerError, Listener
from tests.ports import free_ports, is_open

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_round_trip_keeps_every_part_of_a_record(kafka: KafkaServer, topics: Topics) -> None:
    sent = [
        Record("خبر".encode(), key=b"a", headers=(("traceparent", b"00-1"), ("empty", None)), timestamp=1_000),
        Record(None, key=b"tombstone"),
        Record(b"", headers=(("twice", b"1"), ("twice", b"2"))),
        Record(None),
    ]

    placed = produce(kafka.address, topics.raw, sent)

    assert set(consume_all(kafka.address, topics.raw)) == set(placed)
    assert [(p.value, p.key, p.headers) for p in placed] == [(s.value, s.key, s.headers) for s in sent]
    assert placed[0].timestamp == 1_000


def test_sets_of_topics_do_not_touch_each_other(kafka: KafkaServer, topics: Topics) -> None:
    produce(kafka.address, topics.enriched, [b"x"])

    assert consume_all(kafka.address, topics.raw) == []


def test_rejected_takes_what_raw_refuses(kafka: KafkaServer, topics: Topics) -> None:
    large = bytes(13 * 1024 * 1024)

    with pytest.raises(KafkaException) as refusal:
        produce(kafka.address, topics.raw, [large])
    produce(kafka.address, topics.rejected, [large])

    assert refusal.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert [len(record.value or b"") for record in consume_all(kafka.address, topics.rejected)] == [len(large)]


def test_topics_are_not_made_by_asking(kafka: KafkaServer) -> None:
    client = Producer({"bootstrap.servers": kafka.address})

    asked = client.list_topics("nobody.created.this", timeout=30).topics["nobody.created.this"]

    assert asked.error is not None
    assert asked.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert "nobody.created.this" not in client.list_topics(timeout=30).topics


def test_isolation_hides_what_a_transaction_aborted(kafka: KafkaServer, topics: Topics) -> None:
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topics.signals})
    producer.init_transactions(30)
    for value, end in ((b"kept", producer.commit_transaction), (b"dropped", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topics.signals, value, partition=0)
        producer.flush(30)
        end(30)

    def values(isolation: str) -> list[bytes | None]:
        return [record.value for record in consume_all(kafka.address, topics.signals, isolation=isolation)]

    assert values("read_committed") == [b"kept"]
    assert values("read_uncommitted") == [b"kept", b"dropped"]


def test_data_survives_a_hard_crash_and_a_restart(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    server.start()
    try:
        before = server.address
        create_topic(server.address, "kept", partitions=2)
        placed = produce(server.address, "kept", [b"%d" % number for number in range(1000)])

        server.kill()
        assert not server.is_running
        server.start()
        after_kill = consume_all(server.address, "kept")

        server.stop()
        server.start()

        assert server.address == before
        assert set(after_kill) == set(placed)
        assert consume_all(server.address, "kept") == after_kill
    finally:
        server.stop()


def test_a_listener_can_send_its_clients_elsewhere(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path, listeners={"PROXIED": Listener(advertised="127.0.0.1:9")})
    server.start()
    try:
        told = Producer({"bootstrap.servers": server.addresses["PROXIED"]}).list_topics(timeout=30).brokers
    finally:
        server.stop()

    assert [(broker.host, broker.port) for broker in told.values()] == [("127.0.0.1", 9)]


def test_a_failed_start_shows_what_kafka_said(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path, properties={"num.network.threads": "none"})

    with pytest.raises(KafkaServerError, match=r"num\.network\.threads"):
        server.start()

    assert not server.is_running


def test_a_taken_port_is_named(kafka: KafkaServer, tmp_path: Path) -> None:
    port = int(kafka.address.rpartition(":")[2])

    with pytest.raises(KafkaServerError, match=f"port {port} is taken"):
        KafkaServer(tmp_path, port=port).start()


@pytest.fixture
def foreground(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The broker as `make kafka` runs it: its process, when it says that it listens, and its address."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.kafka_server", "--port", str(port), "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "Starting" in process.stdout.readline()
            assert f"listens on 127.0.0.1:{port}" in process.stdout.readline()
            yield process, f"127.0.0.1:{port}"
        finally:
            process.kill()


def test_the_foreground_broker_ends_cleanly(foreground: tuple[subprocess.Popen[str], str]) -> None:
    process, address = foreground

    process.send_signal(signal.SIGINT)

    assert process.communicate(timeout=60)[0] == "Stopped.\n"
    assert process.returncode == 0
    assert not is_open(address)


def test_no_broker_outlives_a_run_that_was_killed(foreground: tuple[subprocess.Popen[str], str]) -> None:
    process, address = foreground

    process.kill()

    deadline = time.monotonic() + 30
    while is_open(address) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_open(address)
