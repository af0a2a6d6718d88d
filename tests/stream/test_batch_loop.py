"""The batch loop against a model of Kafka: whatever goes wrong, at whatever call, nothing is lost.

The model itself refuses to commit what has not been written and to write what is committed (`fake_kafka.py`). Known-bad
loops must be caught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from stream.metrics import Metrics
from stream.records import Output, Record
from stream.settings import Settings
from stream.transport import Transport
from tests.stream.fake_kafka import FakeClients, FakeConsumer, FakeKafka, Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORKERS = 2
PARTITIONS = 3
BATCH = 4
NUMBERS = st.integers(0, WORKERS - 1)
Fault = tuple[str, str]
CALLS = [
    *("poll", "consume", "committed", "seek", "commit", "flush"),
    *(
        "init_transactions",
        "begin_transaction",
        "send_offsets_to_transaction",
        "commit_transaction",
        "abort_transaction",
    ),
]
FAULTS = st.none() | st.tuples(
    st.sampled_from(CALLS), st.sampled_from(["fail", "lose", "late", "kill", "rebalance", "expel", "refuse"])
)


class BatchLoop(RuleBasedStateMachine):
    """Two workers of one group. Each rule is one step of one of them, or something that happens to Kafka."""

    exactly_once = False
    transport: type[Transport] = Transport

    def __init__(self) -> None:
        super().__init__()
        self.kafka = FakeKafka(PARTITIONS, exactly_once=self.exactly_once)
        self.workers: dict[int, Transport] = {}
        self.members: dict[int, FakeConsumer] = {}
        self.in_hand: dict[int, Sequence[Record]] = {}
        self.ahead: dict[int, Sequence[Record]] = {}

    @initialize()
    def start(self) -> None:
        for number in range(WORKERS):
            self._step(number, lambda: None)

    @rule(partition=st.integers(0, PARTITIONS - 1), count=st.integers(1, 7))
    def produce(self, partition: int, count: int) -> None:
        self.kafka.ends[partition] += count

    @rule(number=NUMBERS, fault=FAULTS)
    def work(self, number: int, fault: Fault | None = None) -> None:
        self.poll(number, fault)
        self.publish(number)

    @rule(number=NUMBERS, fault=FAULTS)
    def poll(self, number: int, fault: Fault | None = None) -> None:
        def poll() -> None:
            if number not in self.in_hand and (records := self.workers[number].poll()):
                assert len(records) <= BATCH
                self.in_hand[number] = records

        self._step(number, poll, fault)

    @rule(number=NUMBERS, fault=FAULTS)
    def publish(self, number: int, fault: Fault | None = None) -> None:
        def publish() -> None:
            if number in self.in_hand:
                records, ahead = self.in_hand.pop(number), self.ahead.pop(number, None)
                outputs = [Output("out", None, b"%d %d" % record.place[1:], []) for record in records]
                if self.workers[number].publish(records, outputs, lambda: None) and ahead:
                    self.in_hand[number] = ahead

        self._step(number, publish, fault)

    @rule(number=NUMBERS, fault=FAULTS)
    def read_ahead(self, number: int, fault: Fault | None = None) -> None:
        """The agent has answered a batch, and takes up the next one before that is published."""

        def read_ahead() -> None:
            if number in self.in_hand and number not in self.ahead and (more := self.workers[number].read_ahead()):
                assert len(more) <= BATCH
                self.ahead[number] = more

        self._step(number, read_ahead, fault)

    @rule(number=NUMBERS, fault=FAULTS)
    def stop(self, number: int, fault: Fault | None) -> None:
        """Another takes its place; a batch in hand was not finished in time."""

        def stop() -> None:
            self._drop(number)
            self.workers[number].close()
            del self.workers[number]
            self._start(number)

        self._step(number, stop, fault)

    @precondition(lambda self: self.exactly_once)
    @rule(number=NUMBERS)
    def unknown_outcome(self, number: int) -> None:
        """A transaction is committed, its answer lost, and the next poll has a rebalance in it."""
        self.poll(number)
        self.publish(number, ("commit_transaction", "lose"))
        self.kafka.rebalance()

    @rule(number=NUMBERS)
    def freeze(self, number: int) -> None:
        """Past its session: it is shut out, and does not know."""
        member = self.members[number]
        if member in self.kafka.members:
            self.kafka.leave(member)

    @precondition(lambda self: not self.in_hand)
    @rule(partition=st.integers(0, PARTITIONS - 1), share=st.floats(0, 1))
    def delete(self, partition: int, share: float) -> None:
        """Retention deletes records, read or not."""
        start = self.kafka.starts[partition]
        self.kafka.starts[partition] = start + int((self.kafka.ends[partition] - start) * share)

    def _step(self, number: int, step: Callable[[], object], fault: Fault | None = None) -> None:
        if fault:
            self.kafka.faults = dict([fault])
        try:
            if number not in self.workers:
                self._start(number)
            step()
        except Killed:
            member = self.members[number]
            if member in self.kafka.members:
                self.kafka.leave(member)
            self.workers.pop(number, None)
            self._drop(number)
            self._step(number, lambda: None)

    def _drop(self, number: int) -> None:
        self.in_hand.pop(number, None)
        self.ahead.pop(number, None)

    def _start(self, number: int) -> None:
        clients = FakeClients(self.kafka, f"slot-{number}")
        self.members[number] = clients.member
        worker = self.transport(
            "classify",
            clients,  # type: ignore[arg-type]
            ["raw"],
            Settings(batch_size=BATCH),
            Metrics(),
            lambda: None,
            ["out"],
            lambda *_: None,
            lambda _: None,
        )
        worker.open()
        self.workers[number] = worker

    def _all_committed(self) -> bool:
        return all(
            end == self.kafka.starts[p] or (p in self.kafka.committed and self.kafka.committed[p].offset == end)
            for p, end in self.kafka.ends.items()
        )

    def teardown(self) -> None:
        """Without further faults, everything comes out, each partition in its order."""
        self.kafka.faults.clear()
        for _ in range(200):
            for number in range(WORKERS):
                self.poll(number)
                self.read_ahead(number)
                self.publish(number)
            if self._all_committed():
                break
        written = set(self.kafka.outputs)
        for partition, end in self.kafka.ends.items():
            first_seen = list(dict.fromkeys(o for p, o in self.kafka.outputs if p == partition))
            assert first_seen == sorted(first_seen), "out of order"
            expected = set(range(self.kafka.starts[partition], end))
            assert expected <= {o for p, o in written if p == partition}, "lost"
        assert self._all_committed()


class ExactlyOnce(BatchLoop):
    exactly_once = True


SETTINGS = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
FIND = settings(SETTINGS, phases=[Phase.generate], max_examples=1000)


@pytest.mark.parametrize("machine", [BatchLoop, ExactlyOnce])
def test_nothing_is_lost_whatever_goes_wrong(machine: type[BatchLoop]) -> None:
    run_state_machine_as_test(machine, settings=SETTINGS)


class CommitsFirst(Transport):
    """Commits before the outputs are delivered."""

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
        assert self._assignment
        for record in records:
            self._assignment.progress[record.place[:2]].delivered = record.place.offset + 1
        self._patience.retry(self._assignment.commit_delivered)
        return super().publish(records, outputs, delivered)


class CommitsRevoked(Transport):
    """When its partitions are revoked, or at its end, commits what it has read."""

    def poll(self) -> list[Record]:
        records = super().poll()
        assert self._assignment
        for record in records:
            self._assignment.progress[record.place[:2]].delivered = record.place.offset + 1
        return records


class ReadsOn(Transport):
    """Reads on behind a batch whose transaction was aborted."""

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
        done = super().publish(records, outputs, delivered)
        assert self._assignment
        self._assignment.changed = self._assignment.unprepared = False
        return done


class KnowsAllOutcomes(Transport):
    """Takes a transaction without an answer for aborted."""

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
        try:
            return super().publish(records, outputs, delivered)
        finally:
            assert self._assignment
            self._assignment.unknown = False


class KeepsItsPlans(Transport):
    """Publishes what it has in hand, although its partitions have gone while it read ahead or committed."""

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
        assert self._assignment
        changed, self._assignment.changed = self._assignment.changed, False
        try:
            return super().publish(records, outputs, delivered)
        finally:
            self._assignment.changed |= changed


@pytest.mark.parametrize(
    ("bad", "exactly_once"),
    [
        (CommitsFirst, False),
        (CommitsRevoked, False),
        (KeepsItsPlans, False),
        (KeepsItsPlans, True),
        (ReadsOn, True),
        (KnowsAllOutcomes, True),
    ],
)
def test_a_loop_with_a_known_mistake_is_caught(bad: type[Transport], exactly_once: bool) -> None:
    machine = type(bad.__name__, (BatchLoop,), {"transport": bad, "exactly_once": exactly_once})
    with pytest.raises((AssertionError, KeyError)):  # KeyError: of a partition that is no longer held
        run_state_machine_as_test(machine, settings=FIND)
