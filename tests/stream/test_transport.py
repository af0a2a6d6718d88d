"""Moments of the batch loop that are worth a test of their own, against the model of Kafka."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from stream.caution import MAX_DEATHS
from stream.metrics import Metrics
from stream.patience import GaveUp
from stream.records import Output, Record
from stream.settings import Settings
from stream.transport import Transport
from tests.stream.fake_kafka import Committed, FakeClients, FakeKafka

if TYPE_CHECKING:
    from collections.abc import Sequence


class Worker:
    """A transport on its own, told to stop by `stopped`."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.clients = FakeClients(kafka, "slot-1")
        self.metrics = Metrics()
        self.stopped = False
        self.prepared = 0
        self.transport = Transport(
            "alerts",
            self.clients,  # type: ignore[arg-type]
            ["raw"],
            Settings(batch_size=4),
            self.metrics,
            lambda: time.monotonic() - 1 if self.stopped else None,
            ["out"],
            self._prepare,
            lambda _: None,
        )
        self.transport.open()

    def _prepare(self, alive: object, held: object) -> None:
        self.prepared += 1

    def poll(self) -> Sequence[Record]:
        """The next records, after as many polls as a rebalance takes."""
        return next(records for _ in range(9) if (records := self.transport.poll()))

    def publish(self, records: Sequence[Record]) -> bool:
        return self.transport.publish(records, outputs(records), lambda: None)


def outputs(records: Sequence[Record]) -> list[Output]:
    return [Output("out", None, b"%d %d" % record.place[1:], []) for record in records]


def kafka_with(records: int, *, exactly_once: bool = True) -> FakeKafka:
    kafka = FakeKafka(1, exactly_once=exactly_once)
    kafka.ends[0] = records
    return kafka


def test_a_transaction_whose_answer_is_lost_is_not_followed_by_older_offsets() -> None:
    kafka = kafka_with(8)
    worker = Worker(kafka)
    records = worker.poll()
    kafka.faults = {"commit_transaction": "lose"}
    assert not worker.publish(records)
    assert kafka.committed[0].offset == 4
    worker.clients.member.close()  # the group takes the partition back; Kafka's model refuses older offsets
    assert kafka.committed[0].offset == 4
    assert kafka.outputs == [(0, n) for n in range(4)]


def test_after_a_lost_answer_the_worker_reads_on_behind_what_was_committed() -> None:
    kafka = kafka_with(8)
    worker = Worker(kafka)
    records = worker.poll()
    kafka.faults = {"commit_transaction": "lose"}
    assert not worker.publish(records)
    again = worker.poll()
    assert [record.place.offset for record in again] == [4, 5, 6, 7]
    assert worker.prepared == 2, "what the agent remembers may be of an aborted batch"
    assert worker.publish(again)
    assert kafka.outputs == [(0, n) for n in range(8)]


def test_a_stop_while_a_transaction_is_committed_does_not_commit_older_offsets() -> None:
    kafka = kafka_with(4)
    worker = Worker(kafka)
    records = worker.poll()
    kafka.faults = {"commit_transaction": "late"}
    worker.stopped = True
    with pytest.raises(GaveUp):
        worker.publish(records)
    worker.transport.close()
    assert kafka.committed[0].offset == 4


def test_a_tick_of_a_member_that_was_shut_out_publishes_nothing() -> None:
    kafka = kafka_with(1)
    worker = Worker(kafka)
    assert worker.publish(worker.poll())
    told = [Output("out", None, b"0 0", [])]
    kafka.leave(worker.clients.member)
    assert not worker.transport.publish([], told, lambda: None)
    assert kafka.outputs == [(0, 0)]


def test_a_tick_publishes_without_moving_the_offset() -> None:
    kafka = kafka_with(4)
    worker = Worker(kafka)
    worker.publish(worker.poll())
    kafka.ends[0] += 1
    kafka.outputs.clear()  # the model knows outputs by the records they come from, and a tick has none
    kafka.exactly_once = False
    before = kafka.committed[0].offset
    done: list[bool] = []
    assert worker.transport.publish([], [Output("out", None, b"0 9", [])], lambda: done.append(True))
    assert kafka.outputs == [(0, 9)]
    assert kafka.committed[0].offset == before
    assert done == [True]


def test_a_transaction_that_takes_too_long_has_more_time_when_it_is_tried_again() -> None:
    kafka = kafka_with(8)
    worker = Worker(kafka)
    kafka.transaction_takes = 50
    assert [worker.publish(worker.poll()) for _ in range(3)] == [False, False, True]
    assert kafka.outputs == [(0, offset) for offset in range(4)]
    kafka.transaction_takes = 0
    assert worker.publish(worker.poll())
    assert kafka.transactions["slot-1"].seconds == 15


def test_a_tick_without_outputs_is_no_transaction() -> None:
    kafka = kafka_with(1)
    worker = Worker(kafka)
    worker.publish(worker.poll())
    kafka.faults = {"begin_transaction": "kill"}
    assert worker.transport.publish([], [], lambda: None)


def test_of_all_refused_outputs_the_one_that_spoilt_the_transaction_is_told() -> None:
    kafka = kafka_with(4)
    with capture_logs() as logs:
        worker = Worker(kafka)
        records = worker.poll()
        kafka.refused = 1
        assert not worker.publish(records)
    (told,) = [line for line in logs if line["event"].startswith("Kafka refused outputs")]
    assert told["refused"] == 4
    assert "max.message.bytes" in told["remedy"]


@pytest.mark.parametrize("exactly_once", [False, True])
def test_the_end_of_a_partition_is_no_error_and_no_batch(exactly_once: bool) -> None:
    worker = Worker(kafka_with(3, exactly_once=exactly_once))
    records = worker.poll()
    assert [record.place.offset for record in records] == [0, 1, 2]
    assert worker.transport.read_ahead() == []
    assert worker.publish(records)
    assert worker.transport.poll() == []
    assert "ajil_kafka_client_errors_total{" not in generate_latest(worker.metrics.registry).decode()


def test_reading_ahead_of_a_backlog_without_end_is_progress_and_measures_it() -> None:
    """Where each batch is taken up behind the one before, nothing polls."""
    worker = Worker(kafka_with(40))
    records = worker.poll()
    lag = {"agent": "alerts", "topic": "raw", "partition": "0"}
    for _ in range(3):
        ahead = worker.transport.read_ahead()
        worker.transport._patience.last_beat = 0.0
        assert worker.publish(records)
        records = ahead
    worker.transport._patience.watch.__self__._measured = 0.0  # type: ignore[attr-defined]
    worker.transport.read_ahead()
    assert worker.transport.last_beat > 0
    assert worker.metrics.registry.get_sample_value("ajil_consumer_lag_records", lag) == 28


def test_a_record_that_comes_back_from_aborted_transactions_has_killed_nobody() -> None:
    kafka = kafka_with(4)
    kafka.committed[0] = Committed(0, "ajil starts=9 until=100 marks=1")
    worker = Worker(kafka)
    for _ in range(2 * MAX_DEATHS):
        (record,) = worker.poll()
        assert (record.place.offset, record.deaths) == (0, 1)
        assert kafka.committed[0].metadata == "ajil starts=10 until=100 marks=2"
        kafka.faults = {"send_offsets_to_transaction": "fail"}
        assert not worker.publish([record])
    assert worker.publish(worker.poll())
    assert kafka.outputs == [(0, 0)]


def lost(worker: Worker) -> float:
    return worker.metrics.registry.get_sample_value("ajil_records_lost_total", {"topic": "raw"}) or 0.0


@pytest.mark.parametrize("exactly_once", [False, True])
def test_records_deleted_between_two_batches_are_counted(exactly_once: bool) -> None:
    kafka = kafka_with(4, exactly_once=exactly_once)
    worker = Worker(kafka)
    worker.publish(worker.poll())
    kafka.ends[0], kafka.starts[0] = 14, 11
    assert worker.publish(worker.poll())
    assert lost(worker) == 7


def test_an_error_says_who_has_shut_the_worker_out() -> None:
    from stream.errors import KafkaError as AjilKafkaError

    worker = Worker(kafka_with(1))
    assert worker.transport._assignment
    with pytest.raises(AjilKafkaError, match="AJIL_INSTANCE_ID"):
        worker.transport._assignment.raise_if_fatal(KafkaError(KafkaError.FENCED_INSTANCE_ID))
