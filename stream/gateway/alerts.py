"""`GET /v1/alerts`, `/v1/alerts/stream` and `/v1/alerts.atom`, from one reader of `news.alerts`."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiohttp import web
from aiokafka.errors import KafkaError

from stream.gateway.atom import feed
from stream.gateway.fanout import Fanout, Subscriber, TooSlow, hello, reset
from stream.gateway.filters import Filter, facts_of, read_filter, read_limit
from stream.gateway.history import Entry, History, event
from stream.gateway.positions import position_text, read_position
from stream.gateway.problems import Problem
from stream.records import Alert, encode, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka import ConsumerRecord

    from stream.gateway.access import Access
    from stream.gateway.metrics import GatewayMetrics
    from stream.gateway.reader import Archive
    from stream.settings import Settings

__all__ = ["Alerts"]

LOAD_SECONDS = 15.0
"""How long a stream waits for a gateway that has just started."""

log = structlog.get_logger(__name__)


class Alerts:
    """A reader fills it: `take` gets the records, `loaded` is set once the history is filled."""

    def __init__(self, settings: Settings, access: Access, archive: Archive, metrics: GatewayMetrics) -> None:
        self.history = History(settings.gateway_history)
        self.fanout = Fanout(self.history, metrics)
        self.loaded = asyncio.Event()
        self._limit = settings.gateway_subscribers
        self._access = access
        self._archive = archive
        self._metrics = metrics
        self._topic = settings.topic_alerts
        self._open = 0

    async def take(self, records: Sequence[ConsumerRecord]) -> None:
        first = self.history.end
        for record in records:
            if alert := self._alert(record):
                self.history.add(record.partition, record.offset, alert)
            else:
                self.history.skip(record.partition, record.offset)
        self._metrics.alerts_read.inc(self.history.end - first)
        await self.fanout.publish(first)

    def _alert(self, record: ConsumerRecord) -> Alert | None:
        try:
            return read(record.value or b"", Alert)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self._metrics.unreadable.labels(self._topic).inc()
            log.warning("not an alert", topic=record.topic, partition=record.partition, offset=record.offset)
            return None

    async def recent(self, request: web.Request) -> web.Response:
        self._access.require(request, "read")
        filter_ = read_filter(request.query, others=["limit"])
        limit = read_limit(request.query)
        await self._wait_loaded()
        position = position_text(self.history.next)
        found = islice((entry for entry in self.history.newest() if filter_.passes(entry.facts)), limit)
        body = b'{"alerts":[%b],"position":"%b"}' % (b",".join(entry.data for entry in found), position.encode())
        return web.Response(body=body, content_type="application/json")

    async def atom(self, request: web.Request) -> web.Response:
        self._access.require(request, "read")
        filter_ = read_filter(request.query, others=["limit"])
        limit = read_limit(request.query)
        await self._wait_loaded()
        latest: dict[str, Entry] = {}
        for entry in self.history.newest():
            if len(latest) < limit and filter_.passes(entry.facts):
                latest.setdefault(entry.alert_id, entry)
        body = feed([read(entry.data, Alert) for entry in latest.values()], str(request.url))
        response = web.Response(body=body, content_type="application/atom+xml", charset="utf-8")
        response.headers["Cache-Control"] = "private, max-age=30"
        tag = hashlib.sha256(body).hexdigest()[:32]
        response.etag = tag
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers={"ETag": f'"{tag}"'})
        return response

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self._access.require(request, "read")
        filter_ = read_filter(request.query, others=["after"])
        told = request.headers.get("Last-Event-ID") or request.query.get("after")
        if request.version < (1, 1):
            raise Problem(505, "the stream needs HTTP/1.1")
        if self._open >= self._limit:
            raise Problem(
                503,
                f"{self._limit} streams are open already (AJIL_GATEWAY_SUBSCRIBERS)",
                headers={"Retry-After": "10"},
            )
        self._open += 1
        self._metrics.subscribers.set(self._open)
        try:
            await self._wait_loaded()
            return await self._serve(request, filter_, told)
        finally:
            self._open -= 1
            self._metrics.subscribers.set(self._open)

    async def _serve(self, request: web.Request, filter_: Filter, told: str | None) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        offsets = read_position(told, len(self.history.next)) if told else None
        known = offsets is not None or not told
        begin = offsets or self.history.next.copy()
        # From here to the subscriber's taking up its place nothing may be read from Kafka unseen: `number` is taken
        # before the first await, and counts on whatever is read meanwhile.
        number = self.history.since(begin)
        writer = await response.prepare(request)
        transport = request.transport
        if writer is None or transport is None:
            return response
        subscriber = Subscriber(writer, transport, filter_, number or 0, begin if told else None, self.fanout.patience)
        try:
            await subscriber.write(hello(begin) if known else hello(begin) + reset("unknown", begin))
            if number is None:
                subscriber.number = await self._catch_up(subscriber, begin)
            if told:
                self._metrics.resumed.labels("kafka" if number is None else "memory").inc()
            await self.fanout.serve(subscriber)
            await response.write_eof()
        except TooSlow:
            self._metrics.dropped.inc()
            log.info("a stream was too slow", address=request.remote)
            subscriber.end()
        except ConnectionError:
            pass
        except KafkaError as error:
            # The reader comes back by itself, to the place it has reached.
            log.warning("a stream could not be resumed from Kafka", error=str(error) or type(error).__name__)
            subscriber.end()
        return response

    async def _catch_up(self, subscriber: Subscriber, at: list[int]) -> int:
        """Send from Kafka what memory lacks; returns the number of the first entry to go on with, `at` moved there."""
        while (number := self.history.since(at)) is None:
            async with aclosing(self._archive.read(at.copy(), self.history.begin.copy())) as found:
                async for partition, after, records in found:
                    events = []
                    if not records:
                        at[partition] = after
                        events.append(reset("expired", at))
                    for record in records:
                        at[partition] = record.offset + 1
                        alert = self._alert(record)
                        if alert and subscriber.filter.passes(facts_of(alert)):
                            events.append(event(position_text(at), alert.kind, encode(alert)))
                    at[partition] = after
                    await subscriber.write(b"".join(events))
        return number

    async def _wait_loaded(self) -> None:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await self.loaded.wait()
        except TimeoutError:
            raise Problem(503, "alerts are not read yet: Kafka is away", headers={"Retry-After": "5"}) from None
