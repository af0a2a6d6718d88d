"""A stand-in for the gateway, as docs/gateway.md has it: it serves the real page, and the records a test gives it.

It does what a test cannot ask of the real one at will: cut its readers off, ask for a token, forget old alerts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

import stream
from stream.gateway.site import POLICY
from stream.records import Alert, ArticleRef, Feedback, HeldBack, Story, encode, read
from tests.ports import HOST, free_ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PAGE = Path(stream.__file__).parent / "gateway" / "page"
TOKEN = "a-token-of-the-desk"
# Those of the real one, stream/gateway/site.py.
HEADERS = {"content-security-policy": POLICY, "x-content-type-options": "nosniff"}


class Gateway:
    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        self.alerts: list[Alert] = []
        self.stories: dict[str, Story] = {}
        self.feedback: list[Feedback] = []
        self.resumed: list[str | None] = []
        self.first_offset = 0
        self.needs_token = False
        self.failure: int | None = None
        self.heartbeats = True
        self.came_back = asyncio.Event()
        self._changed = asyncio.Event()
        self._generation = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def readers(self) -> int:
        return len(self.resumed)

    async def start(self) -> None:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_static("/static", PAGE)
        app.router.add_get("/v1/alerts", self._list_alerts)
        app.router.add_get("/v1/alerts/stream", self._stream)
        app.router.add_get("/v1/stories", self._list_stories)
        app.router.add_get("/v1/stories/{id}", self._story)
        app.router.add_post("/v1/feedback", self._take_feedback)
        app.router.add_get("/v1/session", self._session)
        app.router.add_post("/v1/session", self._sign_in)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()

    async def stop(self) -> None:
        self.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def send(self, *alerts: Alert) -> None:
        self.alerts += alerts
        self._changed.set()

    def cut(self) -> None:
        """Drop every reader of the stream, in the middle of whatever it reads."""
        self._generation += 1
        self.came_back.clear()
        self._changed.set()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        api = request.path.startswith("/v1/")
        if api and self.failure is not None:
            return _problem(self.failure, "Kafka is away")
        signed = request.cookies.get("session") == TOKEN or request.headers.get("authorization") == f"Bearer {TOKEN}"
        if api and self.needs_token and not signed:
            return _problem(401, "a token with the scope read is needed")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _list_alerts(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "50"))
        assert 1 <= limit <= 500
        assert request.query.keys() <= {"topic", "lang", "source", "kind", "q", "limit"}
        newest = self.alerts[self.first_offset :][::-1][:limit]
        return _json({"alerts": _plain(newest), "position": str(len(self.alerts))})

    async def _list_stories(self, request: web.Request) -> web.Response:
        assert request.query.keys() <= {"topic", "lang", "source", "q", "limit", "state"}
        stories = sorted(self.stories.values(), key=lambda story: story.updated_at, reverse=True)
        return _json({"stories": _plain(stories[: int(request.query["limit"])]), "total": len(stories)})

    async def _story(self, request: web.Request) -> web.Response:
        story = self.stories.get(request.match_info["id"])
        return _problem(404, "no such story") if story is None else _json(_plain([story])[0])

    async def _take_feedback(self, request: web.Request) -> web.Response:
        self.feedback.append(read(await request.read(), Feedback))
        return web.json_response({"given_at": "2026-01-02T03:04:05Z", "partition": 0, "offset": 0}, status=202)

    async def _session(self, request: web.Request) -> web.Response:
        return _json({"name": "desk" if self.needs_token else None, "scopes": ["read", "feedback"]})

    async def _sign_in(self, request: web.Request) -> web.Response:
        response = _json({"name": "desk", "scopes": ["read", "feedback"]})
        response.set_cookie("session", TOKEN, httponly=True, samesite="Strict")
        return response

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        generation = self._generation
        asked = request.headers.get("last-event-id") or request.query.get("after")
        self.resumed.append(asked)
        self.came_back.set()
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **HEADERS})
        await response.prepare(request)
        position = len(self.alerts) if asked is None else int(asked)
        await response.write(f"retry: 2000\nid: {position}\n\n".encode())
        if position < self.first_offset:
            position = self.first_offset
            await response.write(f'id: {position}\nevent: reset\ndata: {{"reason": "expired"}}\n\n'.encode())
        with contextlib.suppress(ConnectionResetError):
            await self._follow(response, position, generation)
        if request.transport is not None:
            request.transport.abort()
        return response

    async def _follow(self, response: web.StreamResponse, position: int, generation: int) -> None:
        while generation == self._generation:
            for alert in self.alerts[position:]:
                position += 1
                block = f"id: {position}\nevent: {alert.kind}\ndata: {encode(alert).decode()}\n\n".encode()
                # In two pieces, the first ending inside a character or a line: a network does so too.
                await response.write(block[: len(block) // 2])
                await response.write(block[len(block) // 2 :])
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 0.2)
            except TimeoutError:
                if self.heartbeats:
                    await response.write(f": heartbeat\nid: {position}\n\n".encode())


def _json(value: Any) -> web.Response:
    return web.json_response(value)


def _plain(records: Iterable[Alert | Story]) -> list[Any]:
    return [json.loads(encode(record)) for record in records]


def _problem(status: int, detail: str) -> web.Response:
    body = {"type": "about:blank", "title": "Problem", "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


# ---- Records


def _id(name: str, lang: str) -> str:
    return f"{lang}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def article(source: str, title: str, *, ago: float = 0, similarity: float | None = None, **fields: Any) -> ArticleRef:
    """`ago`: seconds since it was received; it was published a minute earlier."""
    received = datetime.now(UTC) - timedelta(seconds=ago)
    fields = {"url": f"https://{source}/{len(title)}", "shared": [], **fields}
    return ArticleRef(
        id=f"{source}/{title}",
        event_id=hashlib.sha256(f"{source}{title}".encode()).hexdigest(),
        source=source,
        title=title,
        published_at=received - timedelta(minutes=1),
        ingested_at=received,
        breaking=True,
        similarity=similarity,
        **fields,
    )


def alert(title: str, kind: str = "opened", *, lang: str = "en", name: str | None = None, **fields: Any) -> Alert:
    """An alert of the story `name`, by default its title; `ago`: seconds since it was raised."""
    ago = fields.pop("ago", 0)
    articles = fields.pop("articles", None) or [article("north.example", title, ago=ago)]
    now = datetime.now(UTC) - timedelta(seconds=ago)
    record = {
        "alert_id": _id(f"alert {name or title}", lang),
        "revision": {"opened": 1, "confirmed": 2, "updated": 3, "retracted": 4}[kind],
        "kind": kind,
        "story_id": _id(f"story {name or title}", lang),
        "title": title,
        "lang": lang,
        "topic": "politics",
        "reasons": ["marker"],
        "articles": articles,
        "article_count": len(articles),
        "outlets": list(dict.fromkeys(a.source for a in articles)),
        "published_at": now,
        "ingested_at": now,
        "alerted_at": now,
    }
    return Alert(**{**record, **fields})


def summary(*titles: str) -> Alert:
    now = datetime.now(UTC)
    held = [
        HeldBack(
            story_id=_id(f"story {title}", "en"),
            alert_id=_id(f"alert {title}", "en"),
            title=title,
            lang="en",
            source="loud.example",
            held_back_at=now,
        )
        for title in titles
    ]
    return Alert(
        alert_id=f"summary-{len(titles)}",
        revision=1,
        kind="summary",
        story_id=None,
        title=f"Held back: {len(titles)}",
        lang=None,
        topic=None,
        reasons=["held_back"],
        articles=[],
        article_count=0,
        outlets=[],
        published_at=None,
        ingested_at=now,
        alerted_at=now,
        held_back=held,
    )


def story(of: Alert, **fields: Any) -> Story:
    """The story whose last alert is `of`."""
    retracted = of.kind == "retracted"
    record = {
        "story_id": of.story_id,
        "alert_id": of.alert_id,
        "revision": of.revision,
        "state": "open",
        "lang": of.lang,
        "title": of.title,
        "topic": of.topic,
        "reasons": ["marker"] if retracted else of.reasons,
        "articles": of.articles,
        "article_count": of.article_count,
        "outlets": of.outlets,
        "opened_at": of.articles[0].ingested_at,
        "updated_at": of.alerted_at,
        "alerted_at": of.articles[0].ingested_at,
        "confirmed_at": of.alerted_at if of.kind == "confirmed" else None,
        "retracted_at": of.alerted_at if retracted else None,
    }
    return Story(**{**record, **fields})
