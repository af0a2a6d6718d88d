"""What an agent is handed when nothing comes, what is told of a batch, and the time that a stop has."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import faust
import pytest

from stream.metrics import Metrics
from stream.records import Place, Record
from stream.settings import Settings
from stream.source import Source, Stop
from stream.tracing import BatchSpans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.records import Output


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

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
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

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
        self.published.append(outputs)
        return len(self.published) == 2


class KeptSpans(BatchSpans):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, records: Sequence[Record]) -> None:
        self.told.append(f"begin {len(records)}")

    def end(self, *, done: bool) -> None:
        self.told.append("done" if done else "not done")


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
