"""What an agent is handed when nothing comes, what is told of a batch, and the time that a stop has."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import faust
import pytest

from stream.metrics import Metrics
from stream.records import Place, Record
from stream.settings import Settings
from stream.source import Source, Stop
from stream.tracing import BatchSpan, BatchSpans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.records import Output


FULL = 2


def record(offset: int) -> Record:
    return Record(Place("raw", 0, offset), datetime(2026, 1, 2, tzinfo=UTC), None, b"v", [])


class BusyTransport:
    """A backlog of two full batches and half a one. `aborted` batches are refused once and read again."""

    joined = assigned = True
    last_beat = 0.0

    def __init__(self, aborted: set[int]) -> None:
        self.aborted = aborted
        self.position = 0
        self.told: list[tuple[str, int]] = []
        """What was done, with the offset of the batch's first record."""
        self.handed = 0
        """Batches."""
        self.done = threading.Event()

    def open(self) -> None:
        """At once."""

    def read_ahead(self) -> list[Record]:
        records = [record(n) for n in range(self.position, min(5, self.position + FULL))]
        self.position += len(records)
        self.handed += bool(records)
        return records

    def poll(self) -> list[Record]:
        if self.position == 5:
            self.done.set()
            time.sleep(0.001)
        return self.read_ahead()

    def publish(
        self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None], _: BatchSpan
    ) -> bool:
        first = records[0].place.offset
        for _ in range(30_000):  # what the agent has in hand meanwhile shows in time, not at once
            if [what for what, _ in self.told].count("classified") == self.handed:
                break
            time.sleep(0.001)
        if first in self.aborted:
            self.aborted.remove(first)
            self.position = first
            self.told.append(("aborted", first))
            return False
        self.told.append(("published", first))
        delivered()
        return True

    def close(self, *, crashed: bool = False) -> None:
        """At once."""


async def backlog(*aborted: int, spans: BatchSpans | None = None) -> tuple[list[tuple[str, int]], Metrics]:
    """What happens to the backlog, in order."""
    app = faust.App("test", broker="kafka://127.0.0.1:1", store="memory://", loop=asyncio.get_running_loop())
    transport, metrics = BusyTransport(set(aborted)), Metrics()
    source = Source(
        app,
        "classify",
        topics=["raw"],
        group="group",
        outputs=[],
        settings=Settings(batch_size=FULL),
        metrics=metrics,
        stop=Stop(5),
        transactional=False,
        spans=spans,
    )
    source._transport = transport  # type: ignore[assignment]

    async def agent() -> None:
        async for batch in source.channel:
            transport.told.append(("classified", batch.records[0].place.offset))
            batch.publish([])

    answering = asyncio.create_task(agent())
    await source.start()
    assert await asyncio.to_thread(transport.done.wait, 30)
    answering.cancel()
    await source.stop()
    return transport.told, metrics


def test_while_records_wait_the_agent_has_the_next_batch_in_hand_before_one_is_published() -> None:
    told, metrics = asyncio.run(backlog())
    assert told == [
        ("classified", 0),
        ("classified", 2),
        ("published", 0),
        ("classified", 4),
        ("published", 2),
        ("published", 4),
    ]
    assert metrics.registry.get_sample_value("ajil_records_in_flight", {"agent": "classify"}) == 0
    assert metrics.registry.get_sample_value("ajil_records_consumed_total", {"agent": "classify"}) == 5


def test_the_batch_behind_an_aborted_one_is_dropped_and_read_again_after_it() -> None:
    spans = KeptSpans()
    told, metrics = asyncio.run(backlog(0, spans=spans))
    assert spans.told[:4] == ["begin 2", "begin 2", "not done", "not done"]
    assert spans.told[4:].count("done") == 3
    assert told[:4] == [("classified", 0), ("classified", 2), ("aborted", 0), ("classified", 0)]
    assert [at for what, at in told if what == "published"] == [0, 2, 4]
    assert metrics.registry.get_sample_value("ajil_records_in_flight", {"agent": "classify"}) == 0
    assert metrics.registry.get_sample_value("ajil_records_consumed_total", {"agent": "classify"}) == 9
    assert metrics.registry.get_sample_value("ajil_records_returned_total", {"agent": "classify"}) == 4


class QuietTransport:
    """Has partitions, and never a record."""

    joined = assigned = True

    def __init__(self) -> None:
        self.published: list[Sequence[Output]] = []
        self.closed = False

    @property
    def last_beat(self) -> float:
        return time.monotonic()

    def open(self) -> None:
        """At once."""

    def poll(self) -> list[Record]:
        time.sleep(0.001)
        return []

    def publish(
        self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None], _: BatchSpan
    ) -> bool:
        assert not records
        self.published.append(outputs)
        delivered()
        return True

    def close(self, *, crashed: bool = False) -> None:
        self.closed = True


class AbortingTransport(QuietTransport):
    """Has one record, whose first transaction is aborted: it comes again."""

    def __init__(self) -> None:
        super().__init__()
        self._left = [[Record(Place("raw", 0, 0), datetime.now(UTC), None, b"", [])] for _ in range(2)]

    def poll(self) -> list[Record]:
        return self._left.pop() if self._left else super().poll()

    def publish(
        self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None], _: BatchSpan
    ) -> bool:
        self.published.append(outputs)
        return len(self.published) == 2


class KeptSpans(BatchSpans):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, records: Sequence[Record]) -> BatchSpan:
        self.told.append(f"begin {len(records)}")
        return KeptSpan(self.told)


class KeptSpan(BatchSpan):
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def end(self, *, done: bool) -> None:
        self._told.append("done" if done else "not done")


async def quiet(
    tick: float | None,
    batches: int,
    transport: QuietTransport | None = None,
    spans: BatchSpans | None = None,
) -> tuple[QuietTransport, Metrics]:
    """An agent answers so many batches, or none comes."""
    app = faust.App("test", broker="kafka://127.0.0.1:1", store="memory://", loop=asyncio.get_running_loop())
    transport, metrics = transport or QuietTransport(), Metrics()
    source = Source(
        app,
        "alerts",
        topics=["raw"],
        group="group",
        outputs=[],
        settings=Settings(),
        metrics=metrics,
        stop=Stop(5),
        transactional=True,
        tick=tick,
        spans=spans,
    )
    source._transport = transport  # type: ignore[assignment]

    async def agent() -> None:
        answered = 0
        async for batch in source.channel:
            batch.publish([])
            answered += 1
            if answered == batches:
                return

    answering = asyncio.create_task(agent())
    await source.start()
    done, _ = await asyncio.wait({answering}, timeout=30 if batches else 0.2)
    answering.cancel()
    for task in done:
        task.result()
    await source.stop()
    return transport, metrics


def test_an_agent_that_asks_is_handed_empty_batches_while_nothing_comes() -> None:
    spans = KeptSpans()
    transport, metrics = asyncio.run(quiet(0.01, batches=3, spans=spans))
    assert set(spans.told) == {"begin 0", "done"}
    assert len(transport.published) >= 2
    assert transport.closed
    assert metrics.registry.get_sample_value("ajil_batch_size_records_count", {"agent": "alerts"}) in (None, 0)


def test_others_are_handed_nothing() -> None:
    transport, _ = asyncio.run(quiet(None, batches=0))
    assert transport.published == []


def test_the_spans_are_told_of_a_batch_that_is_not_committed_and_of_its_repeat() -> None:
    spans = KeptSpans()
    _, metrics = asyncio.run(quiet(None, 2, AbortingTransport(), spans))
    assert spans.told == ["begin 1", "not done", "begin 1", "done"]
    assert metrics.registry.get_sample_value("ajil_records_returned_total", {"agent": "alerts"}) == 1


def test_what_is_left_of_the_stop_deadline_counts_from_the_signal() -> None:
    stop = Stop(20)
    assert stop.left == pytest.approx(20, abs=1)
    stop()
    assert stop.batch_by is not None
    assert stop.left == pytest.approx(20, abs=1)
    stop.batch_by -= 15
    assert stop.left == pytest.approx(5, abs=1)
    stop.batch_by -= 15
    assert stop.left == 0
