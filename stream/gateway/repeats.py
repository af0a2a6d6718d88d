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
    """`at`: when Kafka acknowledged it, before that when it was handed over."""

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
        """The future of an article with this id and content, unless it failed or Kafka has had it for too long."""
        taken = self._taken.get(id_)
        if taken is None or taken.digest != digest:
            return None
        if not taken.future.done():
            return taken.future
        failed = taken.future.cancelled() or taken.future.exception() is not None
        return None if failed or self._clock() - taken.at > self._seconds else taken.future

    def keep(self, id_: str, digest: bytes, future: asyncio.Future[Place]) -> None:
        self._put(id_, _Taken(digest, future, self._clock()))
        future.add_done_callback(lambda _: self._settled(id_, future))

    def _settled(self, id_: str, future: asyncio.Future[Place]) -> None:
        """The time counts from here: while Kafka is away, an article may be on its way for hours."""
        taken = self._taken.get(id_)
        if taken is not None and taken.future is future:
            self._put(id_, taken._replace(at=self._clock()))

    def _put(self, id_: str, taken: _Taken) -> None:
        self._taken.pop(id_, None)
        self._taken[id_] = taken
        while len(self._taken) > self._limit or self._is_old(next(iter(self._taken.values())), taken.at):
            self._taken.popitem(last=False)

    def _is_old(self, taken: _Taken, now: float) -> bool:
        return taken.future.done() and now - taken.at > self._seconds
