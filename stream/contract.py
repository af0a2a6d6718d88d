"""The contract of all topics as one AsyncAPI 3 document, made from the records themselves.

    python -m stream.contract > docs/asyncapi.json

A test holds docs/asyncapi.json to this module. JSON Schema of the input alone: `#/components/schemas/RawArticle`.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from stream.records import SCHEMA_VERSION, TAKEN_BACK, Alert, EnrichedArticle, Feedback, Signal, Story, Withdrawal
from stream.settings import Settings

__all__ = ["document"]

_TEXT = {"type": ["string", "null"]}
_HINT = " A value of another form counts as absent."

_FIELDS: dict[str, dict[str, Any]] = {
    "schema_version": {"type": ["integer", "null"], "maximum": SCHEMA_VERSION, "description": "1, or left out."},
    "id": {
        "type": ["string", "integer", "null"],
        "maxLength": 512,
        "description": "The producer's own; a later version of one article has the same. "
        "Left out: sha256 of source and url, or of the text.",
    },
    "url": _TEXT | {"description": "Where people find the article."},
    "source": _TEXT | {"description": "The outlet, such as its domain name."},
    "title": _TEXT | {"description": "The headline, without markup."},
    "body": _TEXT | {"description": "The text; goes before `text`, which goes before `html`. Markup is taken out."},
    "text": _TEXT | {"description": "The text, or a scraped page as plain text."},
    "html": _TEXT | {"description": "A whole HTML page; the article is extracted from it."},
    "published_at": {
        "type": ["string", "number", "null"],
        "description": "RFC 3339 (without a zone: UTC), RFC 2822, or seconds or milliseconds since 1970." + _HINT,
    },
    "lang": {"description": "BCP 47; a hint, the text decides." + _HINT},
    "section": {"description": "The outlet's own section." + _HINT},
    "urgency": {"description": "IPTC urgency, 1 (flash) to 8; 1 and 2 are breaking." + _HINT},
    "pubstatus": {"description": "IPTC ninjs: usable, withheld or canceled; the last two retract." + _HINT},
    "version": {"description": "IPTC ninjs: a string or a whole number." + _HINT},
}


def _raw_article() -> dict[str, Any]:
    some_text = [
        {"required": [name], "properties": {name: {"type": "string", "pattern": r"\S"}}}
        for name in ("title", "body", "text", "html")
    ]
    taken_back = {"required": ["id", "pubstatus"], "properties": {"pubstatus": {"enum": sorted(TAKEN_BACK)}}}
    return {
        "title": "RawArticle",
        "description": "One article. One of title, body, text and html has text, "
        "unless the article of that id is taken back; unknown fields are passed over.",
        "type": "object",
        "properties": _FIELDS,
        "anyOf": [*some_text, taken_back],
    }


def document() -> dict[str, Any]:
    """The AsyncAPI document, as JSON types. Channels have the default topic names."""
    written: dict[str, tuple[list[type[msgspec.Struct]], str]] = {
        "topic_enriched": ([EnrichedArticle], "The producer's key, or the article's id."),
        "topic_signals": ([Signal, Withdrawal], "The language."),
        "topic_stories": ([Story], "The story_id. The topic is compacted: the newest record of a key holds."),
        "topic_alerts": ([Alert], "The story_id; a summary has its alert_id."),
        "topic_feedback": ([Feedback], "Any key; what is said of one article or alert shares one, to keep its order."),
    }
    records = [record for of_topic, _ in written.values() for record in of_topic]
    _, schemas = msgspec.json.schema_components(records, ref_template="#/components/schemas/{name}")
    names = Settings()
    channels = {
        "raw": _channel(names.topic_raw, "Articles as producers send them.", ["RawArticle", "Page"]),
        "rejected": _channel(names.topic_rejected, "Records that are no articles, byte for byte.", ["Rejected"]),
        "undelivered": _channel(
            names.topic_undelivered, "Alerts that a destination did not take, byte for byte; why in headers.", ["Alert"]
        ),
    }
    messages: dict[str, Any] = {
        "RawArticle": _message("RawArticle", "Any key; one article's versions share one, to keep their order."),
        "Page": {
            "title": "A page",
            "summary": "A whole page as text/html or text/plain, in the charset of its content-type header.",
            "contentType": "text/html",
            "payload": {"type": "string"},
        },
        "Rejected": {
            "title": "Rejected",
            "summary": "The original key, value and headers; why and from where in headers of their own.",
            "headers": {"$ref": "#/components/schemas/RejectedHeaders"},
            "payload": {},
        },
    }
    for setting, (of_topic, key) in written.items():
        kinds = [record.__name__ for record in of_topic]
        told = f"{' and '.join(kinds)} records."
        channels[setting.removeprefix("topic_")] = _channel(getattr(names, setting), told, kinds)
        messages |= {kind: _message(kind, key) for kind in kinds}
    received = {"raw", "feedback"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ajil",
            "version": str(SCHEMA_VERSION),
            "description": "News as it streams through Kafka: topics, breaking decisions, alerts.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            f"{action}_{name}": {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
            for name in channels
            for action in ("receive" if name in received else "send",)
        },
        "components": {
            "messages": messages,
            "schemas": {"RawArticle": _raw_article(), "RejectedHeaders": _rejected_headers(), **schemas},
        },
    }


def _channel(address: str, description: str, messages: list[str]) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _message(name: str, key: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
    }


def _rejected_headers() -> dict[str, Any]:
    names = ["topic", "partition", "offset", "stage", "exception.class.name", "exception.message"]
    told = [f"__connect.errors.{name}" for name in names] + ["ajil.attempts", "ajil.event-id", "ajil.ingested-at"]
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in told},
        "required": told,
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=2, ensure_ascii=False))
