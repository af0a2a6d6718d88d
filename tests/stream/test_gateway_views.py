"""What the gateway shows: lists of alerts and stories, the feed, the page, its own state; and the OpenAPI document."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator

from stream.gateway.openapi import document
from stream.gateway.site import Site
from stream.gateway.stories import StoryView
from stream.records import ArticleRef, HeldBack, StoryMemory
from tests.exposition import lint
from tests.stream.gateway_server import NOON, Running, alert, running, story

ATOM = {"a": "http://www.w3.org/2005/Atom"}
DOCUMENT = Path(__file__).parents[2] / "docs/openapi.json"


def article(**fields: Any) -> ArticleRef:
    told = {"id": "1", "event_id": "0" * 64, "source": "other.example", "url": None, "title": "Mill burns"}
    return ArticleRef(**told | {"published_at": None, "ingested_at": NOON, "breaking": True} | fields)


async def listed(at: Running, path: str, **query: str) -> list[int]:
    answer = await at.client.get(path, params=query)
    assert answer.status == 200, await answer.text()
    ((_, found), _) = (await answer.json()).items()
    return [int((item.get("alert_id") or item["story_id"])[-32:], 16) for item in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"limit": "2"}, [5, 4]),
        ({"topic": "sport"}, [2]),
        ({"topic": "none,SPORT"}, [5, 2]),
        ({"lang": "ar"}, [5, 3]),
        ({"source": "Other.example"}, [5, 4, 1]),
        ({"kind": "summary"}, [5]),
        ({"kind": "opened,confirmed", "lang": "ar"}, [3]),
        ({"q": "الاسكندريه"}, [3]),
        ({"q": "BURNS dam"}, [1]),
        ({"q": "a\u200ddam"}, []),
        ({"topic": "politics", "lang": "en"}, [4, 1]),
    ],
)
async def test_alerts_are_listed_newest_first_and_filtered(query: dict[str, str], expected: list[int]) -> None:
    held = HeldBack(story_id="ar-2", alert_id="ar-2", title="ب", lang="ar", source="other.example", held_back_at=NOON)
    async with running() as at:
        await at.feed(
            (0, alert(2, topic="sport")),
            (0, alert(1, articles=[article()])),
            (1, alert(3, lang="ar", topic="health", title="حريقٌ في الإسكندرية")),
            (1, alert(4, outlets=["example.org", "other.example"])),
            (0, alert(5, kind="summary", lang=None, topic=None, outlets=[], title="1 held back", held_back=[held])),
        )
        assert await listed(at, "/v1/alerts", **query) == expected


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=9999999", "after=1.0", "kind=closed"])
async def test_a_wrong_query_is_told(query: str) -> None:
    async with running() as at:
        answer = await at.client.get(f"/v1/alerts?{query}")
        assert (answer.status, answer.content_type) == (400, "application/problem+json")


async def test_only_the_last_alerts_are_kept() -> None:
    async with running(gateway_history=3) as at:
        await at.feed(*((number % 2, alert(number)) for number in range(10)))
        assert await listed(at, "/v1/alerts") == [9, 8, 7]


async def test_the_feed_has_the_latest_of_each_alert() -> None:
    hostile = 'A "title" <b>&amp;</b> \x00\x1b ]]>'
    links = [article(url="javascript:alert(1)"), article(url='https://other.example/?a=1&b="2"')]
    async with running() as at:
        await at.feed(
            (0, alert(1)),
            (0, alert(1, revision=2, kind="confirmed", title=hostile, articles=links, alerted_at=alert(9).alerted_at)),
            (1, alert(2, lang=None)),
        )
        answer = await at.client.get("/v1/alerts.atom")
        assert answer.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
        first, second = ElementTree.fromstring(await answer.read()).findall("a:entry", ATOM)
        assert first.findtext("a:title", None, ATOM) == 'A "title" <b>&amp;</b>  ]]>'
        assert [link.get("href") for link in first.findall("a:link", ATOM)] == ['https://other.example/?a=1&b="2"']
        assert second.findtext("a:id", None, ATOM) == f"urn:ajil:alert:{alert(2).alert_id}"
        again = await at.client.get("/v1/alerts.atom", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status == 304


async def test_an_empty_feed_is_a_feed() -> None:
    async with running() as at:
        feed = ElementTree.fromstring(await (await at.client.get("/v1/alerts.atom")).read())
        assert feed.findall("a:entry", ATOM) == []
        assert feed.findtext("a:updated", None, ATOM)


async def test_stories_are_shown_as_they_are_now_without_their_memory() -> None:
    async with running() as at:
        await at.feed_stories(
            story(1, memory=StoryMemory(members=[], began_at=NOON)), story(2, lang="ar"), story(3, state="closed")
        )
        await at.feed_stories(story(1, title="Dam 1 repaired", updated_at=alert(9).alerted_at))
        assert await listed(at, "/v1/stories") == [1, 2]
        assert await listed(at, "/v1/stories", state="closed") == [3]
        assert await listed(at, "/v1/stories", state="any", limit="1") == [1]
        assert await listed(at, "/v1/stories", lang="ar") == [2]
        assert (await (await at.client.get("/v1/stories?limit=1")).json())["total"] == 2
        one = await (await at.client.get(f"/v1/stories/{story(1).story_id}")).json()
        assert (one["title"], one["memory"]) == ("Dam 1 repaired", None)
        assert (await at.client.get("/v1/stories/en-0")).status == 404
        for query in ("state=new", "kind=opened"):
            assert (await at.client.get(f"/v1/stories?{query}")).status == 400


def test_stories_that_were_updated_longest_ago_are_let_go() -> None:
    view = StoryView(limit=2)
    for number in (1, 2, 1, 3):
        view.put(story(number))
    assert [view.get(story(number).story_id) is not None for number in (1, 2, 3)] == [True, False, True]
    view.remove(story(3).story_id)
    view.remove("unknown")
    assert len(view) == 1

    small = StoryView(limit=100, max_bytes=3000)
    for number in range(100):
        small.put(story(number))
    assert 2 <= len(small) < 10


async def test_the_page_is_served_packed_and_under_its_policy(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>" + "word " * 100, encoding="utf-8")
    (tmp_path / "app.js").write_text("1", encoding="utf-8")
    site = Site(tmp_path)
    app = web.Application()
    app.add_routes([web.get("/", site.index), web.get("/static/{name}", site.static)])
    async with TestClient(TestServer(app), auto_decompress=False) as client:
        packed = await client.get("/", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(await packed.read()).startswith(b"<!doctype html>")
        assert "script-src 'self';" in packed.headers["Content-Security-Policy"]
        plain = await client.get("/", headers={"Accept-Encoding": "identity"})
        assert (await plain.read()).startswith(b"<!doctype html>")
        again = await client.get("/", headers={"If-None-Match": plain.headers["ETag"]})
        assert again.status == 304
        script = await client.get("/static/app.js")
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"


async def test_errors_of_every_kind_are_problems_and_are_counted() -> None:
    async with running() as at:
        for method, path, status in (
            ("GET", "/nowhere", 404),
            ("GET", "/static/..%2fserver.py", 404),
            ("GET", "/static/unknown.js", 404),
            ("DELETE", "/v1/alerts", 405),
            ("HEAD", "/v1/alerts/stream", 405),
        ):
            answer = await at.client.request(method, path)
            assert (answer.status, answer.content_type) == (status, "application/problem+json")
            assert method == "HEAD" or json.loads(await answer.read())["status"] == status
        metrics = await (await at.client.get("/metrics")).text()
        lint(metrics)
        assert 'ajil_gateway_requests_total{method="none",route="none",status="404"}' in metrics
        assert "nowhere" not in metrics


def test_the_openapi_document_is_current() -> None:
    assert json.loads(DOCUMENT.read_text("utf-8")) == document(), "python -m stream.gateway.openapi > docs/openapi.json"


async def test_every_path_that_is_served_is_in_the_document_and_no_other() -> None:
    async with running() as at:
        served = {
            (route.method.lower(), route.resource.canonical)
            for route in at.gateway.app.router.routes()
            if route.resource and route.method != "HEAD"
        }
        page = {("get", "/"), ("get", "/static/{name}")}
        told = {(method, path) for path, operations in document()["paths"].items() for method in operations}
        assert told == served - page
        answer = await at.client.get("/openapi.json")
        assert await answer.json() == document()


def test_every_reference_in_the_document_leads_somewhere() -> None:
    told = document()
    schemas = told["components"]["schemas"]
    text = json.dumps(told)
    used = set(text.split('"#/components/schemas/'))
    names = {part.split('"')[0] for part in used if not part.startswith("{")}
    assert names == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    operations = [operation for path in told["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["responses"] for operation in operations)


async def test_answers_are_as_the_document_says() -> None:
    told = document()

    def check(body: Any, schema: str) -> None:
        ref = {"$ref": f"#/components/schemas/{schema}", "components": told["components"]}
        Draft202012Validator(ref).validate(body)

    async with running() as at:
        await at.feed((0, alert(1, articles=[article()])))
        await at.feed_stories(story(1, articles=[article()]))
        check(await (await at.client.get("/v1/alerts")).json(), "Alerts")
        check(await (await at.client.get("/v1/stories")).json(), "Stories")
        check(await (await at.client.get(f"/v1/stories/{story(1).story_id}")).json(), "Story")
        check(await (await at.client.get("/v1/session")).json(), "Session")
        check(await (await at.client.post("/v1/articles", json={"title": "A"})).json(), "Acknowledged")
        feedback = {"id": "7", "breaking": True}
        check(feedback, "Feedback")
        check(await (await at.client.post("/v1/feedback", json=feedback)).json(), "FeedbackTaken")
        check(json.loads(await (await at.client.post("/v1/articles", json=[{}])).read()), "Problem")
        check(json.loads(await (await at.client.post("/v1/feedback", json={})).read()), "Problem")


async def test_a_connection_that_sends_no_request_is_closed_and_no_other() -> None:
    async with running() as at:
        server = at.client.server.runner.server
        assert server is not None
        silent, silent_writer = await asyncio.open_connection(at.client.host, at.client.port)
        half, half_writer = await asyncio.open_connection(at.client.host, at.client.port)
        half_writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX")
        stream = await at.client.get("/v1/alerts/stream")
        closing = asyncio.create_task(at.gateway.close_silent(server, 0.01))

        assert await silent.read() == await half.read() == b""
        await at.feed((0, alert(1)))
        while b"Dam 1 bursts" not in await stream.content.readline():
            pass

        closing.cancel()
        stream.close()
        silent_writer.close()
        half_writer.close()
