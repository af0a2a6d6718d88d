"""Alerts as the alerts agent writes them, and a receiver of webhooks."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from standardwebhooks import Webhook

from stream.records import Alert, ArticleRef, encode
from tests.kafka_client import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["SECRET", "Receiver", "alert", "article", "record", "subscriptions_file"]

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def article(title: str | None, source: str | None = "ledger.example", url: str | None = None) -> ArticleRef:
    return ArticleRef(
        id=f"a-{title}",
        event_id="e",
        source=source,
        url=url,
        title=title,
        published_at=NOW,
        ingested_at=NOW,
        breaking=True,
    )


def alert(name: object = 1, kind: str = "opened", revision: int = 1, **fields: Any) -> Alert:
    told: dict[str, Any] = {
        "alert_id": f"en-{name}",
        "revision": revision,
        "kind": kind,
        "story_id": f"en-{name}",
        "title": f"Dam breaks in the north, report {name}",
        "lang": "en",
        "topic": "politics",
        "reasons": ["marker"],
        "articles": [article("Dam breaks in the north", url="https://ledger.example/dam")],
        "article_count": 1,
        "outlets": ["ledger.example"],
        "published_at": NOW,
        "ingested_at": NOW,
        "alerted_at": datetime.now(UTC),
    }
    return Alert(**told | fields)


def record(told: Alert, partition: int = -1) -> Record:
    headers = (("ce_type", f"ajil.alert.{told.kind}".encode()),)
    return Record(encode(told), key=str(told.story_id).encode(), headers=headers, partition=partition)


def subscriptions_file(folder: Path, **destinations: str) -> Path:
    """A file with one subscription to everything for each name -> TOML of its one destination `hook`."""
    (folder / "secret").write_text(SECRET + "\n")
    tables = [
        f'[subscriptions.{name}]\n[subscriptions.{name}.destinations.hook]\nsecret_file = "secret"\n{toml}\n'
        for name, toml in destinations.items()
    ]
    file = folder / "subscriptions.toml"
    file.write_text("\n".join(tables))
    return file


@dataclass
class Receiver:
    """A webhook receiver on a free port of 127.0.0.1: verifies each request, and answers as `answer` says.

    `taken` has the `webhook-id` of each request that was answered 2xx, `asked` of every request.
    """

    answer: Callable[[int, str], web.Response] = lambda number, id_: web.Response()
    port: int = 0
    asked: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    hold: Callable[[], Any] | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts"

    @property
    def toml(self) -> str:
        """The destination's fields in a subscriptions file."""
        return f'webhook = "{self.url}"\nallow_private = true'

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        Webhook(SECRET).verify(body, dict(request.headers))
        id_ = request.headers["webhook-id"]
        self.asked.append(id_)
        if self.hold is not None:
            await self.hold()
        answer = self.answer(len(self.asked), id_)
        if answer.status < 300:
            self.taken.append(id_)
            self.bodies.append(json.loads(body))
        return answer
