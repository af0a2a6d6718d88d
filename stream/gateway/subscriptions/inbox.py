"""What one destination reads of the alerts topic: a consumer group of its own, committed by hand."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, GroupCoordinatorNotAvailableError, IllegalStateError

from stream.kafka import asyncio_config
from stream.records import Alert, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiokafka import ConsumerRecord, TopicPartition

    from stream.settings import Settings

__all__ = ["Arrived", "Inbox", "Share"]

log = structlog.get_logger(__name__)

LOOK_BACK = 1000
"""Records of a partition that are read again after a start, to know which alerts the destination was told: two days of
a large newsroom, in well under a second."""
MAX_TOLD = 10_000
READ_RECORDS = 100
NO_LIMIT_MS = 2**31 - 1


class Arrived(NamedTuple):
    """An alert as read. `known`: it is read again after a start; it was dealt with and only to be remembered."""

    alert: Alert
    record: ConsumerRecord
    time: datetime
    share: Share
    known: bool


class Share:
    """One partition while it is ours.

    `start` is where the subscription began, `resume` the first record not dealt with before, `position` the next to be
    read, `unsent` the offsets that were read and wait to be sent.
    """

    def __init__(self, partition: TopicPartition, start: int, resume: int, position: int) -> None:
        self.partition = partition
        self.start = start
        self.resume = resume
        self.position = position
        self.committed = resume
        self.unsent: OrderedDict[int, None] = OrderedDict()
        self.lost = False
        self._told: OrderedDict[str, None] = OrderedDict()

    @property
    def done(self) -> int:
        """Everything before this offset was sent or not wanted."""
        return max(self.resume, next(iter(self.unsent), self.position))

    def was_told(self, alert_id: str) -> bool:
        return alert_id in self._told

    def tell(self, alert_id: str) -> None:
        self._told[alert_id] = None
        self._told.move_to_end(alert_id)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)


class Inbox(ConsumerRebalanceListener):
    """Reads in order, and commits what is done.

    A new group starts at the end of the topic. That place is committed at once, with itself as the commit's metadata:
    the alerts before it were never sent, so a later start does not take them for told.
    All methods raise aiokafka's `KafkaError` while Kafka is away.
    """

    def __init__(self, settings: Settings, group: str) -> None:
        self._config = asyncio_config(settings)
        self._topic = settings.topic_alerts
        self._group = group
        self._fresh: set[TopicPartition] = set()
        self._done: dict[TopicPartition, int] = {}
        self.shares: dict[TopicPartition, Share] = {}
        self._consumer = AIOKafkaConsumer(
            **self._config,
            group_id=group,
            enable_auto_commit=False,
            # Every partition is put in its place by `_take`; this is for the moment before that.
            auto_offset_reset="latest",
            isolation_level="read_committed",
            session_timeout_ms=int(settings.session_timeout * 1000),
            heartbeat_interval_ms=int(settings.session_timeout * 100),
            # A destination that is down for hours must not cost the membership; a hung loop stops the heartbeats.
            max_poll_interval_ms=NO_LIMIT_MS,
        )

    async def start(self) -> None:
        self._consumer.subscribe([self._topic], listener=self)
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        for partition in revoked:
            self._fresh.discard(partition)
            share = self.shares.pop(partition, None)
            if share is not None:
                share.lost = True
                # The group may not know it yet: what was sent by us need not be sent again by us.
                self._done[partition] = share.done

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._fresh.update(assigned)

    async def read(self, seconds: float) -> list[Arrived]:
        """The next alerts, in the order of their partitions; none when nothing came in `seconds`."""
        if self._fresh:
            await self._take(set(self._fresh))
        found = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=READ_RECORDS)
        return [
            arrived
            for partition, records in found.items()
            if (share := self.shares.get(partition))  # else it is not in its place yet, and is read again from there
            for record in records
            if (arrived := _arrived(record, share))
        ]

    async def commit(self) -> None:
        """Commit what is done. A partition that is no longer ours is left to its new owner, who may repeat."""
        due = {share.partition: share for share in self.shares.values() if share.done > share.committed}
        if not due:
            return
        offsets = {partition: share.done for partition, share in due.items()}
        try:
            await self._consumer.commit({p: (offset, str(due[p].start)) for p, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError):
            return  # a rebalance is under way: its listener takes the shares away
        for partition, offset in offsets.items():
            due[partition].committed = offset

    async def _take(self, fresh: set[TopicPartition]) -> None:
        """Put the reader of each newly assigned partition in its place."""
        committed = await self._committed(fresh)
        begins = await self._consumer.beginning_offsets(fresh)
        ends = await self._consumer.end_offsets(fresh)
        for partition in fresh & self._fresh:
            begin, end = begins[partition], ends[partition]
            offset, metadata = committed.get(partition, (-1, ""))
            is_new = offset < 0
            start = end if is_new else int(metadata) if metadata.isdecimal() else 0
            resume = max(end if is_new else offset, self._done.get(partition, 0))
            if resume < begin:
                log.warning(
                    "alerts were deleted before they were delivered: raise retention.ms of the topic",
                    group=self._group,
                    partition=partition.partition,
                    count=begin - resume,
                )
            share = Share(partition, start, max(resume, begin), max(begin, start, resume - LOOK_BACK))
            if is_new:
                share.committed = -1
            try:
                self._consumer.seek(partition, share.position)
            except IllegalStateError:
                continue  # taken away again meanwhile
            self._fresh.discard(partition)
            self.shares[partition] = share
        await self.commit()

    async def _committed(self, partitions: set[TopicPartition]) -> dict[TopicPartition, tuple[int, str]]:
        """The group's committed offsets with their metadata, which the consumer does not hand out."""
        admin = AIOKafkaAdminClient(**self._config)
        await admin.start()
        try:
            found = dict(await admin.list_consumer_group_offsets(self._group, partitions=list(partitions)))
        finally:
            await admin.close()
        # The client passes over an error that is the whole answer's (a coordinator that is still loading). Taken for
        # "nothing committed", it would skip what was not delivered.
        if partitions - found.keys():
            raise GroupCoordinatorNotAvailableError
        return found


def _arrived(record: ConsumerRecord, share: Share) -> Arrived | None:
    share.position = record.offset + 1
    try:
        alert = read(record.value or b"", Alert)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        log.warning("this record is no alert", partition=record.partition, offset=record.offset, error=str(error)[:200])
        return None
    # No later than now, and a year that there is: the clock of who wrote it may say anything.
    now = datetime.now(UTC).timestamp()
    time = datetime.fromtimestamp(max(0.0, min(record.timestamp / 1000, now)), UTC)
    return Arrived(alert, record, time, share, known=record.offset < share.resume)
