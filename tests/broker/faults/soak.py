"""A worker at full load for a long time, and whether its memory stays flat.

python -m tests.broker.faults.soak [--minutes 30] [--warm-up 5] [--delivery at_least_once] [--most 5]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.broker.faults.bench import PARTITIONS
from tests.broker.faults.load import seeded
from tests.broker.faults.report import memory_slope
from tests.broker.faults.runs import DELIVERIES
from tests.broker.faults.slot import Slot
from tests.kafka_client import MEGABYTE, create_topics
from tests.kafka_server import KafkaServer
from tests.worker_process import environment

if TYPE_CHECKING:
    from tests.kafka_client import Topics

DIFFERENT = 3000
"""Articles and poison, fed round and round."""
AHEAD = 5_000
"""Records that wait for the worker: it always has enough to do, and Kafka's disk does not fill."""
KEPT = {
    # Kafka deletes what was read long ago.
    "log.retention.bytes": str(1024 * MEGABYTE),
    "log.segment.bytes": str(32 * MEGABYTE),
    "log.retention.check.interval.ms": "5000",
    "log.segment.delete.delay.ms": "1000",
}


def run(folder: Path, minutes: float, delivery: str) -> tuple[list[tuple[float, float]], dict[str, float]]:
    """-> the worker's memory (seconds, MB), and its own counts at the end."""
    server = KafkaServer(folder / "kafka", properties=KEPT)
    server.start()
    topics = create_topics(server.address, partitions=PARTITIONS)
    env = environment(server.address, topics, delivery=delivery, log_format="json")
    command = ("stream.cli", "--agents", "classify")
    slot = Slot(folder, env, command, None)
    try:
        slot.worker.wait_ready()
        sent = feed(server.address, topics, env["AJIL_GROUP"], slot, minutes * 60)
        names = ("ajil_articles_enriched_total", "ajil_records_rejected_total", "ajil_records_lost_total")
        counts = {name: slot.worker.metric(name) for name in names} | {"sent": sent}
        slot.stop()
    finally:
        if not slot.dead:
            slot.kill()
        server.stop()
    return slot.memory[0], counts


def feed(address: str, topics: Topics, group: str, slot: Slot, seconds: float) -> int:
    """Keep the worker busy for so long, then let it finish. Returns how many records were sent."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 20, "message.max.bytes": 20 * MEGABYTE})
    reader = Consumer({"bootstrap.servers": address, "group.id": group, "enable.auto.commit": False})
    partitions = [TopicPartition(topics.raw, partition) for partition in range(PARTITIONS)]

    def waiting() -> int:
        done: int = sum(max(0, place.offset) for place in reader.committed(partitions, timeout=30))
        return sent - done

    sent = 0
    end = time.monotonic() + seconds
    for item in cycle(seeded(DIFFERENT, 1)):
        if sent % 1000 == 0:
            producer.flush()
            while waiting() > AHEAD:
                slot.measure()
                time.sleep(0.05)
            slot.measure()
            assert not slot.dead, "the worker ended"
            if time.monotonic() > end:
                break
        record = item.record
        producer.produce(topics.raw, value=record.value, key=record.key, headers=list(record.headers))
        sent += 1
    while waiting() > 0:
        time.sleep(0.2)
    reader.close()
    return sent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.broker.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm-up", type=float, default=5, metavar="MINUTES")
    parser.add_argument("--delivery", choices=DELIVERIES, default=DELIVERIES[0])
    parser.add_argument("--most", type=float, default=5, metavar="MB", help="how much it may grow after the warm-up")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ajil-soak-") as folder:
        memory, counts = run(Path(folder), told.minutes, told.delivery)
    start = memory[0][0]
    settled = [(at, size) for at, size in memory if at - start > told.warm_up * 60]
    first, last = (median(size for _, size in part) for part in (settled[:60], settled[-60:]))
    seconds = memory[-1][0] - start
    print(f"{told.delivery}: {counts['sent']:.0f} records in {seconds:.0f} s, {counts['sent'] / seconds:.0f} a second")
    print(
        f"memory after {told.warm_up:g} minutes {first:.1f} MB, at the end {last:.1f} MB, grown {last - first:+.1f} MB"
    )
    print(f"slope of the second half: {memory_slope(memory) or 0:+.2f} MB a minute")
    done = counts["ajil_articles_enriched_total"] + counts["ajil_records_rejected_total"]
    if done != counts["sent"] or counts["ajil_records_lost_total"]:
        print(f"the books do not balance: {counts}", file=sys.stderr)
        return 1
    return int(last - first > told.most)


if __name__ == "__main__":
    sys.exit(main())
