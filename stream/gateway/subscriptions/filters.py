"""Which alerts a subscription wants. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from models.text import stem, words
from stream.records import AlertKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.records import Alert

__all__ = ["Filters", "Matcher", "phrase"]

Filled = Annotated[str, Meta(min_length=1, max_length=200)]


class Filters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an alert must be: all that is given must hold, and of each list one entry. An empty list asks for nothing.

    `keywords` here include those of the watch lists.
    """

    kinds: tuple[AlertKind, ...] = ("opened", "confirmed", "retracted")
    topics: tuple[Filled, ...] = ()
    languages: tuple[Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")], ...] = ()
    sources: tuple[Filled, ...] = ()
    keywords: tuple[Filled, ...] = ()
    keywords_in: Literal["title", "titles"] = "titles"
    """title: of the alert; titles: of any article of the story too."""
    reasons: tuple[Filled, ...] = ()
    minimum_outlets: Annotated[int, Meta(ge=1, le=100)] = 1


def phrase(text: str) -> tuple[str, ...]:
    """The words of a keyword as they are compared: folded and stemmed, numbers as they are.

    >>> phrase("Prime Ministers"), phrase("الوزراء ٢٠٢٦"), phrase("!?")
    (('prime', 'minister'), ('وزراء', '2026'), ())
    """
    return tuple(word if word.isdigit() else stem(word) for word in words(text))


class Matcher:
    """The filters, made ready for many alerts.

    >>> Matcher(Filters(keywords=["prime ministers"]))._mentions(["The prime minister resigns"])
    True
    """

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._phrases = {found for keyword in filters.keywords if (found := phrase(keyword))}
        self._lengths = {len(found) for found in self._phrases}

    def wants(self, alert: Alert, told: bool) -> bool:
        """`told`: whether the subscriber was sent an earlier revision of this alert.

        A retraction goes to those who were told. The first revision that passes the filters opens the story for the
        subscriber, whatever its kind. A summary belongs to no story: of the filters only the language is asked.
        """
        wanted = self._filters
        if alert.kind == "retracted":
            return told and "retracted" in wanted.kinds
        if alert.kind == "summary":
            return "summary" in wanted.kinds and (alert.lang is None or _one_of(alert.lang, wanted.languages))
        kind = alert.kind in wanted.kinds or (not told and "opened" in wanted.kinds)
        return kind and self._fits(alert)

    def _fits(self, alert: Alert) -> bool:
        wanted = self._filters
        return (
            _one_of(alert.lang, wanted.languages)
            and _one_of(alert.topic, wanted.topics)
            and len(alert.outlets) >= wanted.minimum_outlets
            and (not wanted.reasons or not set(wanted.reasons).isdisjoint(alert.reasons))
            and (not wanted.sources or any(_is_of(outlet, wanted.sources) for outlet in _outlets(alert)))
            and (not self._phrases or self._mentions(self._titles(alert)))
        )

    def _titles(self, alert: Alert) -> list[str]:
        if self._filters.keywords_in == "title":
            return [alert.title]
        return [alert.title, *(article.title for article in alert.articles if article.title)]

    def _mentions(self, titles: list[str]) -> bool:
        for title in titles:
            told = phrase(title)
            for length in self._lengths:
                if any(told[at : at + length] in self._phrases for at in range(len(told) - length + 1)):
                    return True
        return False


def _one_of(value: str | None, allowed: tuple[str, ...]) -> bool:
    return not allowed or value in allowed


def _outlets(alert: Alert) -> Iterator[str]:
    yield from alert.outlets
    yield from (article.source for article in alert.articles if article.source)


def _is_of(outlet: str, sources: tuple[str, ...]) -> bool:
    """Whether an outlet is one of the sources, or a part of its site.

    >>> _is_of("arabic.ledger.example", ("Ledger.example",)), _is_of("myledger.example", ("ledger.example",))
    (True, False)
    """
    outlet = outlet.casefold()
    return any(outlet == (name := source.casefold()) or outlet.endswith(f".{name}") for source in sources)
