"""The gateway on a real broker: what it acknowledges is there, and a cut or restart costs its readers nothing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from stream.gateway.metrics import GatewayMetrics
from stream.gateway.reader import TopicReader
from stream.records import Place as RecordPlace
from stream.records import encode, event_id
from stream.settings import Settings
from tests.gateway_process import GatewayProcess
from tests.kafka_client import Record, Topics, consume_all, create_topics, produce
from tests.kafka_server import KafkaServer
from tests.sse import Event, EventReader
from tests.stream.gateway_server import alert, story
from tests.worker_process import environment, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aiokafka import ConsumerRecord


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def gateway(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path, environment(kafka.address, topics, gateway_history=8)) as process:
        yield process.wait_reading()


@asynccontextmanager
async def stream(http: aiohttp.ClientSession, gateway: GatewayProcess, last_id: str = "") -> AsyncIterator[EventReader]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with http.get(f"{gateway.url}/v1/alerts/stream", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        yield EventReader(answer)


def numbers(events: Sequence[Event]) -> list[int]:
    return [int(event.data["alert_id"][3:], 16) for event in events]


def records(*told: int) -> list[Record]:
    return [Record(encode(alert(number)), key=str(number).encode()) for number in told]


async def test_what_is_acknowledged_is_there(
    kafka: KafkaServer, topics: Topics, gateway: GatewayProcess, http: aiohttp.ClientSession
) -> None:
    sent = [{"id": str(number), "title": f"Dam {number} bursts"} for number in range(50)]
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with http.post(f"{gateway.url}/v1/articles", json=sent, headers={"traceparent": parent}) as answer:
        assert answer.status == 202
        told = {article["id"]: article for article in (await answer.json())["articles"]}

    found = consume_all(kafka.address, topics.raw)

    assert {(record.key or b"").decode(): json.loads(record.value or b"") for record in found} == {
        article["id"]: article for article in sent
    }
    for record in found:
        article = told[(record.key or b"").decode()]
        assert (article["partition"], article["offset"]) == (record.partition, record.offset)
        assert article["event_id"] == event_id(RecordPlace(topics.raw, record.partition, record.offset))
        assert record.headers == (("content-type", b"application/json"), ("traceparent", parent.encode()))

    async with http.post(f"{gateway.url}/v1/feedback", json={"id": "7", "topic": "sport"}) as answer:
        assert answer.status == 202
    (feedback,) = consume_all(kafka.address, topics.feedback)
    assert (feedback.key, json.loads(feedback.value or b"")["topic"]) == (b"7", "sport")


async def test_alerts_and_stories_are_read_as_committed(
    kafka: KafkaServer, topics: Topics, gateway: GatewayProcess, http: aiohttp.ClientSession
) -> None:
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topics.alerts, "log_level": 4})
    producer.init_transactions(30)
    async with stream(http, gateway) as reader:
        for number in (1, 2, 3, 4):
            producer.begin_transaction()
            producer.produce(topics.alerts, encode(alert(number)), str(number))
            producer.produce(topics.stories, encode(story(number)), story(number).story_id)
            if number % 2:
                producer.commit_transaction(30)
            else:
                producer.flush(30)
                producer.abort_transaction(30)
        assert numbers(await reader.take(2)) == [1, 3]
    for number, status in ((1, 200), (2, 404), (3, 200)):
        async with http.get(f"{gateway.url}/v1/stories/{story(number).story_id}") as answer:
            assert answer.status == status
    # A tombstone takes the story away.
    produce(kafka.address, topics.stories, [Record(None, key=story(1).story_id.encode())])
    while True:
        async with http.get(f"{gateway.url}/v1/stories") as answer:
            if (await answer.json())["total"] == 1:
                break
        await asyncio.sleep(0.1)


async def test_a_stream_resumes_where_it_was_cut_over_restarts_of_the_gateway(
    kafka: KafkaServer, topics: Topics, gateway: GatewayProcess, http: aiohttp.ClientSession
) -> None:
    """With a memory of 8 alerts, most of the way is read from Kafka."""
    seen: Counter[int] = Counter()
    async with stream(http, gateway) as reader:
        produce(kafka.address, topics.alerts, records(*range(7)))
        seen.update(numbers(await reader.take(7)))
        position = reader.last_id
    for stop in (gateway.stop, gateway.kill):
        stop()
        produce(kafka.address, topics.alerts, records(*range(len(seen) * 10, len(seen) * 10 + 20)))
        gateway.start()
        gateway.wait_reading()
        async with stream(http, gateway, position) as reader:
            seen.update(numbers(await reader.take(11)))
            position = reader.last_id
    async with stream(http, gateway, position) as reader:
        seen.update(numbers(await reader.take(47 - 29)))
        # Nothing but what is new comes after that.
        produce(kafka.address, topics.alerts, records(1000))
        assert numbers(await reader.take(1)) == [1000]

    assert len(seen) == 47
    assert set(seen.values()) == {1}


async def test_a_stop_is_clean_for_streams_and_requests(
    kafka: KafkaServer, topics: Topics, gateway: GatewayProcess, http: aiohttp.ClientSession
) -> None:
    async with stream(http, gateway) as reader:
        slow_body = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b'{"id": "1", '
            await slow_body.wait()
            yield b'"title": "Dam bursts"}'

        headers = {"Content-Type": "application/json"}
        posting = asyncio.create_task(http.post(f"{gateway.url}/v1/articles", data=body(), headers=headers))
        await asyncio.sleep(0.3)
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        assert await reader.next() is None
        slow_body.set()
        answer = await posting
        assert answer.status == 202
        answer.release()
        assert await stopping == 0
    assert len(consume_all(kafka.address, topics.raw)) == 1


async def test_while_kafka_is_away_nothing_is_acknowledged_and_nothing_acknowledged_is_lost(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    topics = create_topics(server.address)
    env = environment(server.address, topics, gateway_produce_timeout=2)
    acknowledged: list[str] = []
    refused = 0

    async def send(id_: str) -> bool:
        nonlocal refused
        article = {"id": id_, "title": f"Dam {id_} bursts"}
        async with http.post(f"{gateway.url}/v1/articles", json=article) as answer:
            if answer.status == 202:
                acknowledged.append(id_)
                return True
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            refused += 1
            return False

    try:
        with GatewayProcess(tmp_path, env) as gateway:
            gateway.wait_reading()
            async with stream(http, gateway) as reader:
                sending = [str(number) for number in range(30)]
                for id_ in sending[:10]:
                    assert await send(id_)
                server.kill()
                for id_ in sending[10:]:
                    await send(id_)
                assert refused == 20
                await asyncio.to_thread(server.start)
                await _until_ready(http, gateway)
                for id_ in sending:
                    assert await send(id_)
                # The stream that was open all the time goes on.
                produce(server.address, topics.alerts, records(1))
                assert numbers(await reader.take(1)) == [1]
            found = Counter((record.key or b"").decode() for record in consume_all(server.address, topics.raw))
            assert set(acknowledged) == set(sending) == set(found)
            assert max(found.values()) == 1, "a repeat of what was on its way was produced again"
            assert gateway.stop() == 0
    finally:
        if server.is_running:
            server.stop()


async def test_it_starts_without_kafka_and_says_what_it_waits_for(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    topics = create_topics(server.address)
    server.stop()
    with GatewayProcess(tmp_path, environment(server.address, topics)) as gateway:
        gateway.wait_serving()
        async with http.get(f"{gateway.url}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{gateway.url}/readyz") as answer:
            assert (answer.status, (await answer.json())["ok"]) == (503, False)
        wait_for("a word", lambda: gateway.logged("waiting for Kafka"))
        server.start()
        try:
            gateway.wait_reading()
            await _until_ready(http, gateway)
        finally:
            server.stop()


async def _until_ready(http: aiohttp.ClientSession, gateway: GatewayProcess) -> None:
    for _ in range(300):
        async with http.get(f"{gateway.url}/readyz") as answer:
            if answer.status == 200:
                return
        await asyncio.sleep(0.1)
    pytest.fail("not ready in 30 s")


async def test_a_reader_finds_new_partitions_and_reads_them_from_their_beginning(
    kafka: KafkaServer, topics: Topics
) -> None:
    found: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
    started: list[tuple[int, int]] = []

    async def take(read: Sequence[ConsumerRecord[Any, Any]]) -> None:
        for record in read:
            found.put_nowait((record.partition, record.offset))

    produce(kafka.address, topics.alerts, [Record(b"0", partition=0)] * 12)
    reader = TopicReader(
        Settings(brokers=kafka.address),
        topics.alerts,
        GatewayMetrics(),
        tail=8,
        start=lambda partition, offset: started.append((partition, offset)),
        take=take,
        loaded=asyncio.Event(),
        refresh=0.5,
    )
    running = asyncio.create_task(reader.run())
    try:
        assert [await found.get(), await found.get()] == [(0, 10), (0, 11)]
        admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 4})
        for created in admin.create_partitions([NewPartitions(topics.alerts, 6)]).values():
            await asyncio.to_thread(created.result, 30)
        await asyncio.to_thread(produce, kafka.address, topics.alerts, [Record(b"5", partition=5)])
        assert await found.get() == (5, 0)
        assert started == [(0, 10), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]
    finally:
        running.cancel()
        await asyncio.wait([running])
