"""What is broken while articles flow: one function for each way. Each ends when everything has come out."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.broker.faults.bench import PARTITIONS, Bench, ToolMissing
from tests.broker.faults.odd_header import ODD, produce_odd_header
from tests.kafka_client import MEGABYTE, create_topic
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.broker.faults.classify_bench import ClassifyBench
    from tests.broker.faults.slot import Slot

__all__ = ["ALERTS", "CLASSIFY", "CONSUMER_SESSION", "CONTROL", "OTHER_ALERT_WORKERS", "OTHER_WORKERS"]

STOPPED_UNCLEAN = 6
"""The exit code of a worker that could not finish its batch."""
SESSION = 6.0
"""The shortest session timeout that a broker allows by default: a freeze need not last long to outlive it."""
CONSUMER_SESSION = 8.0
"""What the broker is set to for groups of the consumer protocol; its default is 45 s."""


def baseline(bench: Bench) -> None:
    bench.start()
    bench.feed(10)
    bench.finish()


def poison(bench: ClassifyBench) -> None:
    """With articles on which the model raises, and a header whose name is not UTF-8."""
    bench.use_raising()
    bench.start()
    bench.feed(10)
    bench.odd[produce_odd_header(bench.server.address, bench.topics.raw)] = ODD
    bench.finish()


def kill(bench: Bench) -> None:
    """kill -9, every other one where it hurts most, between delivery and commit, the rest at any time."""
    (slot,) = bench.start(aimed=True)
    bench.feed(5 * bench.kills)
    bench.progress(0.01)
    for _ in range((bench.kills + 1) // 2):
        bench.sleep(bench.rng.uniform(0, 1.5))
        slot.kill()
        slot.start(strike=bench.aim("kill"))
        bench.wait("a worker's death", lambda: slot.dead or bench.all_out(), tend=False)
        slot.kill()
        slot.start()
        bench.interruptions += 2
        bench.recover()
    bench.finish()


def consumer_protocol_kill(bench: Bench) -> None:
    _use_consumer_protocol(bench)
    kill(bench)


def consumer_protocol_scale(bench: Bench) -> None:
    _use_consumer_protocol(bench)
    scale(bench)


def _use_consumer_protocol(bench: Bench) -> None:
    """KIP-848. The broker sets the session."""
    bench.settings["group_protocol"] = "consumer"
    bench.slowest_recovery = CONSUMER_SESSION + 10


def rolling_restart(bench: Bench) -> None:
    slots = bench.start(2)
    bench.feed(40)
    for number, slot in enumerate([*slots, *slots]):
        bench.progress(0.15 + 0.2 * number)
        slot.stop()
        slot.start()
        bench.recover()
    bench.finish()


def scale(bench: Bench) -> None:
    """One worker, three, one, with no instance ids: each change is a rebalance."""
    bench.start(static=False)
    bench.feed(40)
    bench.progress(0.2)
    added = bench.start(2, static=False)
    bench.progress(0.6)
    for slot in added:
        slot.stop()
        bench.recover()
    bench.finish()


def freeze(bench: Bench) -> None:
    """SIGSTOP past the session and back: once where it hurts most, then at any time."""
    (first,) = bench.start(aimed=True, strike=bench.aim("stop"), session_timeout=SESSION)
    (second,) = bench.start(session_timeout=SESSION)
    bench.feed(60)
    bench.wait("a freeze", lambda: first.frozen)
    _thaw_after_session(bench, first)
    bench.progress(0.5)
    for slot in (second, first):
        bench.sleep(bench.rng.uniform(0.5, 3))
        slot.signal(signal.SIGSTOP)
        _thaw_after_session(bench, slot)
    bench.finish()


def _thaw_after_session(bench: Bench, slot: Slot) -> None:
    """Another worker has the frozen one's partitions by now."""
    bench.sleep(SESSION + 4)
    slot.signal(signal.SIGCONT)
    bench.interruptions += 1
    bench.recover()


def broker_kill(bench: Bench) -> None:
    _break_broker(bench, bench.server.kill)


def broker_restart(bench: Bench) -> None:
    _break_broker(bench, bench.server.stop)


def _break_broker(bench: Bench, end: Callable[[], None]) -> None:
    bench.slowest_recovery = 10
    bench.start()
    bench.feed(30)
    for share in (0.25, 0.6):
        bench.progress(share)
        end()
        bench.sleep(3)
        bench.server.start()
        bench.recover()
    bench.finish()


def cut(bench: Bench) -> None:
    """40 s without network, within the session of 45 s: nothing may be repeated."""
    _cut(bench, 40)


def long_cut(bench: Bench) -> None:
    """60 s without network, past the session: at most one batch is repeated."""
    bench.interruptions += 1
    _cut(bench, 60)


def short_cut(bench: Bench) -> None:
    _cut(bench, 8)


def _cut(bench: Bench, seconds: float) -> None:
    bench.proxied = True
    bench.start()
    bench.feed(seconds)
    bench.progress(0.2)
    bench.proxy.cut()
    bench.sleep(seconds)
    bench.proxy.mend()
    bench.recover()
    bench.finish()


def resets(bench: Bench) -> None:
    bench.proxied = True
    bench.start()
    bench.feed(30)
    bench.progress(0.1)
    for _ in range(20):
        bench.sleep(bench.rng.uniform(0.2, 1.5))
        bench.proxy.reset()
    bench.recover()
    bench.finish()


def slow_link(bench: Bench) -> None:
    """50 ms and 0.6 MB/s each way, with records of 10 MB on it."""
    bench.proxied = True
    bench.proxy.slow(0.05, 0.6 * MEGABYTE)
    bench.start()
    bench.feed(20)
    bench.finish()


def idle(bench: Bench) -> None:
    """No articles for longer than a batch may take."""
    bench.start(session_timeout=SESSION, max_poll_interval=8)
    bench.feed(20)
    bench.progress(0.3)
    bench.feeder.flowing.clear()
    bench.sleep(16)
    bench.feeder.flowing.set()
    bench.recover()
    bench.finish()


def missing_topic(bench: Bench) -> None:
    admin = AdminClient({"bootstrap.servers": bench.server.address, "log_level": 0})
    admin.delete_topics([bench.topics.enriched])[bench.topics.enriched].result()
    (slot,) = bench.start()
    wait_for("a word of the missing topic", lambda: slot.worker.logged("waiting for Kafka"))
    bench.sleep(5)
    create_topic(bench.server.address, bench.topics.enriched, partitions=PARTITIONS)
    bench.feed(10)
    bench.finish()


def enriched_unwritable(bench: Bench) -> None:
    _make_unwritable(bench, bench.topics.enriched, MEGABYTE + 12)


def rejected_unwritable(bench: Bench) -> None:
    _make_unwritable(bench, bench.topics.rejected, 16 * MEGABYTE)


def _make_unwritable(bench: Bench, topic: str, normal: int) -> None:
    """Kafka refuses every record of a topic for a while: nothing may be committed without it."""
    bench.start()
    bench.feed(20)
    bench.progress(0.2)
    _limit(bench, topic, 100)
    bench.sleep(15)
    _limit(bench, topic, normal)
    bench.recover()
    bench.finish()


def stop_unwritable(bench: Bench) -> None:
    """SIGTERM while Kafka refuses the batch in hand: the worker ends without it, and must not have committed it."""
    (slot,) = bench.start(stop_deadline=5)
    bench.feed(20)
    bench.progress(0.2)
    _limit(bench, bench.topics.enriched, 100)
    bench.sleep(3)
    slot.stop()
    bench.expected_exits |= {STOPPED_UNCLEAN}
    bench.interruptions += 1
    _limit(bench, bench.topics.enriched, MEGABYTE + 12)
    slot.start()
    bench.recover()
    bench.finish()


def _limit(bench: Bench, topic: str, size: int) -> None:
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bench.server.address, "log_level": 0})
    admin.incremental_alter_configs([resource])[resource].result()


def full_disk(bench: Bench) -> None:
    _write_nowhere(bench, "full")


def closed_log(bench: Bench) -> None:
    _write_nowhere(bench, "closed")


def _write_nowhere(bench: Bench, how: str) -> None:
    """With a kill and a restart on the way: what a worker needs to start again is with Kafka alone."""
    bench.command = ("tests.broker.faults.full_disk", how, bench.agent)
    (slot,) = bench.start()
    bench.feed(20)
    bench.progress(0.3)
    slot.kill()
    slot.start()
    bench.interruptions += 1
    bench.recover()
    bench.finish()


def clock_jump(bench: Bench) -> None:
    """The clock goes 50 minutes ahead, then behind: Kafka refuses what is an hour ahead of its own."""
    if bench.delivery == "exactly_once":
        # librdkafka waits for a transaction by C11's cnd_timedwait, which libfaketime lets run on the true clock.
        raise ToolMissing("a way to show transactions another clock")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise ToolMissing("libfaketime (Debian's package faketime)")
    clock = bench.folder / "clock"
    clock.write_text("+0s")
    bench.env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    bench.start()
    bench.feed(30)
    for share, jump in ((0.3, "+3000s"), (0.6, "-3000s")):
        bench.progress(share)
        clock.write_text(jump)
    bench.finish()


def _named(*scenarios: Callable[..., None]) -> dict[str, Callable[..., None]]:
    return {scenario.__name__: scenario for scenario in scenarios}


CLASSIFY = _named(
    baseline,
    poison,
    kill,
    rolling_restart,
    scale,
    freeze,
    consumer_protocol_kill,
    consumer_protocol_scale,
    broker_kill,
    broker_restart,
    short_cut,
    cut,
    long_cut,
    resets,
    slow_link,
    idle,
    missing_topic,
    enriched_unwritable,
    rejected_unwritable,
    stop_unwritable,
    full_disk,
    closed_log,
    clock_jump,
)
ALERTS = _named(baseline, kill, rolling_restart, scale, freeze, broker_kill, broker_restart, cut, resets, full_disk)

CONTROL = "correct"
"""The worker that the known-bad ones are made of; it has none of their mistakes, and must pass."""

OTHER_WORKERS: dict[str, Callable[..., None]] = {
    CONTROL: kill,
    "auto_commit": kill,
    "commit_before_send": kill,
    "delivery_unchecked": rejected_unwritable,
    "revoked_committed": scale,
}
"""Not Ajil's classify agent: workers that must be caught, and the scenario that does."""
OTHER_ALERT_WORKERS: dict[str, Callable[..., None]] = {"not_transactional": kill, "not_restored": kill}
"""Alerts agents with a mistake."""
