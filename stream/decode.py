"""A raw Kafka value -> `RawArticle`, or a `Rejection` that says why not.

The `content-type` header says what a value is. Without it, after a BOM and white space, `{` means JSON, `<` HTML
and anything else a plain-text page. The charset is the header's, else UTF-8.

Fields that carry identity or text must have the right type. The others are hints: one that cannot be read (a date
in no known form, a number for `lang`) counts as absent, because a story is worth more than its metadata. Fields
that Ajil does not know are passed over and do not appear in the enriched record.
"""

from __future__ import annotations

import codecs
import email.utils
import re
from datetime import UTC, datetime
from encodings.aliases import aliases
from functools import lru_cache
from typing import Any

import msgspec

from stream import pages
from stream.errors import Reason, Rejection
from stream.records import SCHEMA_VERSION, TAKEN_BACK, Headers, RawArticle, article_id

__all__ = ["decode"]

MAX_ID = 512
"""Characters of an `id`: longer ones are mistakes, and ids end in keys and logs."""


class _Wire(msgspec.Struct):
    """The JSON object as it may come: text strictly typed, hints of any type."""

    schema_version: Any = None
    id: str | int | None = None
    url: str | None = None
    source: str | None = None
    title: str | None = None
    body: str | None = None
    html: str | None = None
    text: str | None = None
    published_at: Any = None
    lang: Any = None
    section: Any = None
    urgency: Any = None
    pubstatus: Any = None
    version: Any = None


_decoder = msgspec.json.Decoder(_Wire)


def decode(value: bytes | None, headers: Headers, *, max_bytes: int) -> RawArticle:
    """The article in a raw record's value.

    Raises `Rejection`; its message never quotes the article. `max_bytes` bounds the value as it came.
    """
    if value is None:
        raise Rejection(Reason.EMPTY, "the value is null (a tombstone is no article)")
    if len(value) > max_bytes:
        raise Rejection(
            Reason.TOO_LARGE, f"the value has {len(value)} bytes; AJIL_MAX_ARTICLE_BYTES allows {max_bytes}"
        )
    kind, charset = _content_type(headers)
    text = _text(value, charset).removeprefix("\ufeff")
    start = text.lstrip()[:1]
    if not start:
        raise Rejection(Reason.EMPTY, "the value is empty or only white space")
    if kind == "json" or (kind is None and start in "{["):
        # The parser reads bytes: those that came, where they are UTF-8.
        return _from_json(text, value.removeprefix(codecs.BOM_UTF8) if charset == "utf-8" else None)
    if kind == "html" or (kind is None and start == "<"):
        return _from_html(text)
    return _article(_Wire(text=text))


_CONTENT_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*(?:;|$)", re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:+-]{1,40})", re.ASCII | re.IGNORECASE)
# Python's codecs that no page is written in: escapes, and UTF-7, whose decoder lets unpaired surrogates through.
_NO_CHARSETS = {"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "utf_7", "mbcs", "oem"}
# Only names in this table are looked up: the codec registry remembers every name it was asked for.
_CHARSETS = {name for pair in aliases.items() for name in pair} - _NO_CHARSETS


def _content_type(headers: Headers) -> tuple[str | None, str]:
    """-> (json | html | text | None when not told, charset)."""
    for name, value in headers:
        if value and name.lower() == "content-type":
            return _declared(value[:1000])
    return None, "utf-8"


@lru_cache(maxsize=64)  # producers have one or two
def _declared(content_type: bytes) -> tuple[str, str]:
    text = content_type.decode("latin-1")
    media = found[1].lower() if (found := _CONTENT_TYPE.match(text)) else ""
    charset = found[1].lower() if (found := _CHARSET.search(text)) else "utf-8"
    if not _is_charset(charset):
        raise Rejection(Reason.UNSUPPORTED_CONTENT_TYPE, f"the charset {charset!r} is not known")
    if media.endswith(("/json", "+json")):
        return "json", charset
    if media in ("text/html", "application/xhtml+xml"):
        return "html", charset
    if media == "text/plain":
        return "text", charset
    raise Rejection(Reason.UNSUPPORTED_CONTENT_TYPE, f"the content-type {text[:60]!r} is not JSON, HTML or plain text")


def _is_charset(name: str) -> bool:
    """Whether Python has the charset, under this name or an alias.

    >>> _is_charset("windows-1256"), _is_charset("utf-7"), _is_charset("zip")
    (True, False, False)
    """
    name = re.sub(r"[^a-z0-9]+", "_", name.lower())
    name = aliases.get(name, name)
    # The table also has codecs from bytes to bytes (zip, hex): those are no charsets.
    return name in _CHARSETS and codecs.lookup(name)._is_text_encoding


def _text(value: bytes, charset: str) -> str:
    try:
        return value.decode(charset)
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        raise Rejection(Reason.UNDECODABLE, f"byte {at} is not {charset}") from None


def _from_json(text: str, utf8: bytes | None) -> RawArticle:
    if text.lstrip()[:1] == "[":
        raise Rejection(Reason.NOT_AN_OBJECT, "the value is a JSON array: send one article in each record")
    try:
        return _article(_decoder.decode(text if utf8 is None else utf8))
    except msgspec.ValidationError as error:
        # The message names the path and both types, never the value.
        reason = Reason.INVALID_FIELD if "$." in str(error) else Reason.NOT_AN_OBJECT
        raise Rejection(reason, str(error)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Rejection(Reason.INVALID_JSON, f"the value is not JSON: {error}") from None
    except RecursionError:
        raise Rejection(Reason.INVALID_JSON, "the JSON is nested too deeply") from None


def _from_html(text: str, wire: _Wire | None = None) -> RawArticle:
    """The article in a page; what the record itself says goes before what the page says."""
    wire = wire or _Wire()
    page = pages.extract(text)
    return _article(
        _Wire(
            id=wire.id,
            url=wire.url or page.url,
            source=wire.source,
            title=wire.title if _filled(wire.title) else page.title,
            body=page.body,
            published_at=wire.published_at if wire.published_at is not None else page.published_at,
            lang=wire.lang if wire.lang is not None else page.lang,
            section=wire.section if wire.section is not None else page.section,
            urgency=wire.urgency,
            pubstatus=wire.pubstatus,
            version=wire.version,
        )
    )


def _article(wire: _Wire) -> RawArticle:
    if type(wire.schema_version) is int and wire.schema_version > SCHEMA_VERSION:
        raise Rejection(
            Reason.SCHEMA_VERSION,
            f"schema_version is {wire.schema_version}; this Ajil reads {SCHEMA_VERSION}: update it, then replay",
        )
    body = next((text for text in (wire.body, wire.text) if _filled(text)), None)
    if body is None and _filled(wire.html):
        return _from_html(str(wire.html), wire)
    if body is not None and pages.is_markup(body):
        body = pages.strip_markup(body)
    title = wire.title if _filled(wire.title) else None
    id_ = str(wire.id).strip() if wire.id is not None else ""
    pubstatus = _pubstatus(wire.pubstatus)
    # To take an article back, its id is enough.
    if title is None and not _filled(body) and not (id_ and pubstatus in TAKEN_BACK):
        raise Rejection(Reason.NO_TEXT, "title, body, text and html are all missing or empty")
    if len(id_) > MAX_ID:
        raise Rejection(Reason.INVALID_FIELD, f"id has {len(id_)} characters; {MAX_ID} are allowed")
    return RawArticle(
        id=id_ or article_id(wire.source, wire.url, f"{title or ''}\n{body or ''}"),
        title=title,
        body=body or "",
        url=wire.url,
        source=wire.source,
        published_at=_time(wire.published_at),
        lang=_language(wire.lang),
        section=_short(wire.section),
        urgency=_whole(wire.urgency),
        pubstatus=pubstatus,
        version=_short(str(wire.version) if type(wire.version) is int else wire.version),
    )


def _filled(text: str | None) -> bool:
    return text is not None and bool(text.strip())


def _short(hint: Any) -> str | None:
    return hint.strip()[:200] or None if isinstance(hint, str) else None


def _pubstatus(hint: Any) -> str | None:
    """One of IPTC's words, however it is spelt.

    >>> _pubstatus("Cancelled"), _pubstatus("usable")
    ('canceled', 'usable')
    """
    told = (_short(hint) or "").lower()
    return "canceled" if told == "cancelled" else told or None


def _language(hint: Any) -> str | None:
    """The language of a BCP 47 tag.

    >>> _language("ar-EG"), _language("EN_us"), _language("Arabic")
    ('ar', 'en', None)
    """
    found = re.match(r"\s*([A-Za-z]{2,3})(?![A-Za-z])", hint) if isinstance(hint, str) else None
    return found[1].lower() if found else None


def _whole(hint: Any) -> int | None:
    """IPTC urgency is 1 to 9; some producers send it as a string."""
    if isinstance(hint, str) and re.fullmatch(r"\s*[0-9]\s*", hint):
        hint = int(hint)
    return hint if isinstance(hint, int) and not isinstance(hint, bool) and 0 <= hint <= 9 else None


def _time(hint: Any) -> datetime | None:
    """RFC 3339, ISO 8601, RFC 2822 (RSS) or seconds / milliseconds since 1970; a time without zone is UTC."""
    try:
        if isinstance(hint, int | float) and not isinstance(hint, bool):
            # Seconds reach this number in the year 5138, milliseconds passed it in 1973.
            return datetime.fromtimestamp(hint / 1000 if abs(hint) > 1e11 else hint, UTC)
        if not isinstance(hint, str):
            return None
        hint = hint.strip()
        try:
            time = datetime.fromisoformat(hint)
        except ValueError:
            time = email.utils.parsedate_to_datetime(hint)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return None
