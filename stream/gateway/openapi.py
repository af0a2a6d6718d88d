"""The HTTP interface as an OpenAPI 3.1 document, made from the records themselves.

    python -m stream.gateway.openapi > docs/openapi.json

A test holds docs/openapi.json to this module, and its paths to those that are served.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from stream import contract
from stream.gateway.feedback import FeedbackTaken, Sent
from stream.gateway.filters import MAX_LIMIT
from stream.gateway.ingest import MAX_ARTICLES, Acknowledged
from stream.gateway.session import Session
from stream.records import SCHEMA_VERSION, Alert, AlertKind, Story

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["document"]

_REF = "#/components/schemas/"
_JSON = "application/json"
_PROBLEM_JSON = "application/problem+json"
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_PROBLEM: dict[str, Any] = {
    "description": "RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "description": "What is wrong with the parts of what was sent.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {
                    "index": {"type": "integer", "description": "Which article, from 0."},
                    "reason": {"type": "string"},
                    "field": {"type": ["string", "null"]},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_REFUSALS = {
    400: "The request is malformed.",
    401: "There is no token, or one that is not known.",
    403: "The token lacks the scope, or a page of another origin sent this.",
    404: "There is no such story.",
    408: "The body did not come in time.",
    413: "The request, or an article in it, is too large.",
    415: "The content type is none of those listed.",
    421: "The Host is not one of this gateway's.",
    422: "What was sent cannot be read; `errors` says what and where.",
    429: "Too much at once; come back after `Retry-After` seconds.",
    503: "Kafka is away, or the gateway is full; come back after `Retry-After` seconds.",
}


def document() -> dict[str, Any]:
    """The OpenAPI document, as JSON types."""
    structs = [Acknowledged, Alert, FeedbackTaken, Sent, Session, Story]
    _, schemas = msgspec.json.schema_components(structs, ref_template=_REF + "{name}")
    schemas["Feedback"] = schemas.pop("Sent") | {"title": "Feedback"}
    for name in ("StoryMemory", "StoryTerm"):
        schemas.pop(name, None)
    del schemas["Story"]["properties"]["memory"]
    schemas["RawArticle"] = contract.document()["components"]["schemas"]["RawArticle"]
    schemas["Problem"] = _PROBLEM
    schemas["Alerts"] = _object(
        alerts={"type": "array", "items": {"$ref": _REF + "Alert"}},
        position={"type": "string", "description": "Where the stream goes on: its query `after`."},
    )
    schemas["Stories"] = _object(
        stories={"type": "array", "items": {"$ref": _REF + "Story"}},
        total={"type": "integer", "description": "Stories that pass the filters."},
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ajil gateway",
            "version": str(SCHEMA_VERSION),
            "description": "Articles in, alerts out.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "ajil-session"},
            },
        },
    }


def _paths() -> dict[str, Any]:
    article = {"$ref": _REF + "RawArticle"}
    articles = {"type": "array", "items": article, "minItems": 1, "maxItems": MAX_ARTICLES}
    page = {"schema": _TEXT}
    bodies = {
        _JSON: {"schema": {"oneOf": [article, articles]}},
        "application/x-ndjson": {"schema": _TEXT | {"description": "One RawArticle a line."}},
        "text/html": page,
        "text/plain": page,
    }
    feedback = {_JSON: {"schema": {"$ref": _REF + "Feedback"}}}
    after = _query("after", _TEXT, "A position to resume from; the header Last-Event-ID goes before it.")
    last = {"name": "Last-Event-ID", "in": "header", "schema": _TEXT}
    story_id = {"name": "story_id", "in": "path", "required": True, "schema": _TEXT}
    state = _query("state", {"enum": ["open", "closed", "any"], "default": "open"})
    limit = _query("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50})
    filters = [
        _query("topic", _TEXTS, "Topic labels; `none` for those without."),
        _query("lang", _TEXTS, "Languages."),
        _query("source", _TEXTS, "Outlets of the story."),
        _query("q", _TEXT, "Words that all occur in titles or outlets."),
    ]
    kind = _query("kind", {"type": "array", "items": {"enum": list(get_args(AlertKind))}}, "Kinds of alert.")
    reading = (400, 401, 403, 421, 503)
    writing = (400, 401, 403, 408, 413, 415, 421, 422, 429, 503)
    events = "Server-sent events: `event` is the kind, `data` an Alert, `id` a position. See docs/gateway.md."
    return {
        "/v1/articles": {
            "post": _operation("sendArticles", "Send articles.", _answer(202, "Acknowledged"), writing, body=bodies)
        },
        "/v1/alerts": {
            "get": _operation(
                "listAlerts", "Recent alerts, newest first.", _answer(200, "Alerts"), reading, [*filters, kind, limit]
            )
        },
        "/v1/alerts/stream": {
            "get": _operation(
                "streamAlerts",
                "Alerts as they come.",
                _content(200, "text/event-stream", events),
                reading,
                [*filters, kind, after, last],
            )
        },
        "/v1/alerts.atom": {
            "get": _operation(
                "feedAlerts",
                "Recent alerts as an Atom feed.",
                _content(200, "application/atom+xml", "RFC 4287."),
                reading,
                [*filters, kind, limit],
            )
        },
        "/v1/stories": {
            "get": _operation(
                "listStories",
                "Stories, the latest updated first.",
                _answer(200, "Stories"),
                reading,
                [*filters, state, limit],
            )
        },
        "/v1/stories/{story_id}": {
            "get": _operation("getStory", "One story.", _answer(200, "Story"), (404, *reading), [story_id])
        },
        "/v1/feedback": {
            "post": _operation(
                "sendFeedback", "Say what is wrong.", _answer(202, "FeedbackTaken"), writing, body=feedback
            )
        },
        "/v1/session": {
            "get": _operation("getSession", "What the caller may do.", _answer(200, "Session"), (401, 421)),
            "post": _operation(
                "openSession", "Exchange a token for a cookie.", _answer(200, "Session"), (401, 403, 421)
            ),
            "delete": _operation(
                "closeSession", "Take the cookie back.", {"204": {"description": "Done."}}, (403, 421)
            ),
        },
        "/openapi.json": {"get": _operation("getInterface", "This document.", _content(200, _JSON, "OpenAPI."))},
        "/healthz": {"get": _operation("getHealth", "Whether it is alive.", _content(200, _JSON, "It is."))},
        "/readyz": {
            "get": _operation(
                "getReadiness",
                "Whether it can serve.",
                _content(200, _JSON, "It can.")
                | _content(503, _JSON, "It cannot, and says which Kafka client is away."),
            )
        },
        "/metrics": {"get": _operation("getMetrics", "For Prometheus.", _content(200, "text/plain", "Metrics."))},
    }


def _operation(
    name: str,
    summary: str,
    answers: dict[str, Any],
    refusals: Iterable[int] = (),
    parameters: Sequence[dict[str, Any]] = (),
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An operation that can be refused may need a token; the others are open to all."""
    refused = {
        str(status): {
            "description": _REFUSALS[status],
            "content": {_PROBLEM_JSON: {"schema": {"$ref": _REF + "Problem"}}},
        }
        for status in sorted(refusals)
    }
    told: dict[str, Any] = {"operationId": name, "summary": summary}
    if 401 in refusals:
        told["security"] = [{"token": []}, {"session": []}, {}]
    if parameters:
        told["parameters"] = list(parameters)
    if body:
        told["requestBody"] = {"required": True, "content": body}
    return told | {"responses": answers | refused}


def _query(name: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "in": "query", "schema": schema}
    return told | ({"description": description} if description else {})


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _answer(status: int, schema: str) -> dict[str, Any]:
    return {str(status): {"description": schema, "content": {_JSON: {"schema": {"$ref": _REF + schema}}}}}


def _content(status: int, media: str, description: str) -> dict[str, Any]:
    schema = {} if media == _JSON else {"schema": _TEXT}
    return {str(status): {"description": description, "content": {media: schema}}}


if __name__ == "__main__":
    print(json.dumps(document(), indent=2, ensure_ascii=False))
