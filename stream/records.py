"""The records on the topics: their fields, their ids, their bytes.

::

    bytes -> RawArticle | Rejection -> EnrichedArticle + Signal -> Story + Alert -> bytes

Values are JSON, times UTC in RFC 3339. `decode.py` makes a `RawArticle` of a raw value; everything else here is
written by Ajil and read back with `read`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import msgspec

if TYPE_CHECKING:
    from stream.errors import Rejection

__all__ = [
    "SCHEMA_VERSION",
    "TAKEN_BACK",
    "Alert",
    "AlertKind",
    "Alternative",
    "ArticleRef",
    "Breaking",
    "EnrichedArticle",
    "Feedback",
    "Freshness",
    "Headers",
    "HeldBack",
    "ModelRef",
    "Output",
    "Place",
    "RawArticle",
    "Record",
    "Rejected",
    "Signal",
    "Story",
    "StoryMemory",
    "StoryTerm",
    "Term",
    "Topic",
    "Withdrawal",
    "article_id",
    "cloudevent_headers",
    "encode",
    "event_id",
    "first_ingested_at",
    "header",
    "read",
    "read_signal",
    "rejected_headers",
    "story_id",
    "trace_headers",
]

SCHEMA_VERSION = 1

Headers = Sequence[tuple[str, bytes | None]]
"""Kafka's record headers, in order; names may repeat."""

EVENT_ID = "ajil.event-id"
ATTEMPTS = "ajil.attempts"
INGESTED_AT = "ajil.ingested-at"
"""Headers of a rejected record that go back with it to the raw topic: it keeps its id, and is as old as it is."""
OWN_HEADERS = frozenset({EVENT_ID, ATTEMPTS, INGESTED_AT})
MAX_TRACEPARENT = 200
"""Characters. W3C's has 55."""
ERRORS = "__connect.errors."  # the names that Kafka Connect gave dead letters, so that its tools read ours


TAKEN_BACK = frozenset({"canceled", "withheld"})
"""IPTC's pubstatus of an article that must not be used any longer, or not yet."""

Freshness = Literal["fresh", "stale", "unknown"]


class Place(NamedTuple):
    """Where a record lies in Kafka."""

    topic: str
    partition: int
    offset: int


class Record(NamedTuple):
    """One record as read from Kafka; `timestamp` is the record's own (aware, UTC).

    `unreadable`: why the client could not read the record's headers, if so. `deaths`: how often a worker died with
    nothing but this record in hand; not 0 only while a killer is searched for.
    """

    place: Place
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    headers: Headers
    unreadable: str | None = None
    deaths: int = 0


class Output(NamedTuple):
    """One record to be written to Kafka."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def size(self) -> int:
        """Bytes that Kafka counts against `max.message.bytes`, its framing (under 100 bytes) left out."""
        told = len(self.key or b"") + len(self.value or b"")
        for name, value in self.headers:
            told += (len(name) if name.isascii() else len(name.encode())) + len(value or b"") + 10
        return told


class RawArticle(msgspec.Struct, frozen=True, kw_only=True):
    """One article as a producer sent it, decoded: `body` is text, whichever of body, html or text it came in."""

    id: str
    title: str | None
    body: str
    url: str | None = None
    source: str | None = None
    published_at: datetime | None = None
    lang: str | None = None
    section: str | None = None
    urgency: int | None = None
    pubstatus: str | None = None
    version: str | None = None


class Alternative(msgspec.Struct, frozen=True):
    label: str
    confidence: float


class Topic(msgspec.Struct, frozen=True):
    """`label` and `code` (IPTC Media Topics) are null when the model abstains; `reason` then says why."""

    label: str | None
    code: str | None
    confidence: float
    reason: str | None
    alternatives: list[Alternative]


class Term(msgspec.Struct, frozen=True):
    """A term of the article, in its own spelling, and how much it spoke for what was decided."""

    term: str
    weight: float


class Breaking(msgspec.Struct, frozen=True):
    """`explanation` has the terms behind the reason alert_style; the other reasons speak for themselves."""

    flag: bool
    score: float
    reasons: list[str]
    freshness: Freshness
    explanation: list[Term] = []


class ModelRef(msgspec.Struct, frozen=True):
    name: str
    version: str


class EnrichedArticle(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = SCHEMA_VERSION
    event_id: str
    id: str
    url: str | None
    source: str | None
    title: str | None
    lang: str
    published_at: datetime | None
    ingested_at: datetime
    enriched_at: datetime
    topic: Topic
    breaking: Breaking
    explanation: list[Term]
    section: str | None
    urgency: int | None
    pubstatus: str | None
    version: str | None
    model: ModelRef


class StoryTerm(msgspec.Struct, frozen=True, array_like=True):
    """A term as stories compare it. `word` is its first spelling in the article, for people."""

    term: str
    word: str
    frequency: float
    background: float
    """How probable it is that an article of the language has the term, by the corpora the model learned from."""


class Signal(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="article"):
    """What the alerts agent needs to know of one enriched article: no body, keyed by language."""

    schema_version: int = SCHEMA_VERSION
    event_id: str
    id: str
    url: str | None
    source: str | None
    title: str | None
    lang: str
    published_at: datetime | None
    ingested_at: datetime
    topic: str | None
    breaking: Breaking
    pubstatus: str | None = None
    version: str | None = None
    terms: list[StoryTerm] = []


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="withdrawal"):
    """An editor's word, from `news.feedback`, that an alert was false. It takes the way of the signals to the story."""

    schema_version: int = SCHEMA_VERSION
    alert_id: str
    by: str | None
    note: str | None
    given_at: datetime


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of an article (`id` or `event_id`) or of an alert (`alert_id`).

    `topic` is the right label, `breaking` the right flag; `withdraw` takes a false alert back.
    """

    schema_version: int = SCHEMA_VERSION
    id: str | None = None
    event_id: str | None = None
    alert_id: str | None = None
    topic: str | None = None
    breaking: bool | None = None
    withdraw: bool = False
    by: str | None = None
    note: str | None = None
    given_at: datetime | None = None


class ArticleRef(msgspec.Struct, frozen=True, kw_only=True):
    """An article as its story lists it.

    `similarity` (0 to 1) and `shared`, the words that counted most, say why it joined; null and none for the article
    that opened the story. `pubstatus`: canceled or withheld, if the outlet took the article back.
    """

    id: str
    event_id: str
    source: str | None
    url: str | None
    title: str | None
    published_at: datetime | None
    ingested_at: datetime
    version: str | None = None
    pubstatus: str | None = None
    breaking: bool
    similarity: float | None = None
    shared: list[str] = []
    traceparent: str | None = None


class StoryMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What a restarted alerts agent needs to go on comparing: the terms of the first and last articles, each packed
    as stream/stories/members.py packs them."""

    members: list[bytes]
    began_at: datetime


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One event as far as it was told; the newest record of a `story_id` holds (the topic is compacted).

    `revision` is that of the story's last alert, 0 without one. `held_back_at`: it is breaking, but storm control has
    its alert, which a summary has told once `summarised` is true. `articles` lists the first and the last ones,
    `article_count` counts all.
    """

    schema_version: int = SCHEMA_VERSION
    story_id: str
    alert_id: str
    revision: int
    state: Literal["open", "closed"]
    lang: str
    title: str
    topic: str | None
    reasons: list[str]
    articles: list[ArticleRef]
    article_count: int
    outlets: list[str]
    opened_at: datetime
    updated_at: datetime
    alerted_at: datetime | None = None
    confirmed_at: datetime | None = None
    retracted_at: datetime | None = None
    held_back_at: datetime | None = None
    summarised: bool = False
    memory: StoryMemory | None = None


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """A story whose alert storm control kept back, as the summary lists it."""

    story_id: str
    alert_id: str
    title: str
    lang: str
    source: str | None
    held_back_at: datetime


AlertKind = Literal["opened", "confirmed", "updated", "retracted", "summary"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of one alert.

    `opened` is the first; `confirmed` says that a third outlet joined, `updated` another outlet or new facts,
    `retracted` that the alert was false. `published_at` and `ingested_at` are those of the article that made this
    revision, `alerted_at` the revision's own time. A `summary` belongs to no story: it lists what storm control has
    held back.
    """

    schema_version: int = SCHEMA_VERSION
    alert_id: str
    revision: int
    kind: AlertKind
    story_id: str | None
    title: str
    lang: str | None
    topic: str | None
    reasons: list[str]
    articles: list[ArticleRef]
    article_count: int
    outlets: list[str]
    published_at: datetime | None
    ingested_at: datetime
    alerted_at: datetime
    held_back: list[HeldBack] = []


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A rejected record as `ajil classify` prints it. On the topic the same is told by headers, beside the bytes."""

    schema_version: int = SCHEMA_VERSION
    event_id: str
    rejected: Literal[True] = True
    reason: str
    message: str
    stage: str
    line: int


_encoder = msgspec.json.Encoder()
_Record = TypeVar("_Record", EnrichedArticle, Signal, Story, Alert, Feedback)


def encode(record: msgspec.Struct) -> bytes:
    """The record's JSON, UTF-8, on one line."""
    return _encoder.encode(record)


def read(value: bytes, kind: type[_Record]) -> _Record:
    """The record that `encode` wrote. Fields of a newer version are passed over.

    Raises `msgspec.DecodeError` (and `ValidationError`, which is one) when the value is no such record.
    """
    return msgspec.json.decode(value, type=kind)


def read_signal(value: bytes) -> Signal | Withdrawal:
    """What `news.signals` holds. Raises as `read` does."""
    return msgspec.json.decode(value, type=Signal | Withdrawal)


def event_id(place: Place, headers: Headers = ()) -> str:
    """The same for every reading of one raw record, so that a consumer can tell a repeat. A replayed one keeps its own.

    >>> event_id(Place("news.articles.raw", 3, 41))[:16]
    '71abb4a983d4e9ca'
    """
    kept = header(headers, EVENT_ID)
    if kept is not None and re.fullmatch("[0-9a-f]{64}", kept):
        return kept
    return hashlib.sha256(f"{place.topic}\n{place.partition}\n{place.offset}".encode()).hexdigest()


def story_id(lang: str, event: str) -> str:
    """The id of the story, and of the alert, that an article opens: a repeat after a crash opens the same one again.

    >>> story_id("en", "71abb4a983d4e9ca")
    'en-54505e655f4858259938f674aa33010d'
    """
    digest = hashlib.sha256(f"story\n{event}".encode()).hexdigest()
    return f"{lang}-{digest[:32]}"


def header(headers: Headers, name: str) -> str | None:
    """The last header of that name, as Kafka's own `lastHeader`; None where it is missing, null or not UTF-8."""
    for known, value in reversed(headers):
        if known == name:
            try:
                return None if value is None else value.decode()
            except UnicodeDecodeError:
                return None
    return None


def trace_headers(headers: Headers) -> Headers:
    """What records about an article keep of its headers: the last traceparent. One longer than `MAX_TRACEPARENT` is
    none, as a story lists those of fifty articles.

    >>> trace_headers([("x", b"1"), ("Traceparent", b"00-1-2-01")])
    [('traceparent', b'00-1-2-01')]
    """
    parent = header([(name.lower(), value) for name, value in headers], "traceparent")
    return [("traceparent", parent.encode())] if parent and len(parent) <= MAX_TRACEPARENT else []


def first_ingested_at(record: Record) -> datetime:
    """When Kafka first had the record's bytes: for a replayed one, before it was rejected."""
    told = header(record.headers, INGESTED_AT)
    try:
        return min(record.timestamp, datetime.fromisoformat(told)) if told else record.timestamp
    except (ValueError, TypeError):
        return record.timestamp


def article_id(source: str | None, url: str | None, text: str) -> str:
    """The id of an article that came without one: by its address, else by its text.

    >>> url = "https://example.org/1"
    >>> article_id("example.org", url, "a text") == article_id("example.org", url, "another")
    True
    """
    told = f"{source or ''}\n{url}" if url else text
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def cloudevent_headers(headers: Headers, kind: str, event: str, time: datetime) -> Headers:
    """The headers of an output: the input's own, then CloudEvents 1.0 in Kafka's binary mode.

    The input's content-type and `ce_` headers spoke of the input's value, so the output's take their place.

    >>> cloudevent_headers([("traceparent", b"00-1"), ("Content-Type", b"text/html")], "ajil.article.enriched",
    ...                    "e1", datetime(2026, 1, 2, tzinfo=UTC))[:2]
    [('traceparent', b'00-1'), ('ce_specversion', b'1.0')]
    """
    kept = [(name, value) for name, value in headers if not _describes_value(name) and name not in OWN_HEADERS]
    return [
        *kept,
        ("ce_specversion", b"1.0"),
        ("ce_id", event.encode()),
        ("ce_source", b"/ajil"),
        ("ce_type", kind.encode()),
        ("ce_time", _rfc3339(time)),
        ("content-type", b"application/json"),
    ]


@lru_cache(maxsize=16)  # a batch has one
def _rfc3339(time: datetime) -> bytes:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


def _describes_value(name: str) -> bool:
    name = name.lower()
    return name == "content-type" or name.startswith("ce_")


def rejected_headers(record: Record, rejection: Rejection) -> Headers:
    """The original headers, byte for byte, then where the record came from and why it was rejected."""
    place = record.place
    original = [(name, value) for name, value in record.headers if name not in OWN_HEADERS]
    attempts = header(record.headers, ATTEMPTS) or "0"
    told = {
        f"{ERRORS}topic": place.topic,
        f"{ERRORS}partition": str(place.partition),
        f"{ERRORS}offset": str(place.offset),
        f"{ERRORS}stage": rejection.stage,
        f"{ERRORS}exception.class.name": rejection.reason.value,
        f"{ERRORS}exception.message": str(rejection)[:500],
        ATTEMPTS: str((int(attempts) if re.fullmatch("[0-9]{1,6}", attempts) else 0) + max(1, record.deaths)),
        EVENT_ID: event_id(place, record.headers),
        INGESTED_AT: first_ingested_at(record).isoformat(),
    }
    return [*original, *((name, text.encode("utf-8", "replace")) for name, text in told.items())]
