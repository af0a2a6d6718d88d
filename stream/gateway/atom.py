"""Alerts as an Atom feed (RFC 4287)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stream.records import Alert

__all__ = ["feed"]

# What XML 1.0 cannot say, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def feed(alerts: Sequence[Alert], address: str) -> bytes:
    """A feed of one entry an alert, at `address`; alerts come newest first."""
    updated = max((alert.alerted_at for alert in alerts), default=None)
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<id>{_text(address)}</id>",
        "<title>Ajil: breaking news</title>",
        f"<updated>{_time(updated) if updated else '1970-01-01T00:00:00Z'}</updated>",
        f'<link rel="self" type="application/atom+xml" href={_attribute(address)}/>',
        "<author><name>Ajil</name></author>",
        *(_entry(alert) for alert in alerts),
        "</feed>",
    ]
    return "\n".join(parts).encode()


def _entry(alert: Alert) -> str:
    published = alert.published_at or alert.ingested_at
    links = [article.url for article in alert.articles if article.url and _is_web(article.url)]
    summary = ", ".join([alert.kind, *alert.reasons, *alert.outlets])
    parts = [
        f"<entry{f' xml:lang={_attribute(alert.lang)}' if alert.lang else ''}>",
        f"<id>urn:ajil:alert:{_text(alert.alert_id)}</id>",
        f"<title>{_text(alert.title)}</title>",
        f"<updated>{_time(alert.alerted_at)}</updated>",
        f"<published>{_time(published)}</published>",
        f"<category term={_attribute(alert.topic)}/>" if alert.topic else "",
        f"<link href={_attribute(links[0])}/>" if links else "",
        f"<summary>{_text(summary)}</summary>",
        "</entry>",
    ]
    return "".join(parts)


def _is_web(address: str) -> bool:
    """An article's address is its producer's word: nothing but the web is made a link of."""
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False


def _time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("", text))


def _attribute(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("", text))
