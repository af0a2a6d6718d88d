"""Whatever comes between two batches in hand, a source accounts for every record and ends every span."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import faust
import pytest

from stream.metrics import Metrics
from stream.records import Output
from stream.settings import Settings
from stream.source import Source, Stop
from stream.tracing import BatchSpan, BatchSpans
from stream.transport import Transport
from tests.stream.fake_kafka import FakeClients, FakeKafka

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.records import Record

BATCH, RECORDS, PARTITIONS = 4, 160, 2
FAULTS = [
    *(("consume", fault) for fault in ("rebalance", "expel")),
    *(("commit", fault) for fault in ("fail", "late", "rebalance", "expel")),
    *(("commit_transaction", fault) for fault in ("fail", "lose", "rebalance", "refuse")),
]


class Counted(BatchSpans):
    """How often each batch's span was ended."""

    def __init__(self) -> None:
        self.ends: list[list[bool]] = []

    def begin(self, records: Sequence[Record]) -> BatchSpan:
        self.ends.append([])
        return CountedSpan(self.ends[-1])


class CountedSpan(BatchSpan):
    def __init__(self, ends: list[bool]) -> None:
        self._ends = ends

    def end(self, *, done: bool) -> None:
        self._ends.append(done)


async def run(kafka: FakeKafka, chance: random.Random) -> tuple[Metrics, Counted, list[int]]:
    """Everything is read, with faults; returns how many records were told to be delivered at a time."""
    app = faust.App("test", broker="kafka://127.0.0.1:1", store="memory://", loop=asyncio.get_running_loop())
    metrics, spans, settings = Metrics(), Counted(), Settings(batch_size=BATCH)
    source = Source(
        app,
        "classify",
        topics=["raw"],
        group="group",
        outputs=["out"],
        settings=settings,
        metrics=metrics,
        stop=Stop(5),
        transactional=kafka.exactly_once,
        spans=spans,
    )
    clients = FakeClients(kafka, "slot-1")
    source._transport = Transport(
        "classify",
        clients,  # type: ignore[arg-type]
        ["raw"],
        settings,
        metrics,
        lambda: None,
        ["out"],
        lambda *_: None,
        lambda _: None,
    )
    delivered: list[int] = []

    async def agent() -> None:
        async for batch in source.channel:
            if chance.random() < 0.5:
                kafka.faults = dict([chance.choice(FAULTS)])
            await asyncio.sleep(0)
            size = len(batch.records)
            outputs = [Output("out", None, b"%d %d" % record.place[1:], []) for record in batch.records]
            batch.publish(outputs, lambda size=size: delivered.append(size))

    answering = asyncio.create_task(agent())
    await source.start()
    async with asyncio.timeout(30):
        while {p: place.offset for p, place in kafka.committed.items()} != kafka.ends:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    kafka.faults = {}
    await source.stop()
    answering.cancel()
    return metrics, spans, delivered


@pytest.mark.parametrize("exactly_once", [False, True], ids=["at_least_once", "exactly_once"])
@pytest.mark.parametrize("seed", range(4))
def test_consumed_is_delivered_returned_and_in_flight(seed: int, exactly_once: bool) -> None:
    kafka = FakeKafka(PARTITIONS, exactly_once=exactly_once)
    kafka.ends = dict.fromkeys(range(PARTITIONS), RECORDS // PARTITIONS)

    metrics, spans, delivered = asyncio.run(run(kafka, random.Random(seed)))

    def counted(name: str) -> float:
        return metrics.registry.get_sample_value(f"ajil_records_{name}", {"agent": "classify"}) or 0.0

    assert set(kafka.outputs) == {(p, n) for p, end in kafka.ends.items() for n in range(end)}
    assert counted("in_flight") == 0
    assert counted("consumed_total") == sum(delivered) + counted("returned_total")
    assert all(len(ends) == 1 for ends in spans.ends)
