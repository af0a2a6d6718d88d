"""`GET /v1/stories` and `/v1/stories/{story_id}`: a view of `news.stories` in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog
from aiohttp import web

from stream.gateway.filters import Facts, facts_of, read_filter, read_limit
from stream.gateway.problems import Problem
from stream.records import Story, encode, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka import ConsumerRecord

    from stream.gateway.access import Access
    from stream.gateway.metrics import GatewayMetrics
    from stream.settings import Settings

__all__ = ["Stories", "StoryView"]

MAX_BYTES = 128 << 20
_STATES = ("open", "closed", "any")

log = structlog.get_logger(__name__)


class Seen(NamedTuple):
    """One story as it is answered."""

    data: bytes
    facts: Facts
    is_open: bool
    updated_at: datetime


class StoryView:
    """The newest state of the stories that were updated last; at most `limit` and `max_bytes`."""

    def __init__(self, limit: int, max_bytes: int = MAX_BYTES) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._seen)

    def put(self, story: Story) -> None:
        self.remove(story.story_id)
        time = story.updated_at
        seen = Seen(
            encode(msgspec.structs.replace(story, memory=None)),
            facts_of(story),
            story.state == "open",
            time if time.tzinfo else time.replace(tzinfo=UTC),
        )
        self._seen[story.story_id] = seen
        self._bytes += len(seen.data)
        while len(self._seen) > self._limit or (self._bytes > self._max_bytes and self._seen):
            self._bytes -= len(self._seen.popitem(last=False)[1].data)

    def remove(self, story_id: str) -> None:
        if seen := self._seen.pop(story_id, None):
            self._bytes -= len(seen.data)

    def get(self, story_id: str) -> Seen | None:
        return self._seen.get(story_id)

    def newest(self) -> list[Seen]:
        """The latest updated first."""
        return sorted(self._seen.values(), key=lambda seen: seen.updated_at, reverse=True)


class Stories:
    """A reader fills it: `take` gets the records, `loaded` is set once the whole topic has been read."""

    def __init__(self, settings: Settings, access: Access, metrics: GatewayMetrics) -> None:
        self.view = StoryView(settings.gateway_stories)
        self.loaded = asyncio.Event()
        self._access = access
        self._metrics = metrics
        self._topic = settings.topic_stories

    async def take(self, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            if record.value is None:
                self.view.remove((record.key or b"").decode("utf-8", "replace"))
                continue
            try:
                self.view.put(read(record.value, Story))
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self._metrics.unreadable.labels(self._topic).inc()
                log.warning("not a story", topic=record.topic, partition=record.partition, offset=record.offset)
        self._metrics.stories.set(len(self.view))
        await asyncio.sleep(0)

    async def latest(self, request: web.Request) -> web.Response:
        self._access.require(request, "read")
        filter_ = read_filter(request.query, others=["limit", "state"], kinds=False)
        limit = read_limit(request.query)
        state = request.query.get("state", "open")
        if state not in _STATES:
            raise Problem(400, f"state {state[:20]!r} is none of {', '.join(_STATES)}")
        self._require_loaded()
        found = [
            seen.data
            for seen in self.view.newest()
            if (state == "any" or seen.is_open == (state == "open")) and filter_.passes(seen.facts)
        ]
        body = b'{"stories":[%b],"total":%d}' % (b",".join(found[:limit]), len(found))
        return web.Response(body=body, content_type="application/json")

    async def get(self, request: web.Request) -> web.Response:
        self._access.require(request, "read")
        self._require_loaded()
        seen = self.view.get(request.match_info["story_id"])
        if seen is None:
            raise Problem(404, "no such story, or it was updated too long ago to be kept here")
        return web.Response(body=seen.data, content_type="application/json")

    def _require_loaded(self) -> None:
        if not self.loaded.is_set():
            raise Problem(503, "stories are not read yet", headers={"Retry-After": "5"})
