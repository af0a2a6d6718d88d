"""Alerts to every open stream: written straight to the connections that keep up, from memory to those that do not.

A stream keeps no queue of its own. One that is caught up gets each alert as it comes; when its connection takes no
more, it falls back to reading the shared history at its own pace, and is ended when it stands still or falls out of it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stream.gateway.history import unseen
from stream.gateway.positions import covers, position_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiohttp.abc import AbstractStreamWriter

    from stream.gateway.filters import Filter
    from stream.gateway.history import History
    from stream.gateway.metrics import GatewayMetrics

__all__ = ["Fanout", "Subscriber", "TooSlow"]

BUFFER = 32 << 10
"""Bytes that wait in this process for one connection, about; the kernel's own buffer is `KERNEL_BUFFER`."""
KERNEL_BUFFER = 64 << 10
STALL_SECONDS = 20.0
HEARTBEAT_SECONDS = 15.0
"""Proxies close what is silent for 30 or 60 s."""
AHEAD_SECONDS = 10.0
"""How long a reader may be ahead of this gateway: another one has read further."""
SLICE = 100
"""Connections that are written to before other requests have their turn: about 2 ms."""


class TooSlow(Exception):
    """The reader takes nothing, or has fallen out of the history."""


class Subscriber:
    """One stream: `number` is the next entry of the history that it lacks.

    `offsets` is set while its position is not that of the history at `number`: then every event gets an id of its own.
    """

    def __init__(
        self,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        filter_: Filter,
        number: int,
        offsets: list[int] | None,
        patience: float,
    ) -> None:
        self.writer = writer
        self.transport = transport
        self.filter = filter_
        self.number = number
        self.offsets = offsets
        self.patience = patience
        self.flowing = False
        self.wake = asyncio.Event()
        transport.set_write_buffer_limits(high=BUFFER)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)

    async def write(self, data: bytes) -> None:
        """Raises `TooSlow`, and `ConnectionError` when the reader has gone."""
        try:
            async with asyncio.timeout(self.patience):
                await self.writer.write(data)
                await self.writer.drain()
        except TimeoutError:
            raise TooSlow from None

    def push(self, chunk: bytes) -> None:
        """Write what is framed already, without waiting."""
        if not self.transport.is_closing():
            self.transport.write(chunk)
        if self.transport.get_write_buffer_size() > BUFFER or self.transport.is_closing():
            self.fall_back()

    def end(self) -> None:
        """Cut the connection; what was written and not taken is lost, so the reader resumes before it."""
        if not self.transport.is_closing():
            self.transport.abort()

    def fall_back(self) -> None:
        self.flowing = False
        self.wake.set()


class Fanout:
    """`publish` alerts, `serve` streams, `beat` for the quiet ones; `stop` ends all of them."""

    def __init__(self, history: History, metrics: GatewayMetrics) -> None:
        self.history = history
        self._metrics = metrics
        self._groups: dict[Filter, set[Subscriber]] = {}
        self._stopping = False
        self.patience = STALL_SECONDS
        """Seconds that a stream may stand still."""

    async def publish(self, first: int) -> None:
        """Write the history's entries from number `first` on to every stream that is caught up."""
        if first < self.history.first:
            # More came at once than the history holds: every stream has missed some, and will be told so.
            for subscriber in self._everybody():
                subscriber.fall_back()
            return
        while entries := self.history.read(first, BUFFER):
            end = first + len(entries)
            sent = 0
            for filter_, group in list(self._groups.items()):
                passing = [entry for entry in entries if filter_.passes(entry.facts)]
                chunk = _framed(b"".join(entry.event for entry in passing)) if passing else None
                for number, subscriber in enumerate(list(group), 1):
                    # Whoever came in since has these entries from the history.
                    if subscriber.flowing and subscriber.number == first:
                        subscriber.number = end
                        if chunk:
                            subscriber.push(chunk)
                            sent += len(passing)
                    if not number % SLICE:
                        await asyncio.sleep(0)
            first = end
            self._metrics.alerts_sent.inc(sent)
            now = datetime.now(UTC)
            traced = next((entry for entry in entries if entry.trace_id), None)
            for entry in entries:
                exemplar = {"trace_id": entry.trace_id} if entry is traced and entry.trace_id else None
                self._metrics.delay.observe(max(0.0, (now - entry.alerted_at).total_seconds()), exemplar)

    async def serve(self, subscriber: Subscriber) -> None:
        """Until the gateway stops. Raises `TooSlow`, and `ConnectionError` when the reader has gone."""
        group = self._groups.setdefault(subscriber.filter, set())
        group.add(subscriber)
        try:
            ahead_until = time.monotonic() + AHEAD_SECONDS
            while not self._stopping:
                if subscriber.transport.is_closing():
                    raise ConnectionResetError
                entries = self.history.read(subscriber.number, BUFFER)
                if entries is None:
                    raise TooSlow
                if entries:
                    subscriber.number += len(entries)
                    if events := unseen(entries, subscriber.offsets, subscriber.filter):
                        self._metrics.alerts_sent.inc(len(events))
                        await subscriber.write(b"".join(events))
                elif subscriber.offsets is None or covers(self.history.next, subscriber.offsets):
                    subscriber.offsets = None
                    await self._flow(subscriber)
                elif time.monotonic() < ahead_until:
                    await asyncio.sleep(0.1)
                else:
                    subscriber.offsets = None
                    await subscriber.write(reset("unknown", self.history.next))
        finally:
            group.discard(subscriber)
            if not group:
                self._groups.pop(subscriber.filter, None)

    async def _flow(self, subscriber: Subscriber) -> None:
        """Let `publish` write, until the connection takes no more; then until it takes again."""
        subscriber.wake.clear()
        subscriber.flowing = True
        try:
            await subscriber.wake.wait()
        finally:
            subscriber.flowing = False
        if not self._stopping and not subscriber.transport.is_closing():
            await subscriber.write(b"")

    async def beat(self, seconds: float = HEARTBEAT_SECONDS) -> None:
        """Now and then a sign of life to streams that are caught up; it moves their position on."""
        while True:
            await asyncio.sleep(seconds)
            for number, subscriber in enumerate(list(self._everybody()), 1):
                if subscriber.flowing and subscriber.number == self.history.end:
                    subscriber.push(_framed(heartbeat(self.history.next)))
                if not number % SLICE:
                    await asyncio.sleep(0)

    def stop(self) -> None:
        self._stopping = True
        for subscriber in self._everybody():
            subscriber.fall_back()
            if subscriber.transport.get_write_buffer_size() > BUFFER:
                subscriber.end()  # it would have us wait for a reader that does not read

    def _everybody(self) -> Iterable[Subscriber]:
        return [subscriber for group in self._groups.values() for subscriber in group]


def hello(offsets: Sequence[int]) -> bytes:
    """How a stream begins: no event, but it sets the id and how soon to come back."""
    return b"retry: 2000\nid: %b\n\n" % position_text(offsets).encode()


def heartbeat(offsets: Sequence[int]) -> bytes:
    return b": heartbeat\nid: %b\n\n" % position_text(offsets).encode()


def reset(reason: str, offsets: Sequence[int]) -> bytes:
    """Alerts are missing: the reader should fetch the lists anew."""
    return b'id: %b\nevent: reset\ndata: {"reason":"%b"}\n\n' % (position_text(offsets).encode(), reason.encode())


def _framed(data: bytes) -> bytes:
    """One chunk of HTTP/1.1's chunked transfer coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)
