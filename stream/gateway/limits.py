"""How much one client may send, and how many requests are worked on at a time."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from stream.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Admission", "RateLimit"]

MAX_CLIENTS = 10_000
"""Clients that are remembered; one that is forgotten starts with a full bucket."""


class RateLimit:
    """A token bucket for each client: `rate` a second, `burst` at once.

    >>> limit = RateLimit(rate=1, burst=2, clock=lambda: 0.0)
    >>> limit.wait("desk", 2), limit.wait("desk", 1), limit.wait("wire", 1)
    (0, 1, 0)
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, count: int) -> int:
        """Take `count` from the client's bucket and return 0, or take nothing and return the whole seconds to wait.

        A count of 0 takes nothing, and waits for one.
        """
        now = self._clock()
        left, since = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        missing = max(count, 1) - left
        self._buckets[client] = (left - count if missing <= 0 else left, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0 if missing <= 0 else max(1, math.ceil(missing / self._rate))

    def require(self, client: str, count: int) -> None:
        """Raises `Problem` (429) with `Retry-After`."""
        if seconds := self.wait(client, count):
            raise Problem(
                429,
                f"too much at once: {self._rate:g} a second are allowed (AJIL_GATEWAY_RATE)",
                headers={"Retry-After": str(seconds)},
            )


class Admission:
    """At most `size` at work and `waiting` in line, for at most `seconds`: the rest is told to come back."""

    def __init__(self, size: int, waiting: int, seconds: float) -> None:
        self._slots = asyncio.Semaphore(size)
        self._waiting = waiting
        self._seconds = seconds
        self._line = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Raises `Problem` (503) with `Retry-After`."""
        if self._line >= self._waiting:
            raise _full()
        self._line += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise _full() from None
        finally:
            self._line -= 1
        try:
            yield
        finally:
            self._slots.release()


def _full() -> Problem:
    return Problem(503, "the gateway has as many requests in hand as it takes", headers={"Retry-After": "1"})
