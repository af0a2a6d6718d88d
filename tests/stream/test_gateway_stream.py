"""`GET /v1/alerts/stream`: what comes, from where, and that a cut loses and repeats nothing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.gateway.fanout import Fanout, Subscriber
from stream.gateway.filters import Filter
from stream.gateway.history import History, unseen
from stream.gateway.metrics import GatewayMetrics
from stream.gateway.positions import position_text, read_position
from tests.sse import Event, EventReader
from tests.stream.gateway_server import Running, alert, running


async def read_some(at: Running, count: int, last_id: str | None = None, **query: str) -> tuple[list[Event], str]:
    """The next events of a stream of its own, and the position after them."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with at.client.get("/v1/alerts/stream", params=query, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        reader = EventReader(answer)
        found = await reader.take(count)
        return found, reader.last_id


def numbers(events: list[Event]) -> list[int]:
    return [int(event.data["alert_id"][3:], 16) for event in events]


async def test_alerts_come_as_events() -> None:
    async with running() as at, at.client.get("/v1/alerts/stream") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.content.readuntil(b"\n\n") == b"retry: 2000\nid: 0.0\n\n"
        await at.feed((1, alert(1, title="line\nline\u2028line", kind="confirmed")))
        lines = (await answer.content.readuntil(b"\n\n")).decode().split("\n")
        assert lines[0] == "id: 0.1"
        assert lines[1] == "event: confirmed"
        assert lines[2].startswith('data: {"schema_version":1,')
        assert lines[3:] == ["", ""]


async def test_a_stream_starts_now_unless_told_where() -> None:
    async with running() as at:
        await at.feed((0, alert(1)), (1, alert(2)))
        async with at.client.get("/v1/alerts/stream") as answer:
            await answer.content.readuntil(b"\n\n")
            await at.feed((0, alert(3)))
            assert numbers(await EventReader(answer).take(1)) == [3]
        assert numbers((await read_some(at, 3, after="0.0"))[0]) == [1, 2, 3]
        assert numbers((await read_some(at, 1, last_id="1.1", after="0.0"))[0]) == [3]


async def test_the_list_says_where_the_stream_goes_on() -> None:
    async with running() as at:
        await at.feed((0, alert(1)), (1, alert(2)))
        position = (await (await at.client.get("/v1/alerts")).json())["position"]
        await at.feed((0, alert(3)))
        assert numbers((await read_some(at, 1, after=position))[0]) == [3]


async def test_a_filtered_stream_gets_what_passes_and_no_more() -> None:
    async with running() as at:
        await at.feed((0, alert(1)), (0, alert(2, lang="ar")), (1, alert(3)), (1, alert(4, lang="ar")))
        async with at.client.get("/v1/alerts/stream", params={"lang": "ar", "after": "0.0"}) as answer:
            reader = EventReader(answer)
            assert numbers(await reader.take(2)) == [2, 4]
            await at.feed((0, alert(5)), (0, alert(6, lang="ar")))
            assert numbers(await reader.take(1)) == [6]


@pytest.mark.parametrize("query", ["lnag=ar", "kind=open", "limit=5", "topic=" + "a," * 101])
async def test_a_misspelt_filter_is_refused(query: str) -> None:
    async with running() as at:
        assert (await at.client.get(f"/v1/alerts/stream?{query}")).status == 400


async def test_what_is_no_alert_is_passed_over() -> None:
    async with running() as at:
        await at.feed((0, b"{broken"), (0, b'{"alert_id": 1}'), (0, alert(1)))
        found, last_id = await read_some(at, 1, after="0.0")
        assert (numbers(found), last_id) == ([1], "3.0")


async def test_a_position_of_another_topic_is_told() -> None:
    async with running() as at:
        await at.feed((0, alert(1)))
        for position in ("1.2.3", "some-uuid", "-1.0"):
            (event,), last_id = await read_some(at, 1, last_id=position)
            assert (event.name, event.data, last_id) == ("reset", {"reason": "unknown"}, "1.0")


async def test_a_reader_ahead_of_this_gateway_gets_nothing_twice() -> None:
    async with running() as at:
        await at.feed((0, alert(1)))
        async with at.client.get("/v1/alerts/stream", headers={"Last-Event-ID": "3.0"}) as answer:
            reader = EventReader(answer)
            await at.feed((0, alert(2)), (1, alert(10)), (0, alert(3)))
            await at.feed((0, alert(4)))
            found = await reader.take(2)
            assert numbers(found) == [10, 4]
            # The ids never go back behind what the reader had seen.
            assert [event.id for event in found] == ["3.1", "4.1"]


async def test_a_reader_that_does_not_read_is_ended_and_others_do_not_notice() -> None:
    async with running() as at:
        at.gateway.alerts.fanout.patience = 0.2
        async with (
            at.client.get("/v1/alerts/stream", params={"after": "0.0"}) as slow,
            at.client.get("/v1/alerts/stream", params={"after": "0.0"}) as fast,
        ):
            slow.connection.transport.pause_reading()  # type: ignore[union-attr]
            reader = EventReader(fast)
            large = "word " * 20_000
            number = 0
            while not at.gateway.metrics.dropped._value.get():
                number += 1
                await at.feed((number % 2, alert(number, title=large)))
                assert numbers(await reader.take(1)) == [number]
            await at.feed((0, alert(7)))
            assert numbers(await reader.take(1)) == [7]


async def test_a_reader_that_leaves_is_no_error() -> None:
    async with running() as at:
        for query in ({}, {"after": "0.0"}, {"after": "9.9"}):
            answer = await at.client.get("/v1/alerts/stream", params=query)
            await answer.content.readuntil(b"\n\n")
            answer.close()
            await asyncio.sleep(0.02)
            await at.feed((0, alert(1)))
        while at.gateway.metrics.subscribers._value.get():  # noqa: ASYNC110 (a gauge has no event)
            await asyncio.sleep(0.02)
        assert 'status="500"' not in await (await at.client.get("/metrics")).text()


async def test_a_batch_larger_than_the_history_ends_streams_that_missed_some() -> None:
    async with running(gateway_history=5) as at, at.client.get("/v1/alerts/stream") as answer:
        await answer.content.readuntil(b"\n\n")
        await at.feed(*((0, alert(number)) for number in range(20)))
        with pytest.raises(Exception, match=r"."):
            await EventReader(answer).take(20)


async def test_streams_end_cleanly_when_the_gateway_stops() -> None:
    async with running() as at:
        answers = [await at.client.get("/v1/alerts/stream", params=query) for query in ({}, {"lang": "ar"})]
        await at.feed((0, alert(1)))
        at.gateway.alerts.fanout.stop()
        assert [(await EventReader(answer).next() is None) for answer in answers[1:]] == [True]
        reader = EventReader(answers[0])
        assert numbers(await reader.take(1)) == [1]
        assert await reader.next() is None


async def test_only_so_many_streams_are_open() -> None:
    async with running(gateway_subscribers=1) as at, at.client.get("/v1/alerts/stream") as first:
        assert first.status == 200
        second = await at.client.get("/v1/alerts/stream")
        assert (second.status, second.headers["Retry-After"]) == (503, "10")


async def test_a_heartbeat_moves_the_position_of_a_quiet_stream() -> None:
    async with running() as at, at.client.get("/v1/alerts/stream", params={"lang": "ar"}) as answer:
        beating = asyncio.create_task(at.gateway.alerts.fanout.beat(0.02))
        await at.feed((0, alert(1)), (1, alert(2)))
        while await answer.content.readuntil(b"\n\n") != b": heartbeat\nid: 1.1\n\n":
            pass
        beating.cancel()


# One topic as two gateways may read it: the same offsets of each partition, interleaved differently.
Interleaving = list[tuple[int, int]]


def interleave(draw: Any, counts: list[int]) -> Interleaving:
    left = [[(partition, offset) for offset in range(count)] for partition, count in enumerate(counts)]
    order: Interleaving = []
    while any(left):
        order.append(draw(st.sampled_from([records for records in left if records])).pop(0))
    return order


@st.composite
def cuts(draw: Any) -> tuple[list[int], list[tuple[Interleaving, int]]]:
    """How many records each partition has, and a chain of gateways: their order, and how much each one sends."""
    counts = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    chain = [(interleave(draw, counts), draw(st.integers(0, 8))) for _ in range(draw(st.integers(1, 5)))]
    return counts, [*chain, (interleave(draw, counts), sum(counts))]


@given(cuts())
@settings(deadline=None, max_examples=300)
def test_whatever_gateway_a_reader_resumes_at_nothing_is_lost_or_repeated(
    cut: tuple[list[int], list[tuple[Interleaving, int]]],
) -> None:
    counts, chain = cut
    position = position_text([0] * len(counts))
    seen: Counter[int] = Counter()
    for order, length in chain:
        history = History(1000)
        for partition in range(len(counts)):
            history.start(partition, 0)
        for partition, offset in order:
            history.add(partition, offset, alert(partition * 100 + offset))
        at = read_position(position, len(counts))
        assert at is not None
        number = history.since(at)
        assert number is not None
        for event in unseen(history.read(number, 10**9) or [], at, Filter())[:length]:
            told = dict(line.split(": ", 1) for line in event.decode().split("\n") if line)
            seen[int(json.loads(told["data"])["alert_id"][3:], 16)] += 1
            position = told["id"]

    assert seen == Counter(
        partition * 100 + offset for partition, count in enumerate(counts) for offset in range(count)
    )


def test_memory_says_when_it_no_longer_has_what_a_reader_lacks() -> None:
    history = History(3)
    history.start(0, 10)
    history.start(1, 0)
    for offset in range(5):
        history.add(0, 10 + offset, alert(offset))

    assert history.since([11, 0]) is None
    assert history.since([12, 0]) == 2
    assert history.since([14, 0]) == 4
    assert history.since([15, 0]) == history.end == 5
    assert history.read(1, 1) is None
    assert [entry.offset for entry in history.read(2, 1) or []] == [12]


class Connection:
    """Takes whatever is written to it."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_extra_info(self, name: str) -> None:
        return None


async def test_a_stream_that_comes_in_while_alerts_are_sent_gets_none_twice() -> None:
    history = History(10)
    history.start(0, 0)
    fanout = Fanout(history, GatewayMetrics())
    early, late = Connection(), Connection()

    async def come_in(connection: Connection) -> asyncio.Task[None]:
        subscriber = Subscriber(connection, connection, Filter(), history.end, None, 20.0)  # type: ignore[arg-type]
        task = asyncio.create_task(fanout.serve(subscriber))
        await asyncio.sleep(0)
        return task

    tasks = [await come_in(early)]
    history.add(0, 0, alert(1))
    tasks.append(await come_in(late))
    await fanout.publish(0)
    history.add(0, 1, alert(2))
    await fanout.publish(1)
    fanout.stop()
    await asyncio.gather(*tasks)

    assert (early.written.count(b"event:"), late.written.count(b"event:")) == (2, 1)
