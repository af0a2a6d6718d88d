"""Produces one record with a header name that is not UTF-8, which no client for Python would do by itself.

    AIOKAFKA_NO_EXTENSIONS=1 python -m tests.broker.faults.odd_header ADDRESS TOPIC

prints `PARTITION OFFSET`. Without its C extensions aiokafka asks the name itself for its bytes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from aiokafka import AIOKafkaProducer

from tests.broker.faults.load import Item
from tests.kafka_client import Record

__all__ = ["ODD", "produce_odd_header"]

VALUE, KEY = b'{"id": "odd", "title": "An article whose header has an odd name"}', b"k1"
ODD = Item(Record(VALUE, KEY), None, "undecodable")
"""What is sent, less its headers: confluent-kafka hands out none of a record that has such a name."""


class _Odd(str):
    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def produce_odd_header(address: str, topic: str) -> tuple[int, int]:
    """Returns the record's partition and offset."""
    command = [sys.executable, "-m", __name__, address, topic]
    env = os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=60)
    partition, offset = done.stdout.split()
    return int(partition), int(offset)


async def _produce(address: str, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    try:
        headers = [("traceparent", b"00-3"), (_Odd("odd"), b"1")]
        place = await producer.send_and_wait(topic, VALUE, key=KEY, headers=headers)
    finally:
        await producer.stop()
    print(place.partition, place.offset)


if __name__ == "__main__":
    asyncio.run(_produce(*sys.argv[1:]))
