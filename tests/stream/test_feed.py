"""Feeds: what their entries become, and how they are asked for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from stream.decode import decode
from stream.embedded import EmbeddedBroker
from stream.errors import KafkaError
from stream.feed.entries import NotAFeed, read_feed
from stream.feed.follow import follow
from stream.feed.source import MAX_BYTES, Feed, Polled, Unread, asked_wait
from tests.kafka_client import consume_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stream.feed.entries import Article

RSS = """<?xml version="1.0" encoding="{charset}"?>
<rss version="2.0"><channel>
<title>صحيفة الميناء</title><link>https://www.harbour.example/</link><language>ar-EG</language><ttl>10</ttl>
<item><title>عاجل: انهيار سد في الشمال</title><guid isPermaLink="false">12</guid><link>/a/12</link>
<description>&lt;p&gt;قال مسؤولون إن السد انهار &amp;amp; غمر القرى.&lt;/p&gt;&lt;p&gt;لا ضحايا.&lt;/p&gt;</description>
<pubDate>Mon, 05 Jan 2026 12:00:00 +0200</pubDate></item>
<item><title>{second}</title><link>https://www.harbour.example/a/11</link></item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>The Ledger</title><id>urn:ledger</id>
<link rel="self" href="https://feeds.example/ledger"/><link href="https://ledger.example/"/>
<entry><id>tag:ledger.example,2026:7</id><title type="html">Rates &amp;lt; 2% &lt;b&gt;held&lt;/b&gt;</title>
<link href="https://ledger.example/7"/><published>2026-01-05T11:00:00Z</published><updated>{updated}</updated>
<content type="html">&lt;p&gt;The bank left its rate unchanged.&lt;/p&gt;</content></entry></feed>"""


def rss(second: str = "افتتاح الجسر الجديد", charset: str = "utf-8") -> bytes:
    return RSS.format(second=second, charset=charset).encode(charset)


def atom(updated: str = "2026-01-05T12:00:00Z") -> bytes:
    return ATOM.format(updated=updated).encode()


@pytest.mark.parametrize("charset", ["utf-8", "windows-1256"])
def test_rss_becomes_articles(charset: str) -> None:
    told = read_feed(rss(charset=charset), "https://www.harbour.example/rss")
    first, second = told.articles
    assert told.ttl == 600
    assert first.id == "harbour.example/12"
    assert first.url == "https://www.harbour.example/a/12"
    assert (first.source, first.lang) == ("harbour.example", "ar-EG")
    assert first.title == "عاجل: انهيار سد في الشمال"
    assert first.body == "قال مسؤولون إن السد انهار & غمر القرى.\nلا ضحايا."
    assert first.published_at == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert (second.id, second.body, second.published_at) == ("https://www.harbour.example/a/11", None, None)


def test_atom_becomes_articles() -> None:
    (article,) = read_feed(atom(), "https://feeds.example/ledger").articles
    assert (article.id, article.source, article.lang) == ("tag:ledger.example,2026:7", "ledger.example", "en")
    assert article.title == "Rates < 2% held"
    assert article.body == "The bank left its rate unchanged."
    assert article.published_at == datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert article.version == "2026-01-05T12:00:00Z"


def test_a_feed_of_several_outlets_names_each() -> None:
    item = (
        '<item><title>A</title><guid isPermaLink="false">g</guid><source url="https://www.coast.example/">C</source>'
        "</item>"
    )
    body = f'<rss version="2.0"><channel><link>https://all.example/</link>{item}</channel></rss>'
    (article,) = read_feed(body.encode(), "https://all.example/rss").articles
    assert (article.source, article.id) == ("coast.example", "coast.example/g")


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>Not found</body></html>", b"plain text", b'{"items": []}', b"\xff\xfe"]
)
def test_what_is_no_feed_is_told(body: bytes) -> None:
    with pytest.raises(NotAFeed, match="neither RSS nor Atom"):
        read_feed(body, "https://ledger.example/rss")


def test_entities_do_not_explode() -> None:
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE rss [<!ENTITY a0 "aaaaaaaaaa">{lines}]>'
    bomb += '<rss version="2.0"><channel><title>&a8;</title></channel></rss>'
    assert read_feed(bomb.encode(), "https://ledger.example/rss").articles == []


def test_a_day_is_the_longest_wait() -> None:
    assert asked_wait({"Retry-After": "999999999"}, datetime.now(UTC)) == 86_400
    assert asked_wait({"Retry-After": "soon", "Cache-Control": "no-cache"}, datetime.now(UTC)) == 0


class Site:
    """Serves `pages` (path -> response) on a free port; `asked` has the headers of each request."""

    def __init__(self) -> None:
        self.pages: dict[str, web.Response] = {}
        self.asked: list[dict[str, str]] = []
        self.base = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.headers))
        page = self.pages[request.path]
        etag = page.headers.get("ETag")
        if etag and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"Cache-Control": "max-age=900"})
        answer = web.Response(status=page.status, body=page.body, headers=page.headers)
        if page.body:
            answer.enable_compression()
        return answer


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


async def poll(feed: Feed, sent: list[Article]) -> Polled:
    async def send(articles: list[Article]) -> None:
        sent.extend(articles)

    async with aiohttp.ClientSession() as session:
        return await feed.poll(session, send)


async def test_only_what_is_new_or_changed_is_sent(site: Site) -> None:
    site.pages["/rss"] = web.Response(
        body=rss(), headers={"ETag": '"1"', "Last-Modified": "Mon, 05 Jan 2026 10:00:00 GMT"}
    )
    feed, sent = Feed(f"{site.base}/rss"), []
    assert await poll(feed, sent) == (2, 2, 600)
    assert [article.id for article in sent] == ["https://www.harbour.example/a/11", "harbour.example/12"]
    assert await poll(feed, sent) == (0, 0, 900)
    assert site.asked[1]["If-None-Match"] == '"1"'
    assert site.asked[1]["If-Modified-Since"] == "Mon, 05 Jan 2026 10:00:00 GMT"
    site.pages["/rss"] = web.Response(body=rss(second="تأجيل افتتاح الجسر"), headers={"ETag": '"2"'})
    assert await poll(feed, sent) == (1, 2, 600)
    assert (sent[-1].id, sent[-1].title) == ("https://www.harbour.example/a/11", "تأجيل افتتاح الجسر")


async def test_what_kafka_did_not_take_comes_again(site: Site) -> None:
    site.pages["/atom"] = web.Response(body=atom(), headers={"ETag": '"1"'})
    feed = Feed(f"{site.base}/atom")

    async def refuse(_: list[Article]) -> None:
        raise KafkaError("not now")

    async with aiohttp.ClientSession() as session:
        with pytest.raises(KafkaError):
            await feed.poll(session, refuse)
    sent: list[Article] = []
    assert (await poll(feed, sent)).sent == 1
    assert "If-None-Match" not in site.asked[1]


async def test_a_feed_that_moved_for_good_is_asked_at_its_new_place(site: Site) -> None:
    site.pages["/old"] = web.Response(status=301, headers={"Location": "/new"})
    site.pages["/new"] = web.Response(body=atom())
    feed = Feed(f"{site.base}/old")
    await poll(feed, [])
    assert feed.url == f"{site.base}/new"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (web.Response(status=404), "the server answered 404"),
        (web.Response(body=b"<html></html>"), "neither RSS nor Atom"),
        (web.Response(status=302, headers={"Location": "/feed"}), "more than 5 redirects"),
        (web.Response(status=302, headers={"Location": "file:///etc/hostname"}), "cannot be fetched"),
        (web.Response(body=b"a" * (MAX_BYTES + 1)), "more than 10 MB"),
    ],
    ids=["missing", "no feed", "loop", "another scheme", "too large"],
)
async def test_a_feed_that_cannot_be_read_is_told(site: Site, answer: web.Response, told: str) -> None:
    site.pages["/feed"] = answer
    with pytest.raises(Unread, match=told):
        await poll(Feed(f"{site.base}/feed"), [])


async def test_a_server_that_asks_for_time_gets_it(site: Site) -> None:
    site.pages["/feed"] = web.Response(status=429, headers={"Retry-After": "7200"})
    with pytest.raises(Unread) as raised:
        await poll(Feed(f"{site.base}/feed"), [])
    assert raised.value.wait == 7200


class Notes:
    def __init__(self) -> None:
        self.told: dict[str, object] = {}
        self.waits: asyncio.Queue[float | None] = asyncio.Queue()

    def polled(self, feed: Feed, polled: Polled, wait: float | None) -> None:
        self.told[feed.url.rpartition("/")[2]] = polled.sent
        self.waits.put_nowait(wait)

    def failed(self, feed: Feed, why: str, wait: float | None) -> None:
        self.told[feed.url.rpartition("/")[2]] = why
        self.waits.put_nowait(wait)


async def test_a_bad_feed_stops_no_other(site: Site) -> None:
    site.pages |= {"/a": web.Response(body=rss()), "/b": web.Response(status=500), "/c": web.Response(body=atom())}
    notes, sent = Notes(), []

    async def send(articles: list[Article]) -> None:
        sent.extend(articles)

    await follow([f"{site.base}/{name}" for name in "abc"], send, notes, interval=300, once=True)
    assert notes.told == {"a": 2, "b": "the server answered 500", "c": 1}
    assert len(sent) == 3


async def test_intervals_grow_with_failures_and_with_what_is_asked(site: Site) -> None:
    site.pages |= {"/a": web.Response(body=rss()), "/b": web.Response(status=503), "/c": web.Response(status=410)}
    notes = Notes()

    async def send(_: list[Article]) -> None: ...

    task = asyncio.create_task(follow([f"{site.base}/{name}" for name in "abc"], send, notes, interval=300))
    waits = [await notes.waits.get() for _ in range(3)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(waits, key=str) == [600, 600, None]
    assert notes.told["c"] == "the server answered 410; it is gone for good"


async def test_the_command_sends_to_the_raw_topic(site: Site) -> None:
    site.pages |= {"/rss": web.Response(body=rss()), "/bad": web.Response(status=404)}
    with EmbeddedBroker(["news.articles.raw"]) as broker:

        def ajil(*urls: str) -> subprocess.CompletedProcess[str]:
            env = {name: value for name, value in os.environ.items() if not name.startswith("AJIL_")}
            return subprocess.run(
                [sys.executable, "-m", "stream.cli", "feed", *urls],
                env=env | {"AJIL_BROKERS": broker.brokers},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        done = await asyncio.to_thread(ajil, "--once", f"{site.base}/rss", f"{site.base}/bad")
        assert done.returncode == 1, done.stderr
        assert "/rss: 2 of 2 entries sent" in done.stderr
        assert "/bad: the server answered 404" in done.stderr
        for wrong in ("ftp://ledger.example/rss", "https://ledger.example:99999/rss"):
            assert (await asyncio.to_thread(ajil, wrong)).returncode == 2
        records = consume_all(broker.brokers, "news.articles.raw")
    found = {record.key: record for record in records}
    assert set(found) == {b"harbour.example/12", b"https://www.harbour.example/a/11"}
    first = found[b"harbour.example/12"]
    article = decode(first.value, list(first.headers), max_bytes=1 << 20)
    assert (article.id, article.lang) == ("harbour.example/12", "ar")
    assert json.loads(first.value or b"")["published_at"] == "2026-01-05T10:00:00Z"
