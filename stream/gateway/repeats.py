"""Articles that were taken lately, so that a request sent again does not produce them again."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from stream.records import Place

__all__ = ["Repeats"]

SECONDS = 600.0
"""How long a producer may take to come back: its own retries, and a person's."""
LIMIT = 100_000
"""Ids remembered, about 50 MB."""


class _Taken(NamedTuple):
    digest: bytes
    future: asyncio.Future[Place]
    at: float


class Repeats:
    """Article id -> the content it last came with, and where that is, or will be, in Kafka."""

    def __init__(
        self, limit: int = LIMIT, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._taken: OrderedDict[str, _Taken] = OrderedDict()

    def find(self, id_: str, digest: bytes) -> asyncio.Future[Place] | None:
        """The future of an article with this id and content, unless it failed or is too long ago."""
        taken = self._taken.get(id_)
        if taken is None or taken.digest != digest or self._clock() - taken.at > self._seconds:
            return None
        failed = taken.future.done() and (taken.future.cancelled() or taken.future.exception() is not None)
        return None if failed else taken.future

    def keep(self, id_: str, digest: bytes, future: asyncio.Future[Place]) -> None:
        now = self._clock()
        self._taken.pop(id_, None)
        self._taken[id_] = _Taken(digest, future, now)
        while len(self._taken) > self._limit or now - next(iter(self._taken.values())).at > self._seconds:
            self._taken.popitem(last=False)
