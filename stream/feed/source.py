"""One feed: asked politely, remembered as far as it must be to tell what is new."""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import re
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import msgspec

from stream.feed.entries import Article, NotAFeed, read_feed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["MIN_INTERVAL", "Feed", "Polled", "Unread", "asked_wait"]

MIN_INTERVAL = 60.0
MAX_WAIT = 86_400.0
"""Seconds: a feed is asked once a day, whatever it says of itself."""
MAX_BYTES = 10 << 20
MAX_REDIRECTS = 5
MAX_SEEN = 5000
"""Entries remembered; feeds have ten to a few hundred."""
TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)


class Unread(Exception):
    """The feed could not be read this time; `wait` is what its server asked for, in seconds."""

    def __init__(self, message: str, wait: float = 0.0, *, gone: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.gone = gone


class Polled(NamedTuple):
    """`sent` of `entries` were new or changed; the feed wants to be left alone for `wait` seconds."""

    sent: int
    entries: int
    wait: float


class Feed:
    def __init__(self, url: str) -> None:
        self.url = url
        self._headers: dict[str, str] = {}
        self._seen: OrderedDict[str, bytes] = OrderedDict()

    async def poll(self, session: aiohttp.ClientSession, send: Callable[[list[Article]], Awaitable[None]]) -> Polled:
        """Fetch the feed and send what is new, oldest first.

        What was sent is remembered when `send` returns, so that what Kafka did not take comes again. Raises `Unread`,
        and what `send` raises.
        """
        try:
            async with session.get(
                self.url, headers=self._headers, timeout=TIMEOUT, max_redirects=MAX_REDIRECTS
            ) as answer:
                wait = asked_wait(answer.headers, datetime.now(UTC))
                if answer.status == 304:
                    return Polled(0, 0, wait)
                if answer.status != 200:
                    raise Unread(f"the server answered {answer.status}", wait, gone=answer.status == 410)
                body = await _body(answer)
        except TimeoutError:
            raise Unread(f"no answer within {TIMEOUT.total:.0f} s") from None
        except aiohttp.TooManyRedirects:
            raise Unread(f"more than {MAX_REDIRECTS} redirects") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unread(f"cannot be fetched: {str(error) or type(error).__name__}"[:200]) from None
        try:
            # Parsing a large feed takes a tenth of a second, which the other feeds need not wait for.
            told = await asyncio.to_thread(read_feed, body, str(answer.url), answer.headers.get("Content-Type"))
        except NotAFeed as error:
            raise Unread(str(error), wait) from None
        new = {identity: (mark, article) for identity, mark, article in self._new(told.articles)}
        if new:
            # Feeds have the newest entry first.
            await send([article for _, article in reversed(new.values())])
        self._remember({identity: mark for identity, (mark, _) in new.items()})
        known = {"If-None-Match": answer.headers.get("ETag"), "If-Modified-Since": answer.headers.get("Last-Modified")}
        self._headers = {name: value for name, value in known.items() if value}
        if answer.history and all(step.status in (301, 308) for step in answer.history):
            self.url = str(answer.url)
        return Polled(len(new), len(told.articles), max(wait, min(told.ttl or 0.0, MAX_WAIT)))

    def _new(self, articles: list[Article]) -> list[tuple[str, bytes, Article]]:
        found = []
        for article in articles:
            identity = article.id or article.title or article.body or ""
            mark = hashlib.blake2b(msgspec.json.encode(article), digest_size=16).digest()
            if self._seen.get(identity) != mark:
                found.append((identity, mark, article))
        return found

    def _remember(self, marks: dict[str, bytes]) -> None:
        for identity, mark in marks.items():
            self._seen[identity] = mark
            self._seen.move_to_end(identity)
        while len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MAX_BYTES:
            raise Unread(f"more than {MAX_BYTES >> 20} MB")
    return bytes(body)


def asked_wait(headers: Mapping[str, str], now: datetime) -> float:
    """The seconds for which a server asks to be left alone: `Retry-After`, else the `max-age` of `Cache-Control`.

    >>> now = datetime(2026, 1, 2, tzinfo=UTC)
    >>> asked_wait({"Retry-After": "120"}, now), asked_wait({"Cache-Control": "public, max-age=600"}, now)
    (120.0, 600.0)
    >>> asked_wait({"Retry-After": "Fri, 02 Jan 2026 00:00:30 GMT"}, now), asked_wait({}, now)
    (30.0, 0.0)
    """
    after = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", after):
        return min(float(after), MAX_WAIT)
    try:
        return min(max(0.0, (email.utils.parsedate_to_datetime(after) - now).total_seconds()), MAX_WAIT)
    except (ValueError, TypeError):
        found = re.search(r"max-age\s*=\s*\"?([0-9]{1,9})", headers.get("Cache-Control", ""), re.I)
        return min(float(found[1]), MAX_WAIT) if found else 0.0
