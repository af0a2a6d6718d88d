"""What is sent: an envelope of Standard Webhooks for programs, a title and a few lines for people. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.records import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.records import Alert, AlertKind

__all__ = ["Envelope", "Text", "envelope", "text"]

MAX_CHARS = 3000
"""Of a message to people: Telegram refuses 4,096, and its markup takes some."""
MAX_LINKS = 3

_WORDS: dict[str, dict[AlertKind, str]] = {
    "ar": {"opened": "عاجل", "confirmed": "مؤكد", "updated": "تحديث", "retracted": "سحب خبر", "summary": "موجز"},
    "en": {
        "opened": "Breaking",
        "confirmed": "Confirmed",
        "updated": "Update",
        "retracted": "Retracted",
        "summary": "Held back",
    },
    "fr": {
        "opened": "Urgent",
        "confirmed": "Confirmé",
        "updated": "Mise à jour",
        "retracted": "Retiré",
        "summary": "Retenus",
    },
}


class Envelope(NamedTuple):
    """`id` is the same for every attempt, and for a repeat after a restart: the receiver keeps ids to drop repeats."""

    id: str
    body: bytes


class Text(NamedTuple):
    title: str
    body: str


class _Payload(msgspec.Struct, frozen=True):
    type: str
    timestamp: datetime
    data: msgspec.Raw


def envelope(alerts: Sequence[Alert]) -> Envelope:
    """One alert: type `alert.KIND`, data the alert. Several: type `alerts.digest`, data `{"alerts": [...]}`.

    The id of a single alert is `alert_id/revision`; that of a digest is made from those of its alerts.
    """
    ids = [f"{alert.alert_id}/{alert.revision}" for alert in alerts]
    newest = max(alert.alerted_at for alert in alerts)
    if len(alerts) == 1:
        data = encode(alerts[0])
        return Envelope(ids[0], encode(_Payload(f"alert.{alerts[0].kind}", newest, msgspec.Raw(data))))
    data = b'{"alerts":[' + b",".join(map(encode, alerts)) + b"]}"
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]
    return Envelope(f"digest-{digest}", encode(_Payload("alerts.digest", newest, msgspec.Raw(data))))


def text(alerts: Sequence[Alert]) -> Text:
    """The same for people. Titles come from strangers: control characters are taken out."""
    if len(alerts) == 1:
        return Text(_headline(alerts[0]), _cut(_details(alerts[0])))
    return Text(f"{len(alerts)} alerts", _cut([line for alert in alerts for line in _item(alert)]))


def _headline(alert: Alert) -> str:
    word = _WORDS.get(alert.lang or "en", _WORDS["en"])[alert.kind]
    return f"{word}: {_line(alert.title)}"[:250]


def _details(alert: Alert) -> list[str]:
    lines = [_outlets(alert), *_links(alert)]
    lines += [f"- {_line(held.title)}" for held in alert.held_back]
    lines.append(f"{alert.alerted_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    return [line for line in lines if line]


def _item(alert: Alert) -> list[str]:
    return [f"- {_headline(alert)}", *(f"  {line}" for line in _links(alert)[:1])]


def _outlets(alert: Alert) -> str:
    more = len(alert.outlets) - 5
    return ", ".join(map(_line, alert.outlets[:5])) + (f" +{more}" if more > 0 else "")


def _links(alert: Alert) -> list[str]:
    urls = dict.fromkeys(article.url for article in alert.articles if article.url)
    return [url for url in urls if re.fullmatch(r"https?://\S{1,500}", url)][:MAX_LINKS]


def _line(value: str) -> str:
    """A stranger's text on one line.

    >>> _line("Dam\\nbreaks\\x1b[31m")
    'Dam breaks [31m'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in value[:500]).split())


def _cut(lines: list[str]) -> str:
    """As many lines as fit, and how many do not.

    >>> _cut(["a", "b" * 5000, "c"])
    'a\\n... +2'
    """
    kept: list[str] = []
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > MAX_CHARS:
            kept.append(f"... +{len(lines) - number}")
            break
        kept.append(line)
    return "\n".join(kept)
