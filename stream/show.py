"""A Kafka record as a person or a program reads it; nothing in it commands a terminal."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from stream.kafka import read_headers
from stream.terminal import display

if TYPE_CHECKING:
    from confluent_kafka import Message

    from stream.records import Headers

__all__ = ["as_json_line", "as_text"]

_TITLE = 100


def as_json_line(message: Message) -> str:
    """Place, time, key, headers and value in one JSON object; bytes that are not UTF-8 as `{"base64": …}`.

    Control and format characters are written as JSON escapes, which says the same and commands no terminal.
    """
    told = msgspec.json.encode(
        {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": _time(message),
            "key": _readable(message.key()),
            "headers": [[name, _readable(value)] for name, value in _headers(message)],
            "value": _value(message.value()),
        }
    ).decode()
    return _COMMANDS.sub(_escaped, told)


# C0 is escaped by JSON already. What is left: DEL, C1, and the format characters that turn lines round.
_COMMANDS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def as_text(message: Message) -> str:
    """One line: place, time and what matters of the record."""
    value = _value(message.value())
    headers = {name: _readable(data) for name, data in _headers(message)}
    place = f"{message.partition()}:{message.offset()}"
    time = _time(message)
    try:
        told = _told(value, headers, message)
    except (AttributeError, KeyError, TypeError, ValueError):
        # A stranger's record that looks like ours and is not.
        told = _plain(value)
    return f"{place:>10}  {f'{time:%H:%M:%S}' if time else '--:--:--'}  {told}"


def _told(value: Any, headers: dict[str, Any], message: Message) -> str:
    if reason := headers.get("__connect.errors.exception.class.name"):
        size = len(message.value() or b"")
        why = _plain(headers.get("__connect.errors.exception.message"))
        return f"rejected  {_plain(reason, 40)}: {why} ({size} bytes)"
    if not isinstance(value, dict) or value.keys() == {"base64"}:
        return _plain(value if isinstance(value, str) else "(no text)")
    title = _plain(value.get("title") or value.get("body") or value.get("text") or value.get("id"))
    source = _plain(value.get("source") or "", 30)
    if "alert_id" in value and "kind" in value:
        kind, outlets, why = _plain(value["kind"], 12), _list(value.get("outlets")), _list(value.get("reasons"))
        return f"ALERT     {kind} {_plain(value.get('revision'), 6)}  {title}  [{outlets}] {why}"
    if "story_id" in value:
        return f"story     {_plain(value.get('article_count'), 6)} articles  {title}  [{_list(value.get('outlets'))}]"
    topic, breaking = value.get("topic"), value.get("breaking")
    if isinstance(breaking, dict):
        # An enriched record tells the whole topic, a signal its label only.
        label = topic.get("label") or f"({topic.get('reason')})" if isinstance(topic, dict) else topic
        flag = f"BREAKING {_list(breaking.get('reasons'))}" if breaking.get("flag") else ""
        confidence = f" {topic['confidence']:.2f}" if isinstance(topic, dict) and topic.get("label") else ""
        return f"{_plain(value.get('lang'), 4):<4} {_plain(label, 30)}{confidence}  {title}  [{source}] {flag}".rstrip()
    return f"{title}  [{source}]"


def _list(values: Any) -> str:
    return ", ".join(_plain(value, 30) for value in values) if isinstance(values, list) else ""


def _plain(value: Any, width: int = _TITLE) -> str:
    return display(str(value), width) if value is not None else ""


def _time(message: Message) -> datetime | None:
    try:
        return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _headers(message: Message) -> Headers:
    try:
        return read_headers(message) or []
    except Exception:  # the client's SystemError for a name that is not UTF-8
        return []


def _value(data: bytes | None) -> Any:
    """The JSON in a value, else its text, else its bytes as base64."""
    if data is None:
        return None
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _readable(data)


def _readable(data: bytes | None) -> Any:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
