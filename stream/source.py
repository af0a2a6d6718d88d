"""A Faust channel over a Kafka topic: it hands out record batches, and publishes and commits what comes back.

Faust's own Kafka transport is not used: it acknowledges records that failed (docs/architecture.md). The agents
stay Faust agents; this service feeds their channel, one batch at a time and at most one ahead of what is delivered, so
that a batch is the unit of back-pressure, of delivery and of repetition.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

import structlog
from mode import Service

from stream.clients import Clients
from stream.errors import AjilError, KafkaError, StoppedUnclean
from stream.patience import GaveUp
from stream.tracing import BatchSpans
from stream.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import faust

    from stream.metrics import Metrics
    from stream.reader import Prepare
    from stream.records import Output, Record
    from stream.settings import Settings
    from stream.tracing import BatchSpan

__all__ = ["RecordBatch", "Source", "Stop"]

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")

BATCH_SHARE = 0.6
"""Of the stop deadline, for batches in hand. The rest is for leaving the groups and for Faust's own shutdown, which
takes up to three seconds."""

log = structlog.get_logger(__name__)


class RecordBatch:
    """Some records, in the order of each partition, to be answered once by `publish`. Without records it is a tick.

    `span` is told of what is done with it.
    """

    def __init__(self, records: Sequence[Record], span: BatchSpan) -> None:
        self.records = records
        self.span = span
        self.begun = time.monotonic()
        self._answer: asyncio.Future[tuple[Sequence[Output], Callable[[], None]]] = (
            asyncio.get_running_loop().create_future()
        )

    def publish(self, outputs: Sequence[Output], delivered: Callable[[], None] = lambda: None) -> None:
        """Hand in everything that is to be written for this batch; `delivered` runs once Kafka has acknowledged it.

        `delivered` runs in the Kafka thread, before the commit.
        """
        self._answer.set_result((outputs, delivered))

    async def answer(self) -> tuple[Sequence[Output], Callable[[], None]]:
        return await self._answer


class Stop:
    """When the process was told to stop, shared by its sources so that they drain together."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self.batch_by: float | None = None
        """The time (`time.monotonic`) by which a batch in hand must be committed; None while the worker runs."""

    @property
    def left(self) -> float:
        """Seconds until the process should have ended."""
        begun = time.monotonic() if self.batch_by is None else self.batch_by - self._deadline * BATCH_SHARE
        return max(0.0, begun + self._deadline - time.monotonic())

    def __call__(self) -> float:
        """Ask every source to stop. Returns the seconds that are left for batches in hand."""
        if self.batch_by is None:
            self.batch_by = time.monotonic() + self._deadline * BATCH_SHARE
        return max(0.0, self.batch_by - time.monotonic())


class Source(Service):
    """Reads `topics` as a member of `group`; `channel` yields a `RecordBatch` when the one before is committed.

    `prepare` runs in the Kafka thread whenever partitions came or went, before the next batch. With `tick`, a
    member that has partitions is also handed an empty batch for every so many seconds without records, so that it can
    publish what time alone brings about. `spans` are told of every batch.
    """

    abstract = False
    essential = True
    """Whether a worker that waits for this source's topics counts as not ready."""
    logger = logging.getLogger("mode.source")  # mode's own words about services are debugging aids, not ours

    def __init__(
        self,
        app: faust.App,
        agent: str,
        *,
        topics: Sequence[str],
        group: str,
        outputs: Sequence[str],
        settings: Settings,
        metrics: Metrics,
        stop: Stop,
        prepare: Prepare = lambda *_: None,
        spans: BatchSpans | None = None,
        transactional: bool,
        tick: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.app = app
        self.agent = agent
        self.channel = app.channel(maxsize=1)
        self.failure: AjilError | None = None
        """Why the worker could not go on, or not end in order."""
        self._settings = settings
        self._metrics = metrics
        self._stopping = stop
        self._spans = spans or BatchSpans()
        self._in_hand = 0
        self._transport = Transport(
            agent,
            Clients(settings, group, transactional=transactional),
            topics,
            settings,
            metrics,
            lambda: stop.batch_by,
            outputs,
            prepare,
        )
        self._tick = tick
        # One thread: it alone touches the clients.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{agent}")
        self._finished = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether the group has told this member which partitions it has, be it none."""
        return self._transport.joined and self._stopping.batch_by is None

    @property
    def idle_seconds(self) -> float:
        """Since the Kafka thread last made progress."""
        return time.monotonic() - self._transport.last_beat

    async def on_start(self) -> None:
        # Faust's gate for streams, which its own consumer would open after a rebalance.
        self.app.flow_control.resume()

    @Service.task
    async def _run(self) -> None:
        try:
            await self._call(self._transport.open)
            # A batch put before the agent has subscribed would vanish.
            while not self.channel.subscriber_count:  # noqa: ASYNC110 (Faust has no event for it)
                await asyncio.sleep(0.02)
            handed = time.monotonic()
            records = await self._call(self._transport.poll)
            while self._stopping.batch_by is None:
                tick = self._tick is not None and self._transport.assigned and time.monotonic() - handed >= self._tick
                if records or tick:
                    handed = time.monotonic()
                    records = await self._handle(records)
                else:
                    records = await self._call(self._transport.poll)
        except GaveUp as gave_up:
            if gave_up.in_hand:
                self._give_up()
        except KafkaError as error:
            self.failure = error
            raise
        finally:
            self._finished.set()

    async def _handle(self, records: Sequence[Record]) -> list[Record]:
        """Have a batch answered and published, and while records wait, the batches behind it. Returns the next records.

        While one batch is on its way to Kafka, the agent has the next one in hand. That one is not published before the
        first is committed; where that fails, or partitions come or go, it is dropped and read again.
        """
        batch = await self._hand_out(records)
        while True:
            outputs, delivered = await batch.answer()
            ahead = await self._read_ahead(batch)
            if ahead is None:
                return await self._call(self._publish_and_poll, batch, outputs, delivered)
            if not await self._call(self._publish, batch, outputs, delivered):
                await ahead.answer()  # the agent must not be at work on it when it is prepared anew
                ahead.span.end(done=False)
                self._return(ahead)
                return await self._call(self._transport.poll)
            batch = ahead
            batch.begun = time.monotonic()  # the time before was the first one's, and is counted with it

    async def _hand_out(self, records: Sequence[Record]) -> RecordBatch:
        batch = RecordBatch(records, self._spans.begin(records))
        self._metrics.consumed.labels(self.agent).inc(len(records))
        self._metrics.in_flight.labels(self.agent).inc(len(records))
        self._in_hand += 1
        await self.channel.put(batch)
        return batch

    async def _read_ahead(self, batch: RecordBatch) -> RecordBatch | None:
        """The batch behind one that was full: where records wait, throughput counts, and else latency."""
        if len(batch.records) < self._settings.batch_size or self._stopping.batch_by is not None:
            return None
        records = await self._call(self._transport.read_ahead)
        return await self._hand_out(records) if records else None

    def _publish(self, batch: RecordBatch, outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
        """In the Kafka thread. Returns False when the batch is to be read again."""
        size = len(batch.records)

        def acknowledged() -> None:
            delivered()
            self._metrics.in_flight.labels(self.agent).dec(size)

        done = False
        try:
            done = self._transport.publish(batch.records, outputs, acknowledged, batch.span)
        finally:
            batch.span.end(done=done)
        if not done:
            self._return(batch)
            return False
        if size:
            self._metrics.batch_records.labels(self.agent).observe(size)
            self._metrics.batch.labels(self.agent).observe(time.monotonic() - batch.begun)
        self._in_hand -= 1
        return True

    def _return(self, batch: RecordBatch) -> None:
        self._metrics.returned.labels(self.agent).inc(len(batch.records))
        self._metrics.in_flight.labels(self.agent).dec(len(batch.records))
        self._in_hand -= 1

    def _publish_and_poll(
        self, batch: RecordBatch, outputs: Sequence[Output], delivered: Callable[[], None]
    ) -> list[Record]:
        """In the Kafka thread, without going back to the event loop in between, which costs as much as a commit."""
        self._publish(batch, outputs, delivered)
        return self._transport.poll()

    async def _call(self, step: Callable[[Unpack[_Args]], _T], *args: *_Args) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step, *args)

    def _give_up(self) -> None:
        self.failure = StoppedUnclean(
            f"the {self.agent} agent could not finish its batch within the stop deadline of "
            f"{self._settings.stop_deadline:.0f} s (AJIL_STOP_DEADLINE); it is not committed and will be read again"
        )

    async def on_stop(self) -> None:
        """Finish the batch in hand, commit it, leave the group: each within its part of the stop deadline."""
        left = self._stopping()
        if not self.app.crashed and not self._finished.is_set():
            try:
                # An idle poll, or one attempt to reach a broker that is away, may have to end first.
                await asyncio.wait_for(self._finished.wait(), left + 2.5)
            except TimeoutError:
                if self._in_hand:
                    self._give_up()
        try:
            close = partial(self._transport.close, crashed=self.app.crashed)
            await asyncio.wait_for(self._call(close), self._settings.stop_deadline * 0.1)
        except TimeoutError:
            log.warning("left the group without its coordinator's answer", agent=self.agent)
        self._thread.shutdown(wait=False)
        log.info("stopped", agent=self.agent)
