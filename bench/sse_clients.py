"""Many readers of one gateway's alert stream, in a process of its own, so that they do not cost the gateway's time.

    python -m bench.sse_clients PORT READERS SLOW SECONDS

Prints `ready` when all are connected, then one JSON object: delays in ms (from the time in the alert's title, at which
it was produced, to its arrival), and how many readers got how many alerts.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from collections import Counter

# The first revision only: a later one has the same title, and came when it came.
_TITLE = re.compile(rb'"kind":"opened","story_id":"[^"]+","title":"[^"]*?([0-9]+) ([0-9]{19})"')
_LONGEST = 400
_REQUEST = b"GET /v1/alerts/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Reader(asyncio.Protocol):
    """Notes when each alert came. One event may come in two pieces: its title is looked for in both."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.seen: set[bytes] = set()
        self.repeated = 0
        self.greeted = asyncio.get_running_loop().create_future()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        now = time.time_ns()
        if not self.greeted.done() and b"retry:" in data:
            self.greeted.set_result(None)
        data = self._rest + data
        end = 0
        for found in _TITLE.finditer(data):
            end = found.end()
            self.delays.append((now - int(found[2])) / 1e6)
            self.repeated += found[1] in self.seen
            self.seen.add(found[1])
        self._rest = data[max(end, len(data) - _LONGEST) :]


async def connect(port: int, count: int) -> list[Reader]:
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(count):
        _, reader = await loop.create_connection(Reader, "127.0.0.1", port)
        readers.append(reader)
    await asyncio.gather(*(reader.greeted for reader in readers))
    return readers


async def main(port: int, count: int, slow: int, seconds: float) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    readers = await connect(port, count)
    sleepers = await connect(port, slow)
    for sleeper in sleepers:
        sleeper.transport.pause_reading()
    print("ready", flush=True)
    await asyncio.sleep(seconds)
    delays = sorted(delay for reader in readers for delay in reader.delays)
    told = Counter(len(reader.seen) for reader in readers)
    print(
        json.dumps(
            {
                "readers": count,
                "slow": slow,
                "deliveries": len(delays),
                "p50_ms": round(delays[len(delays) // 2], 1),
                "p99_ms": round(delays[len(delays) * 99 // 100], 1),
                "worst_ms": round(delays[-1], 1),
                "alerts_by_readers": dict(told),
                "repeated": sum(reader.repeated for reader in readers),
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
