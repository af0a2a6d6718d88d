"""Each fault sets its alert off, people are told, and told again when it is mended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from models.train import train
from tests.e2e.monitoring.apparatus import FAILS, REFUSES, Fault, freeze, thaw
from tests.models.test_bundle import ROWS
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.monitoring.apparatus import System

# What shows in a minute runs in CI; what takes longer, or needs the broker or a worker replaced, by `make e2e`.
LONG = pytest.mark.long


def test_silence_would_be_noticed(system: System) -> None:
    (first, *_) = wait_for("heartbeat", lambda: system.receiver.told("AjilWatchdog", "firing", 0.0))

    assert first.receiver == "heartbeat"
    assert first.annotations["runbook_url"].endswith("/AjilWatchdog.md")


def test_what_others_do_wrong(system: System) -> None:
    """An outlet that cries wolf and a destination that refuses, both from the start; a flood of what is no article, and
    an invalid file."""
    wolf = Fault(system, "AjilAlertsHeldBack", system.started, limit="source")
    refused = Fault(system, "AjilAlertsUndelivered", system.started, destination="refuses.hook")
    flood, invalid = Fault(system, "AjilRejectRatio"), Fault(system, "AjilSubscriptionsRefused")
    system.traffic.flood.set()
    with system.traffic.editing:
        valid = system.subscriptions.read_text(encoding="utf-8")
        system.subscriptions.write_text("[subscriptions", encoding="utf-8")
        for fault in (wolf, refused, invalid, flood):
            fault.wait_told()
        (told, *_) = system.receiver.told("AjilAlertsUndelivered", "firing", refused.made)
        assert told.receiver == "page"
        assert told.annotations["summary"] == "Alerts for refuses.hook were given up"
        assert "runbooks" not in told.labels
        system.subscriptions.write_text(valid, encoding="utf-8")
    system.traffic.flood.clear()
    system.traffic.wolf.clear()
    system.receiver.statuses[REFUSES] = 200
    mended = time.time()

    for fault in (wolf, refused, invalid, flood):
        fault.wait_resolved(mended)
    assert all(notice.receiver == "desk" for notice in system.receiver.told("AjilRejectRatio", "firing", flood.made))


def test_workers_and_gateways_that_do_not_answer(system: System) -> None:
    """All of them are frozen: that nobody answers is told, and not beside it that each one does not."""
    no_worker, no_gateway = Fault(system, "AjilNoWorker"), Fault(system, "AjilNoGateway")
    workers, gateways = Fault(system, "AjilWorkerDown"), Fault(system, "AjilGatewayDown")
    frozen = [system.gateway.process, *(worker.process for worker in system.workers)]
    for process in frozen:
        freeze(process)
    try:
        for fault in (no_worker, no_gateway):
            fault.wait_told()
        for fault in (workers, gateways):
            fault.wait_firing()
        for name in ("AjilWorkerDown", "AjilGatewayDown"):
            wait_for(f"{name} suppressed", lambda name=name: system.alertmanager.suppressed(name))
        time.sleep(2)  # without the inhibition they would be told within the second that is their group_wait here
        assert not workers.was_told
        assert not gateways.was_told
    finally:
        for process in frozen:
            thaw(process)
    mended = time.time()

    for fault in (no_worker, no_gateway):
        fault.wait_resolved(mended)
    for fault in (workers, gateways):
        fault.wait_over(mended)


@LONG
def test_one_worker_that_does_not_answer(system: System) -> None:
    down = Fault(system, "AjilWorkerDown", instance=system.instance(1))
    freeze(system.workers[1].process)
    try:
        down.wait_told()
    finally:
        thaw(system.workers[1].process)

    down.wait_resolved(time.time())
    assert not system.receiver.told("AjilNoWorker", "firing", down.made)


@LONG
def test_a_worker_that_keeps_restarting(system: System) -> None:
    restarting = Fault(system, "AjilWorkerRestarting", instance=system.instance(1))
    for _ in range(3):
        system.replace(1)
    restarting.wait_told()

    restarting.wait_resolved(time.time())


@LONG
def test_a_model_that_hangs(system: System, tmp_path: Path) -> None:
    hang = tmp_path / "hang"
    hang.touch()
    system.workers[1].stop()  # so that all articles come to the other
    system.replace(0, module="tests.e2e.monitoring.hanging_worker", HANG_WHILE=str(hang))
    stuck = Fault(system, "AjilCommitLate", agent="classify")
    late = Fault(system, "AjilArticlesLate", severity="critical")
    alerts = Fault(system, "AjilAlertsLate")
    system.traffic.title = "hang"
    try:
        stuck.wait_told()
        time.sleep(20)  # the fault itself: a seventh of the last two minutes' articles must be late
        hang.unlink()
        mended = time.time()
        late.wait_told()
        alerts.wait_firing()
        wait_for("AjilAlertsLate suppressed", lambda: system.alertmanager.suppressed("AjilAlertsLate"))
        stuck.wait_resolved(mended)
        late.wait_resolved(mended)
        alerts.wait_over(mended)
    finally:
        hang.unlink(missing_ok=True)
        for number in range(2):
            system.replace(number)


@LONG
def test_a_transaction_that_nobody_ends(system: System) -> None:
    """It holds up all that read committed records behind it: here the feedback agents, in every partition."""
    topic, partitions = system.settings.topic_feedback, range(system.settings.topic_partitions)
    told = {"bootstrap.servers": system.kafka.address, "transactional.id": "left-open", "log_level": 0}
    producer = Producer(told | {"transaction.timeout.ms": 300_000})  # else Kafka itself ends it after a minute
    producer.init_transactions(30)
    stalled = Fault(system, "AjilConsumerStalled", agent="feedback", instance=system.instance(0))
    rising = Fault(system, "AjilLagRising", topic=topic)
    producer.begin_transaction()
    for partition in partitions:
        producer.produce(topic, b"{}", partition=partition)
    producer.flush(30)
    try:
        stalled.wait_told()
        rising.wait_firing()
        wait_for("AjilLagRising suppressed", lambda: system.alertmanager.suppressed("AjilLagRising"))
    finally:
        producer.abort_transaction(30)
    mended = time.time()

    stalled.wait_resolved(mended)
    rising.wait_over(mended)


@LONG
def test_a_broker_that_is_down(system: System) -> None:
    unreachable = Fault(system, "AjilBrokerUnreachable", instance=system.instance(0))
    others = [Fault(system, name) for name in ("AjilGatewayNotReady", "AjilGatewayErrors", "AjilKafkaClientErrors")]
    system.kafka.kill()
    try:
        unreachable.wait_told()
        for fault in others:
            fault.wait_firing()
        for name in ("AjilGatewayNotReady", "AjilGatewayErrors", "AjilKafkaClientErrors"):
            wait_for(f"{name} suppressed", lambda name=name: system.alertmanager.suppressed(name))
    finally:
        system.kafka.start()
    mended = time.time()

    unreachable.wait_resolved(mended)
    for fault in others:
        fault.wait_over(mended)


@LONG
def test_destinations_that_fail(system: System) -> None:
    left_alone = Fault(system, "AjilDestinationCircuitOpen", system.started, destination="fails.hook")
    failing = Fault(system, "AjilDeliveriesFailing", system.started, destination="fails.hook")
    left_alone.wait_told()
    failing.wait_fired()  # before it was left alone: one attempt a minute is one in two windows of this test
    del system.receiver.statuses[FAILS]
    mended = time.time()

    left_alone.wait_resolved(mended)
    failing.wait_over(mended)


@LONG
def test_a_gateway_that_writes_alerts_late(system: System) -> None:
    late = Fault(system, "AjilAlertsSlow")
    for _ in range(4):
        freeze(system.gateway.process)
        time.sleep(3)  # the fault itself: alerts wait this long
        thaw(system.gateway.process)
        time.sleep(1)
    late.wait_told()

    late.wait_resolved(time.time())


@LONG
def test_records_that_kafka_deletes_unread(system: System) -> None:
    raw = system.settings.topic_raw
    lost = Fault(system, "AjilRecordsLost", topic=raw)
    for worker in system.workers:
        worker.stop()
    time.sleep(2)  # articles come meanwhile
    admin = AdminClient({"bootstrap.servers": system.kafka.address})
    places = [TopicPartition(raw, number, OFFSET_END) for number in range(system.settings.topic_partitions)]
    for done in admin.delete_records(places).values():
        done.result(30)
    for number in range(2):
        system.replace(number)
    lost.wait_told()

    lost.wait_resolved(time.time())


@LONG
def test_workers_of_two_models(system: System, tmp_path: Path) -> None:
    train(ROWS).write(tmp_path / "bundle")
    unlike = Fault(system, "AjilModelMismatch", name="en")
    system.replace(1, AJIL_MODEL=str(tmp_path / "bundle"))
    try:
        unlike.wait_told()
    finally:
        system.replace(1)

    unlike.wait_resolved(time.time())


@LONG
def test_a_worker_that_loses_count(system: System) -> None:
    lost = Fault(system, "AjilRecordsUnaccounted", instance=system.instance(1))
    system.replace(1, module="tests.e2e.monitoring.miscounting_worker")
    try:
        lost.wait_told()
    finally:
        system.replace(1)

    lost.wait_resolved(time.time())


@LONG
def test_no_articles(system: System) -> None:
    silent = Fault(system, "AjilNoInput")
    system.traffic.flowing.clear()
    try:
        silent.wait_told()
    finally:
        system.traffic.flowing.set()

    silent.wait_resolved(time.time())
