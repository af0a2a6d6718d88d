"""`POST /v1/feedback`: an editor's word onto `news.feedback`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from stream.errors import KafkaError
from stream.gateway.body import read_body
from stream.gateway.ingest import acknowledged, require_kafka
from stream.gateway.problems import Problem
from stream.records import Feedback, Output, encode

if TYPE_CHECKING:
    from stream.gateway.access import Access
    from stream.gateway.limits import RateLimit
    from stream.gateway.metrics import GatewayMetrics
    from stream.gateway.producer import Producer
    from stream.settings import Settings

__all__ = ["FeedbackDesk", "FeedbackTaken", "Sent"]

MAX_BYTES = 64 << 10

Id = Annotated[str, Meta(min_length=1, max_length=512)]


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be sent: the fields of `Feedback` that its sender decides.

    `$(?!\\n)` is the end in JSON Schema's dialect and in Python's, where `$` alone is also before a last line end.
    """

    id: Id | None = None
    event_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")] | None = None
    alert_id: Annotated[str, Meta(pattern=r"^[a-z]{2,8}-[0-9a-f]{32}$(?!\n)")] | None = None
    topic: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}$(?!\n)")] | None = None
    breaking: bool | None = None
    withdraw: bool = False
    by: Annotated[str, Meta(max_length=200)] | None = None
    note: Annotated[str, Meta(max_length=2000)] | None = None


class FeedbackTaken(msgspec.Struct, frozen=True):
    """The answer once Kafka has it."""

    given_at: datetime
    partition: int
    offset: int


class FeedbackDesk:
    def __init__(
        self, settings: Settings, access: Access, rate: RateLimit, producer: Producer, metrics: GatewayMetrics
    ) -> None:
        self._settings = settings
        self._access = access
        self._rate = rate
        self._producer = producer
        self._metrics = metrics

    async def post(self, request: web.Request) -> web.Response:
        caller = self._access.require(request, "feedback")
        self._rate.require(self._access.client(request, caller), 1)
        require_kafka(self._producer)
        if request.content_type != "application/json":
            raise Problem(415, "feedback is application/json")
        sent = _read(await read_body(request, MAX_BYTES))
        by = "/".join(part for part in (caller.name, sent.by) if part) or None
        given_at = datetime.now(UTC)
        record = Feedback(**msgspec.structs.asdict(sent) | {"by": by, "given_at": given_at})
        # What is said of one language's alerts, or of one article, stays in order.
        key = sent.alert_id.partition("-")[0] if sent.alert_id else sent.id or sent.event_id
        output = Output(
            self._settings.topic_feedback,
            (key or "").encode(),
            encode(record),
            [("content-type", b"application/json")],
        )
        try:
            future = self._producer.send(output)
        except KafkaError as error:
            raise Problem(503, str(error), headers={"Retry-After": "5"}) from None
        (place,) = await acknowledged([future], self._settings.gateway_produce_timeout)
        self._metrics.feedback.inc()
        answer = FeedbackTaken(given_at, place.partition, place.offset)
        return web.Response(status=202, body=encode(answer), content_type="application/json")


def _read(body: bytes) -> Sent:
    """Raises `Problem` (422) that names the field."""
    try:
        sent = msgspec.json.decode(body, type=Sent)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        field = re.search(r"\$\.(\w+)|unknown field `(\w{1,100})`", str(error))
        raise _wrong(str(error), field[1] or field[2] if field else None) from None
    if (sent.alert_id is None) == (sent.id is None and sent.event_id is None):
        raise _wrong("say what it is about: alert_id, or id and event_id of an article", "alert_id")
    if sent.topic is None and sent.breaking is None and not sent.withdraw and not sent.note:
        raise _wrong("it says nothing: give topic, breaking, withdraw or note", None)
    if sent.withdraw and (sent.alert_id is None or sent.alert_id.startswith("summary-")):
        raise _wrong("only the alert of a story can be withdrawn: give its alert_id", "withdraw")
    return sent


def _wrong(detail: str, field: str | None) -> Problem:
    return Problem(422, detail, errors=[{"field": field, "detail": detail}])
