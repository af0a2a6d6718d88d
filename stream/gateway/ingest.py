"""`POST /v1/articles`: one article or many, each Kafka's before it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiohttp import web

from stream.decode import decode
from stream.errors import KafkaError, Reason, Rejection
from stream.gateway.body import read_body
from stream.gateway.limits import Admission
from stream.gateway.problems import Problem
from stream.gateway.producer import TooLarge
from stream.gateway.repeats import Repeats
from stream.records import Headers, Output, Place, encode, event_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.gateway.access import Access
    from stream.gateway.limits import RateLimit
    from stream.gateway.metrics import GatewayMetrics
    from stream.gateway.producer import Producer
    from stream.settings import Settings
    from stream.tracing import Tracing

__all__ = ["ROUTE", "Accepted", "Acknowledged", "Ingest", "acknowledged"]

ROUTE = "/v1/articles"
MAX_ARTICLES = 1000
AT_WORK, IN_LINE, LINE_SECONDS = 16, 1000, 5.0
"""Requests whose bodies are in memory at a time; the others wait unread."""

_NDJSON = {"application/x-ndjson", "application/jsonl", "application/ndjson", "application/jsonlines"}
_PAGES = {"text/html", "application/xhtml+xml", "text/plain"}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}(?:-[0-9a-f]+)+", re.ASCII)
_STATUS = {Reason.TOO_LARGE: 413, Reason.UNSUPPORTED_CONTENT_TYPE: 415}


class Accepted(msgspec.Struct, frozen=True):
    """Where one article is, and the ids it has there."""

    id: str
    event_id: str
    partition: int
    offset: int


class Acknowledged(msgspec.Struct, frozen=True):
    """The answer to a request all of whose articles Kafka has."""

    articles: list[Accepted]


class _Item(NamedTuple):
    """One article: its id, the digest of what it says, and its record."""

    id: str
    digest: bytes
    output: Output


class Ingest:
    def __init__(
        self,
        settings: Settings,
        access: Access,
        rate: RateLimit,
        producer: Producer,
        metrics: GatewayMetrics,
        tracing: Tracing,
    ) -> None:
        self._settings = settings
        self._access = access
        self._rate = rate
        self._producer = producer
        self._metrics = metrics
        self._tracing = tracing
        self._admission = Admission(AT_WORK, IN_LINE, LINE_SECONDS)
        self._repeats = Repeats()

    async def post(self, request: web.Request) -> web.Response:
        with self._tracing.request("POST", ROUTE, _trace(request)) as span:
            response = await self._take(request, span.headers)
            span.status = response.status
            return response

    async def _take(self, request: web.Request, traced: Headers) -> web.Response:
        caller = self._access.require(request, "publish")
        client = self._access.client(request, caller)
        self._rate.require(client, 0)
        require_kafka(self._producer)
        async with self._admission.place():
            body = await read_body(request, self._settings.gateway_max_request_bytes)
            values, told = _split(body, request.headers.get("Content-Type"))
            self._rate.require(client, len(values))
            headers = [*told, *traced]
            # HTML takes milliseconds to read, and every stream would wait for it.
            items = await asyncio.to_thread(self._read, values, headers, single=values[0] is body)
            places = await self._produce(items)
        answer = Acknowledged(
            [
                Accepted(item.id, event_id(place), place.partition, place.offset)
                for item, place in zip(items, places, strict=True)
            ]
        )
        return web.Response(status=202, body=encode(answer), content_type="application/json")

    def _read(self, values: Sequence[bytes], headers: Headers, *, single: bool) -> list[_Item]:
        """Raises `Problem` (413, 415, 422) that lists every article that the worker would reject."""
        items: list[_Item] = []
        rejected: list[tuple[int, Rejection]] = []
        for index, value in enumerate(values):
            try:
                article = decode(value, headers, max_bytes=self._settings.max_article_bytes)
                digest = hashlib.sha256(encode(article)).digest()
                key = article.id.encode("utf-8", "replace")
                items.append(_Item(article.id, digest, Output(self._settings.topic_raw, key, value, headers)))
            except Rejection as rejection:
                rejected.append((index, rejection))
        if not rejected:
            return items
        self._metrics.articles.labels("rejected").inc(len(rejected))
        statuses = {_STATUS.get(rejection.reason, 422) for _, rejection in rejected}
        detail = (
            str(rejected[0][1])
            if single
            else f"{len(rejected)} of {len(values)} articles cannot be read; none was taken"
        )
        raise Problem(min(statuses), detail, errors=[_error(index, rejection) for index, rejection in rejected])

    async def _produce(self, items: Sequence[_Item]) -> list[Place]:
        """Raises `Problem` (413, 503). What has been handed to Kafka stays known, so a repeat waits for the same."""
        futures: list[asyncio.Future[Place]] = []
        repeated = 0
        for item in items:
            future = self._repeats.find(item.id, item.digest)
            if future is None:
                try:
                    future = self._producer.send(item.output)
                except KafkaError as error:
                    raise _problem(error) from None
                self._repeats.keep(item.id, item.digest, future)
            else:
                repeated += 1
            futures.append(future)
        places = await acknowledged(futures, self._settings.gateway_produce_timeout)
        self._metrics.articles.labels("repeated").inc(repeated)
        self._metrics.articles.labels("accepted").inc(len(items) - repeated)
        return places


async def acknowledged(futures: Sequence[asyncio.Future[Place]], seconds: float) -> list[Place]:
    """The places of records when Kafka has all of them. Raises `Problem` (413, 503)."""
    done, waiting = await asyncio.wait(set(futures), timeout=seconds)
    for future in done:
        if isinstance(error := future.exception(), KafkaError):
            raise _problem(error)
    if waiting:
        raise _away(f"Kafka has not acknowledged {len(waiting)} of {len(futures)} records in {seconds:g} s")
    return [future.result() for future in futures]


def require_kafka(producer: Producer) -> None:
    """Raises `Problem` (503) at once while no broker answers."""
    if not producer.ready:
        raise _away("Kafka is away")


def _problem(error: KafkaError) -> Problem:
    return Problem(413, str(error)) if isinstance(error, TooLarge) else _away(str(error))


def _away(detail: str) -> Problem:
    return Problem(503, f"{detail}; send the same again", headers={"Retry-After": "5"})


def _split(body: bytes, content_type: str | None) -> tuple[list[bytes], list[tuple[str, bytes | None]]]:
    """The values of a body's articles, and their content-type header. Raises `Problem` (413, 415, 422)."""
    media, _, parameters = (content_type or "").partition(";")
    media = media.strip().lower()
    is_json = media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
    if media in _PAGES or (is_json and body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"["):
        return [body], [("content-type", (content_type or "").encode("latin-1", "replace")[:200])]
    if not is_json and media not in _NDJSON:
        raise Problem(
            415,
            f"the content type {media[:60] or 'is missing: it'!s} is not application/json, application/x-ndjson, "
            "text/html or text/plain",
        )
    if "charset" in parameters.lower() and not re.search("utf-?8", parameters, re.IGNORECASE):
        raise Problem(415, "many articles in one request are UTF-8")
    body = body.removeprefix(b"\xef\xbb\xbf")
    if is_json:
        try:
            values = [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
        except (msgspec.DecodeError, RecursionError) as error:
            raise _unreadable(f"the value is not JSON: {error}") from None
    else:
        values = [line for line in body.split(b"\n") if line.strip()]
    if not values:
        raise _unreadable("there is no article", Reason.EMPTY)
    if len(values) > MAX_ARTICLES:
        raise Problem(413, f"the request has {len(values)} articles; {MAX_ARTICLES} are allowed")
    return values, [("content-type", b"application/json")]


def _unreadable(detail: str, reason: Reason = Reason.INVALID_JSON) -> Problem:
    return Problem(422, detail, errors=[_error(0, Rejection(reason, detail))])


def _error(index: int, rejection: Rejection) -> dict[str, object]:
    field = re.search(r"`\$\.(\w+)", str(rejection)) or re.match(r"(id) has", str(rejection))
    return {
        "index": index,
        "reason": rejection.reason.value,
        "field": field[1] if field else None,
        "detail": str(rejection),
    }


def _trace(request: web.Request) -> list[tuple[str, bytes | None]]:
    """W3C Trace Context goes with the record, so that a trace goes on through Kafka."""
    parent = request.headers.get("traceparent", "")
    if not _TRACEPARENT.fullmatch(parent) or len(parent) > 200:
        return []
    state = request.headers.get("tracestate", "")[:512]
    told: list[tuple[str, bytes | None]] = [("traceparent", parent.encode())]
    return [*told, ("tracestate", state.encode("ascii", "replace"))] if state else told
