"""Which alerts and stories a reader asked for, from the query of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

from models.text import fold
from stream.gateway.problems import Problem
from stream.records import Alert, AlertKind, Story

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from multidict import MultiMapping

__all__ = ["Facts", "Filter", "facts_of", "read_filter", "read_limit"]

_LISTED = ("topic", "lang", "source", "kind")
_MAX_VALUES = 100
_MAX_CHARS = 200
MAX_LIMIT = 500


class Facts(NamedTuple):
    """What filters look at, taken from an alert or a story once."""

    topic: str
    langs: frozenset[str]
    sources: frozenset[str]
    kind: str | None
    text: str


class Filter(NamedTuple):
    """Empty parts let everything pass. Hashable: readers with one filter are served as one."""

    topic: frozenset[str] = frozenset()
    lang: frozenset[str] = frozenset()
    source: frozenset[str] = frozenset()
    kind: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()

    def passes(self, facts: Facts) -> bool:
        return (
            (not self.topic or facts.topic in self.topic)
            and (not self.lang or not self.lang.isdisjoint(facts.langs))
            and (not self.source or not self.source.isdisjoint(facts.sources))
            and (not self.kind or facts.kind in self.kind)
            and all(word in facts.text for word in self.words)
        )


def facts_of(record: Alert | Story) -> Facts:
    """A summary has the languages, sources and titles of what it lists."""
    held = record.held_back if isinstance(record, Alert) else []
    sources = {*record.outlets, *(article.source for article in record.articles), *(item.source for item in held)}
    titles = [record.title, *(article.title or "" for article in record.articles), *(item.title for item in held)]
    named = {source for source in sources if source}
    return Facts(
        topic=record.topic or "none",
        langs=frozenset(lang for lang in (record.lang, *(item.lang for item in held)) if lang),
        sources=frozenset(source.casefold() for source in named),
        kind=record.kind if isinstance(record, Alert) else None,
        text=fold(" ".join([*titles, *named])),
    )


def read_filter(query: MultiMapping[str], *, others: Iterable[str] = (), kinds: bool = True) -> Filter:
    """The filter in a query; `others` are the query names that mean something else. Raises `Problem` (400).

    >>> from multidict import MultiDict
    >>> read_filter(MultiDict(lang="ar,en", q="Dam  bursts")).words
    ('dam', 'bursts')
    """
    listed = _LISTED if kinds else _LISTED[:-1]
    known = {*listed, "q", *others}
    if unknown := sorted(set(query) - known):
        raise Problem(400, f"unknown query name {unknown[0][:50]!r}; known are {', '.join(sorted(known))}")
    told: Mapping[str, frozenset[str]] = {name: _values(query, name) for name in listed}
    if wrong := told.get("kind", frozenset()) - set(get_args(AlertKind)):
        raise Problem(400, f"kind {min(wrong)!r} is none of {', '.join(get_args(AlertKind))}")
    words = tuple(fold(" ".join(query.getall("q", [])))[:_MAX_CHARS].split())
    return Filter(**told, words=words)


def _values(query: MultiMapping[str], name: str) -> frozenset[str]:
    values = [value.strip().casefold() for given in query.getall(name, []) for value in given.split(",")]
    values = [value for value in values if value]
    if len(values) > _MAX_VALUES or any(len(value) > _MAX_CHARS for value in values):
        raise Problem(400, f"{name} may have {_MAX_VALUES} values of {_MAX_CHARS} characters")
    return frozenset(values)


def read_limit(query: MultiMapping[str], default: int = 50) -> int:
    """How many to list. Raises `Problem` (400)."""
    text = query.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_LIMIT):
        raise Problem(400, f"limit {text[:20]!r} is not a whole number from 1 to {MAX_LIMIT}")
    return int(text)
