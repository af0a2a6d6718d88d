"""Many feeds, each at its own pace, no server asked by two requests at once."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import aiohttp
from yarl import URL

from stream.errors import KafkaError
from stream.feed.source import MAX_WAIT, MIN_INTERVAL, Feed, Polled, Unread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from stream.feed.entries import Article

__all__ = ["Watch", "follow"]

MAX_REQUESTS = 8
START_SECONDS = 5.0
"""Over which the first requests of many feeds are spread."""


class Watch(Protocol):
    """Is told of every poll; `wait` is the seconds until the next, None when there is none."""

    def polled(self, feed: Feed, polled: Polled, wait: float | None) -> None: ...

    def failed(self, feed: Feed, why: str, wait: float | None) -> None: ...


async def follow(
    urls: Sequence[str],
    send: Callable[[list[Article]], Awaitable[None]],
    watch: Watch,
    *,
    interval: float,
    once: bool = False,
) -> None:
    """Read all feeds until cancelled, or (`once`) one time each.

    A feed is asked every `interval` seconds, less often where it or its server says so (`ttl`, `Cache-Control`,
    `Retry-After`), and less and less often while it fails. With `once`, what `send` raises ends it.
    """
    gate = _Gate()
    headers = {
        "User-Agent": f"ajil/{version('ajil')}",
        "Accept": "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.5",
    }
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def keep(url: str) -> None:
            feed, failures = Feed(url), 0
            if len(urls) > 1 and not once:
                await asyncio.sleep(random.uniform(0, START_SECONDS))  # noqa: S311
            while True:
                wait: float | None
                try:
                    async with gate.entered(feed.url):
                        polled = await feed.poll(session, send)
                except Unread as error:
                    failures += 1
                    pause = max(error.wait, min(interval * 2**failures, MAX_WAIT))
                    wait = None if once or error.gone else pause
                    watch.failed(feed, f"{error}{'; it is gone for good' if error.gone else ''}", wait)
                except KafkaError as error:
                    if once:
                        raise
                    wait = MIN_INTERVAL
                    watch.failed(feed, str(error), wait)
                else:
                    failures = 0
                    wait = None if once else max(polled.wait, interval)
                    watch.polled(feed, polled, wait)
                if wait is None:
                    return
                await asyncio.sleep(wait)

        tasks = [asyncio.create_task(keep(url)) for url in dict.fromkeys(urls)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class _Gate:
    """One request at a time to a host, `MAX_REQUESTS` in all."""

    def __init__(self) -> None:
        self._hosts: defaultdict[str | None, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._all = asyncio.Semaphore(MAX_REQUESTS)

    @asynccontextmanager
    async def entered(self, url: str) -> AsyncIterator[None]:
        async with self._hosts[URL(url).host], self._all:
            yield
