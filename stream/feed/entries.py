"""The bytes of a feed -> its articles, as raw records have them. Pure."""

from __future__ import annotations

import calendar
import hashlib
import io
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import feedparser
import msgspec

from stream.pages import strip_markup

__all__ = ["Article", "Contents", "NotAFeed", "read_feed"]

MAX_ID = 512
"""Characters; Ajil rejects a longer id."""


class NotAFeed(ValueError):
    """What was fetched is neither RSS nor Atom."""


class Article(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry. Fields that the feed does not have are left out."""

    id: str | None
    url: str | None
    source: str | None
    title: str | None
    body: str | None
    published_at: datetime | None
    lang: str | None
    version: str | None = None
    """When the entry was last changed, so that a change counts as an update of the same article."""


class Contents(NamedTuple):
    """`ttl`: seconds for which the feed says that it does not change."""

    articles: list[Article]
    ttl: int | None


def read_feed(body: bytes, url: str, content_type: str | None = None) -> Contents:
    """The articles of the feed at `url`. Raises `NotAFeed`.

    >>> told = read_feed(b'<rss version="2.0"><channel><link>https://www.ledger.example</link><ttl>30</ttl><item>'
    ...     b'<guid isPermaLink="false">7</guid><title>Dam &amp;amp; bridge</title></item></channel></rss>', "https://f.example")
    >>> told.articles[0].id, told.articles[0].source, told.articles[0].title, told.ttl
    ('ledger.example/7', 'ledger.example', 'Dam & bridge', 1800)
    """
    headers = {"content-location": url} | ({"content-type": content_type} if content_type else {})
    # A stream: of bytes alone feedparser would ask first whether they name a file.
    parsed = feedparser.parse(io.BytesIO(body), response_headers=headers)
    if not parsed.get("version"):
        reason = parsed.get("bozo_exception")
        raise NotAFeed(f"neither RSS nor Atom{f' ({reason})' if reason else ''}"[:200])
    site = _host(parsed.feed.get("link"))
    language = parsed.feed.get("language")
    title = _plain(parsed.feed.get("title_detail"))
    articles = [_article(entry, site, title or _host(url), language) for entry in parsed.entries]
    ttl = str(parsed.feed.get("ttl", ""))
    minutes = int(ttl) if re.fullmatch(r"[0-9]{1,6}", ttl) else None
    return Contents([a for a in articles if a.title or a.body], minutes * 60 if minutes else None)


def _article(entry: Any, site: str | None, fallback: str | None, language: str | None) -> Article:
    url = entry.get("link") or None
    # A feed of several outlets names each entry's own.
    source = _host(entry.get("source", {}).get("href")) or site or _host(url) or fallback
    text = next((part for part in entry.get("content", []) if part.get("value")), None) or entry.get("summary_detail")
    published = _time(entry.get("published_parsed"))
    # As a plain dict: feedparser's own `get` falls back to the time of publication, with a warning.
    updated = _time(dict.get(entry, "updated_parsed"))
    return Article(
        id=_id(entry.get("id"), source) or url,
        url=url,
        source=source,
        title=_plain(entry.get("title_detail")),
        body=_plain(text),
        published_at=published or updated,
        lang=(text or {}).get("language") or language,
        version=f"{updated:%Y-%m-%dT%H:%M:%SZ}" if updated else None,
    )


def _id(guid: str | None, source: str | None) -> str | None:
    """The entry's own id; one that is unique only within its site is given the site's name.

    >>> _id("https://ledger.example/?p=7", "ledger.example"), _id("7", "ledger.example")
    ('https://ledger.example/?p=7', 'ledger.example/7')
    """
    if not guid:
        return None
    whole = guid if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", guid) else f"{source or ''}/{guid}"
    return whole if len(whole) <= MAX_ID else hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


def _plain(detail: Any) -> str | None:
    """A title or text as plain text."""
    value = str((detail or {}).get("value") or "")
    if "html" in str((detail or {}).get("type")) and re.search(r"[<&]", value):
        value = strip_markup(value)
    return value.strip() or None


def _time(parsed: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC) if parsed else None
    except (ValueError, OverflowError, OSError):
        return None


def _host(url: str | None) -> str | None:
    try:
        host = urlsplit(url or "").hostname
    except ValueError:
        return None
    return host.removeprefix("www.") if host else None
