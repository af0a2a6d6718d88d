"""A small model of Kafka: partitions, one consumer group, producers and transactions, and faults at any call.

It holds two of the promises itself: nothing may be committed whose output is not there, and nothing may be written
again that is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import TIMESTAMP_CREATE_TIME, KafkaError, KafkaException, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FakeClients", "FakeConsumer", "FakeKafka", "FakeMessage", "Killed"]

RAW = "raw"


class Killed(BaseException):
    """The process is gone: nothing in it may catch this."""


class FakeMessage:
    """What the client hands out, or a read error."""

    def __init__(
        self,
        value: bytes | None = b"v",
        *,
        topic: str = RAW,
        partition: int = 0,
        offset: int = 0,
        key: bytes | None = None,
        timestamp: tuple[int, int] = (TIMESTAMP_CREATE_TIME, 1_767_323_045_000),
        headers: list[tuple[str, bytes]] | None = (),  # type: ignore[assignment]
        error: KafkaError | None = None,
    ) -> None:
        self._facts = (topic, partition, offset, key, value, timestamp, headers, error)

    def topic(self) -> str:
        return self._facts[0]

    def partition(self) -> int:
        return self._facts[1]

    def offset(self) -> int:
        return self._facts[2]

    def key(self) -> bytes | None:
        return self._facts[3]

    def value(self) -> bytes | None:
        return self._facts[4]

    def timestamp(self) -> tuple[int, int]:
        return self._facts[5]

    def headers(self) -> list[tuple[str, bytes]]:
        """With None for headers it fails as the client does at a name that is no UTF-8."""
        if self._facts[6] is None:
            raise SystemError("returned a result with an exception set") from UnicodeDecodeError(
                "utf-8", b"", 0, 1, "x"
            )
        return list(self._facts[6])

    def error(self) -> KafkaError | None:
        return self._facts[7]


class Committed(NamedTuple):
    offset: int
    metadata: str | None


class FakeKafka:
    """One topic. An output's value names the raw record that it came from: (partition, offset)."""

    def __init__(self, partitions: int, *, exactly_once: bool) -> None:
        self.exactly_once = exactly_once
        self.ends = dict.fromkeys(range(partitions), 0)
        self.starts = dict.fromkeys(range(partitions), 0)
        self.committed: dict[int, Committed] = {}
        self.outputs: list[tuple[int, int]] = []
        self.members: list[FakeConsumer] = []
        self.generation = 0
        self.revoking: list[FakeConsumer] = []
        self.faults: dict[str, str] = {}
        """What goes wrong at the next call of a client's method of this name."""
        self.refused = 0
        """How many rounds of outputs are refused, each from its second one on."""
        self.transaction_takes = 0
        """Seconds; a producer that gives up before never gets it done."""
        self.transactions: dict[str, FakeProducer] = {}

    # The group --------------------------------------------------------------------------------------------------

    def rebalance(self) -> None:
        """Everybody gives up everything; when all have, everything is given out anew."""
        self.generation += 1
        self.revoking = [member for member in self.members if member.assigned]
        for number, member in enumerate(self.members):
            member.target = [p for p in self.ends if (p + self.generation) % len(self.members) == number]

    def leave(self, member: FakeConsumer) -> None:
        self.members.remove(member)
        self.rebalance()

    def valid(self, member: FakeConsumer, generation: int) -> bool:
        """While a rebalance is prepared, members of the generation before it may still commit."""
        return member in self.members and (generation == self.generation or member in self.revoking)

    # The logs ---------------------------------------------------------------------------------------------------

    def write(self, outputs: Iterable[tuple[int, int]], *, zombie: bool) -> None:
        for partition, offset in outputs:
            done = self.committed.get(partition, Committed(0, None)).offset
            # A worker that was frozen past its session does not know yet; only a transaction can stop it.
            assert offset >= done or (zombie and not self.exactly_once), "written again after it was committed"
            self.outputs.append((partition, offset))
            if self.exactly_once:
                assert self.outputs.count((partition, offset)) == 1, "written twice"

    def commit(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            before = self.committed.get(place.partition, Committed(self.starts[place.partition], None)).offset
            missing = set(range(before, place.offset)) - {o for p, o in self.outputs if p == place.partition}
            assert all(offset < self.starts[place.partition] for offset in missing), "committed before it was written"
            assert place.offset >= before, "an older offset was committed"
            self.committed[place.partition] = Committed(place.offset, place.metadata)

    # Faults -----------------------------------------------------------------------------------------------------

    def called(self, member: FakeConsumer, call: str) -> str:
        """A client of `member` makes a call. -> the fault, where it is one of the call itself.

        `fail`: nothing is done. `lose` and `late`: it is done, but the client is told otherwise.
        """
        fault = self.faults.pop(call, "")
        if fault == "kill":
            raise Killed
        if fault == "rebalance":
            self.rebalance()
        elif fault == "expel":
            if member in self.members:
                self.leave(member)
        elif fault == "refuse":
            self.refused += 1
        return fault


def _failed(code: int, **kind: bool) -> KafkaException:
    return KafkaException(KafkaError(code, "as the test wants it", **kind))


class FakeConsumer:
    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka = kafka
        self.assigned: dict[int, int] = {}
        """Partition -> position."""
        self.paused: set[int] = set()
        self._ends: dict[int, int] = {}
        """Partition -> the end that was told; each is told once."""
        self.target: list[int] | None = None
        self.generation = 0
        self._callbacks: dict[str, Callable[..., None]] = {}

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks
        self._join()

    def _join(self) -> None:
        self.kafka.members.append(self)
        self.kafka.rebalance()

    def _serve(self) -> None:
        """What happens inside a poll."""
        kafka = self.kafka
        if self not in kafka.members:
            self._callbacks["on_lost"](self, self.assignment())
            self.assigned.clear()
            self._join()
        elif self in kafka.revoking:
            self._callbacks["on_revoke"](self, self.assignment())
            self.assigned.clear()
            if self in kafka.revoking:
                kafka.revoking.remove(self)
        if self.target is not None and not kafka.revoking:
            new, self.target, self.generation = self.target, None, kafka.generation
            self._callbacks["on_assign"](self, [TopicPartition(RAW, p) for p in new])

    # What the code under test calls -----------------------------------------------------------------------------

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(RAW, p) for p in self.assigned]

    def assign(self, places: list[TopicPartition]) -> None:
        start = Committed(0, None)  # "earliest" finds the rest
        self.assigned = {p.partition: self.kafka.committed.get(p.partition, start).offset for p in places}
        self.paused.clear()
        self._ends.clear()

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {place.partition for place in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {place.partition for place in places}

    def seek(self, place: TopicPartition) -> None:
        self.kafka.called(self, "seek")
        if place.partition not in self.assigned:
            raise _failed(KafkaError._STATE)
        self.assigned[place.partition] = place.offset
        self._ends.pop(place.partition, None)

    def poll(self, timeout: float) -> FakeMessage | None:
        self.kafka.called(self, "poll")
        self._serve()
        return next(iter(self._fetch(1)), None)

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        # What was fetched before the rebalance is handed out together with it.
        fetched = self._fetch(count // 2)
        self.kafka.called(self, "consume")
        self._serve()
        return fetched + self._fetch(count - len(fetched))

    def _fetch(self, count: int) -> list[FakeMessage]:
        fetched: list[FakeMessage] = []
        for partition, position in list(self.assigned.items()):
            if partition in self.paused:
                continue
            position = max(position, self.kafka.starts[partition])
            while position < self.kafka.ends[partition] and len(fetched) < count:
                fetched.append(FakeMessage(partition=partition, offset=position))
                position += 1
                self.assigned[partition] = position
            end = self.kafka.ends[partition]
            if position == end and self._ends.get(partition) != end and len(fetched) < count:
                self._ends[partition] = end
                fetched.append(
                    FakeMessage(partition=partition, offset=end, error=KafkaError(KafkaError._PARTITION_EOF))
                )
        return fetched

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.kafka.called(self, "committed") == "fail":
            raise _failed(KafkaError._TIMED_OUT)
        # Offsets in an open transaction hold this up, until Kafka ends the transaction.
        for producer in list(self.kafka.transactions.values()):
            if producer.member is not self and {p.partition for p in producer.offsets} & {p.partition for p in places}:
                producer.end()
        known = self.kafka.committed
        found = [known.get(place.partition, Committed(-1001, "")) for place in places]
        return [
            TopicPartition(RAW, place.partition, offset, metadata)
            for place, (offset, metadata) in zip(places, found, strict=True)
        ]

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        fault = self.kafka.called(self, "commit")
        if fault == "fail":
            raise _failed(KafkaError._TIMED_OUT)
        if not self.kafka.valid(self, self.generation):
            raise _failed(KafkaError.UNKNOWN_MEMBER_ID)
        self.kafka.commit(offsets)
        if fault == "lose":
            raise _failed(KafkaError._TIMED_OUT)
        return offsets

    def get_watermark_offsets(self, place: TopicPartition, **_: Any) -> tuple[int, int]:
        return self.kafka.starts[place.partition], self.kafka.ends[place.partition]

    def consumer_group_metadata(self) -> tuple[FakeConsumer, int]:
        return self, self.generation

    def close(self) -> None:
        if self in self.kafka.members:
            self._callbacks["on_revoke"](self, self.assignment())
            self.assigned.clear()
        if self in self.kafka.members:
            self.kafka.leave(self)


class FakeProducer:
    def __init__(self, kafka: FakeKafka, member: FakeConsumer, name: str, seconds: int) -> None:
        self.kafka, self.member, self.name, self.seconds = kafka, member, name, seconds
        self.offsets: list[TopicPartition] = []
        self.fenced = False
        self._queue: list[tuple[tuple[int, int], Callable[..., None]]] = []
        self._written: list[tuple[int, int]] = []

    def produce(self, topic: str, *, value: bytes, on_delivery: Callable[..., None], **_: Any) -> None:
        partition, _sep, offset = value.partition(b" ")
        self._queue.append(((int(partition), int(offset)), on_delivery))

    def __len__(self) -> int:
        return len(self._queue)

    def poll(self, timeout: float) -> None:
        """Reports come out of `flush` here."""

    def flush(self, timeout: float) -> int:
        self.kafka.called(self.member, "flush")
        zombie = not self.kafka.valid(self.member, self.member.generation)
        queue, self._queue = self._queue, []
        refuse, self.kafka.refused = self.kafka.refused > 0, max(0, self.kafka.refused - 1)
        for at, (output, report) in enumerate(queue):
            if refuse and at:
                report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
            else:
                self.kafka.write([output], zombie=zombie)
                report(None, None)
        return 0

    # Transactions -----------------------------------------------------------------------------------------------

    def init_transactions(self, timeout: float) -> None:
        if self.kafka.called(self.member, "init_transactions") == "fail":
            raise _failed(KafkaError._TIMED_OUT, retriable=True)
        if self.name in self.kafka.transactions:
            self.kafka.transactions[self.name].end()
        self.kafka.transactions[self.name] = self

    def end(self) -> None:
        """Kafka aborts the open transaction; the producer finds out at its next call."""
        self.fenced = True
        self._queue.clear()
        self.offsets = []

    def begin_transaction(self) -> None:
        self._check("begin_transaction")

    def _check(self, call: str, *, retriable: bool = False) -> str:
        fault = self.kafka.called(self.member, call)
        if self.fenced:
            raise _failed(KafkaError._FENCED, fatal=True)
        if fault == "fail":
            raise _failed(KafkaError._TIMED_OUT, retriable=retriable, txn_requires_abort=not retriable)
        return fault

    def send_offsets_to_transaction(
        self, places: list[TopicPartition], metadata: tuple[FakeConsumer, int], timeout: float
    ) -> None:
        self._check("send_offsets_to_transaction")
        if not self.kafka.valid(*metadata):
            raise _failed(KafkaError.ILLEGAL_GENERATION, txn_requires_abort=True)
        self.offsets = places

    def commit_transaction(self, timeout: float) -> None:
        refuse, self.kafka.refused = self.kafka.refused > 0, max(0, self.kafka.refused - 1)
        if refuse and self._queue:
            for _, report in self._queue[:-1]:
                report(KafkaError(KafkaError._PURGE_QUEUE), None)
            self._queue[-1][1](KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
            raise _failed(KafkaError.MSG_SIZE_TOO_LARGE, txn_requires_abort=True)
        if self.kafka.transaction_takes > self.seconds:
            for _, report in self._queue:
                report(KafkaError(KafkaError._MSG_TIMED_OUT), None)
            raise _failed(KafkaError._TIMED_OUT, txn_requires_abort=True)
        fault = self._check("commit_transaction", retriable=True)
        self.kafka.write([output for output, _ in self._queue], zombie=False)
        self.kafka.commit(self.offsets)
        for _, report in self._queue:
            report(None, None)
        self._queue, self.offsets = [], []
        if fault == "late":
            raise _failed(KafkaError._TIMED_OUT, retriable=True)
        if fault == "lose":
            # Kafka has committed, and its answer was lost with the connection and the producer's life.
            self.fenced = True
            raise _failed(KafkaError._FATAL, fatal=True)

    def abort_transaction(self, timeout: float) -> None:
        self._check("abort_transaction", retriable=True)
        self._queue, self.offsets = [], []


class FakeClients:
    """Stands in for `stream.clients.Clients`."""

    def __init__(self, kafka: FakeKafka, name: str) -> None:
        self.group = "group"
        self.transactional = kafka.exactly_once
        self._kafka = kafka
        self._name = name
        self.member = FakeConsumer(kafka)

    def check(self, topics: Iterable[str]) -> None:
        """All there."""

    def consumer(self, on_error: Callable[[KafkaError], None]) -> FakeConsumer:
        return self.member

    def producer(self, on_error: Callable[[KafkaError], None], transaction_seconds: int) -> FakeProducer:
        return FakeProducer(self._kafka, self.member, self._name, transaction_seconds)
