"""What an agent is handed when nothing comes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import faust

from stream.metrics import Metrics
from stream.settings import Settings
from stream.source import Source, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.records import Output, Record


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


async def quiet(tick: float | None, batches: int) -> tuple[QuietTransport, Metrics]:
    """An agent answers so many batches, or none comes."""
    app = faust.App("test", broker="kafka://127.0.0.1:1", store="memory://", loop=asyncio.get_running_loop())
    transport, metrics = QuietTransport(), Metrics()
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
    )
    source._transport = transport  # type: ignore[assignment]

    async def agent() -> None:
        answered = 0
        async for batch in source.channel:
            assert batch.records == []
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
    transport, metrics = asyncio.run(quiet(0.01, batches=3))
    assert len(transport.published) >= 2
    assert transport.closed
    assert metrics.registry.get_sample_value("ajil_batch_size_records_count", {"agent": "alerts"}) in (None, 0)


def test_others_are_handed_nothing() -> None:
    transport, _ = asyncio.run(quiet(None, batches=0))
    assert transport.published == []
