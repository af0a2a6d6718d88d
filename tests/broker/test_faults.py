"""A short selection of the fault runs; `make faults` runs them all, and at length."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.broker.faults.load import Feeder, seeded
from tests.broker.faults.proxy import Proxy
from tests.broker.faults.runs import Runs, broken_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kafka_client import Topics
    from tests.kafka_server import KafkaServer


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with broken_kafka(tmp_path_factory.mktemp("faults")) as started:
        yield started


@pytest.mark.parametrize(
    ("scenario", "delivery"),
    [
        ("poison", "at_least_once"),
        ("poison", "exactly_once"),
        ("kill", "at_least_once"),
        ("kill", "exactly_once"),
        ("broker_kill", "at_least_once"),
        ("short_cut", "exactly_once"),
    ],
)
def test_nothing_is_lost(runs: Runs, scenario: str, delivery: str) -> None:
    result = runs.classify(scenario, delivery, articles=800, kills=4)
    assert result.books.produced >= 800
    assert result.faults == []


def test_a_worker_that_commits_before_it_sends_is_caught(runs: Runs) -> None:
    result = runs.other_worker("commit_before_send", articles=1000, kills=1)
    assert result.books.lost > 0


def test_records_that_were_acknowledged_without_their_place_are_looked_up(kafka: KafkaServer, topics: Topics) -> None:
    items = [*seeded(30, seed=1), *seeded(3, seed=1)]
    feeder = Feeder(kafka.address, topics.raw, items, rate=1000)
    feeder.start()
    feeder.join(30)
    placed = dict(feeder.placed)
    assert len(placed) == 33
    for place in sorted(placed)[::2]:
        feeder.unplaced.append((place[0], feeder.placed.pop(place)))
    feeder.look_up()
    assert feeder.unplaced == []
    assert {place: item.record.value for place, item in feeder.placed.items()} == {
        place: item.record.value for place, item in placed.items()
    }


@pytest.fixture
def line() -> Iterator[tuple[Proxy, socket.socket, socket.socket]]:
    """A proxy, a client's socket, and the server's end of that connection."""
    proxy = Proxy()
    host, _, port = proxy.address.rpartition(":")
    with socket.create_server((host, 0)) as server:
        proxy.target = f"{host}:{server.getsockname()[1]}"
        with socket.create_connection((host, int(port)), timeout=30) as client:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(30)
                yield proxy, client, peer
    proxy.close()


def test_the_proxy_holds_back_what_is_sent_in_a_cut(line: tuple[Proxy, socket.socket, socket.socket]) -> None:
    proxy, client, peer = line
    client.sendall(b"before")
    assert peer.recv(100) == b"before"
    proxy.cut()
    client.sendall(b"during")
    peer.settimeout(0.3)
    with pytest.raises(TimeoutError):
        peer.recv(100)
    peer.settimeout(30)
    proxy.mend()
    assert peer.recv(100) == b"during"


def test_the_proxy_resets_both_ends(line: tuple[Proxy, socket.socket, socket.socket]) -> None:
    proxy, client, peer = line
    client.sendall(b"x")
    assert peer.recv(100) == b"x"
    proxy.reset()
    for end in (client, peer):
        with pytest.raises(ConnectionResetError):
            end.recv(100)
