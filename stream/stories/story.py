"""How a story's record changes: each function takes one state and returns the next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from models.breaking import WINDOW
from stream.records import TAKEN_BACK, Alert, AlertKind, ArticleRef, Signal, Story, story_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = [
    "CONFIRMING_OUTLETS",
    "MAX_ARTICLES",
    "bounded",
    "find",
    "is_news",
    "joined",
    "opened",
    "outlet",
    "reference",
    "revision",
    "stands",
    "supersedes",
    "taken_back",
    "takes_back",
    "updated",
]

MAX_ARTICLES = 50
"""Articles listed in one story: the first `FIRST_ARTICLES`, which opened it, and the last ones."""
FIRST_ARTICLES = 10
MAX_URL, MAX_SOURCE = 2_000, 200
"""Characters: the articles of a story must fit into one record of a megabyte, whatever their producers say."""
CONFIRMING_OUTLETS = 3
"""Three outlets on one story have been right every time it was measured; two one time in three (docs/stories.md)."""


def bounded(signal: Signal) -> Signal:
    """Without a longer address than people can use, and with a source that is short, or none where it is empty."""
    url = signal.url if len(signal.url or "") <= MAX_URL else None
    return replace(signal, url=url, source=(signal.source or "")[:MAX_SOURCE] or None)


def reference(
    signal: Signal, traceparent: str | None, similarity: float | None = None, shared: Iterable[str] = ()
) -> ArticleRef:
    """The article of a signal, as its story lists it."""
    return ArticleRef(
        id=signal.id,
        event_id=signal.event_id,
        source=signal.source,
        url=signal.url,
        title=signal.title,
        published_at=signal.published_at,
        ingested_at=signal.ingested_at,
        version=signal.version,
        breaking=signal.breaking.flag,
        similarity=similarity,
        shared=list(shared),
        traceparent=traceparent,
    )


def opened(signal: Signal, article: ArticleRef, now: datetime) -> Story:
    """A new story, named after the event that opened it."""
    name = story_id(signal.lang, signal.event_id)
    return Story(
        story_id=name,
        alert_id=name,
        revision=0,
        state="open",
        lang=signal.lang,
        title=signal.title or "",
        topic=signal.topic,
        reasons=_reasons([], signal),
        articles=[article],
        article_count=1,
        outlets=_outlets([article]),
        opened_at=now,
        updated_at=now,
    )


def joined(story: Story, article: ArticleRef, signal: Signal, now: datetime) -> Story:
    """With one more article."""
    articles = [*story.articles, article]
    if len(articles) > MAX_ARTICLES:
        del articles[FIRST_ARTICLES]
    return replace(
        story,
        topic=story.topic or signal.topic,
        reasons=_reasons(story.reasons, signal),
        articles=articles,
        article_count=story.article_count + 1,
        outlets=_outlets([article], story.outlets),
        updated_at=now,
    )


def updated(story: Story, article: ArticleRef, signal: Signal, now: datetime) -> Story:
    """With a newer version of an article that it has; why that one joined stays as it was."""
    known = find(story, article.source, article.id)
    assert known is not None
    article = replace(article, similarity=known.similarity, shared=known.shared)
    title = story.title if known.title != story.title else article.title or story.title
    articles = [article if listed is known else listed for listed in story.articles]
    return replace(story, title=title, reasons=_reasons(story.reasons, signal), articles=articles, updated_at=now)


def taken_back(story: Story, signal: Signal, now: datetime) -> Story:
    """With one article marked as canceled or withheld: it no longer speaks for the story."""
    articles = [
        replace(a, breaking=False, pubstatus=signal.pubstatus, version=signal.version or a.version)
        if (a.source, a.id) == (signal.source, signal.id)
        else a
        for a in story.articles
    ]
    usable = [a for a in articles if a.pubstatus is None]
    gone = {outlet(signal.source)} - {outlet(a.source) for a in usable}
    left = [source for source in story.outlets if outlet(source) not in gone]
    return replace(story, articles=articles, outlets=left, updated_at=now)


def stands(story: Story) -> bool:
    """Whether an alert is still justified: by an article that is breaking, or by enough outlets."""
    return is_news(story) or len(story.outlets) >= CONFIRMING_OUTLETS


def is_news(story: Story, at: datetime | None = None) -> bool:
    """Whether some article of it is breaking; with `at`, whether it still is: what was held back grows old."""
    return any(a.breaking and (at is None or at - a.ingested_at < WINDOW) for a in story.articles)


def find(story: Story, source: str | None, id: str) -> ArticleRef | None:
    """The listed article of that outlet and id."""
    return next((a for a in story.articles if a.id == id and a.source == source), None)


def supersedes(signal: Signal, known: ArticleRef) -> bool:
    """Whether a signal tells more than what is known of its article: a higher version; or, where one has no version,
    another title, a breaking one, or the first version. What Kafka had earlier is a repeat then.

    >>> _order("10") > _order("9")
    True
    """
    if signal.event_id == known.event_id:
        return False
    if signal.version is not None and known.version is not None:
        # What takes an article back may do so under the version that it takes back.
        newer, old = _order(signal.version), _order(known.version)
        return newer > old or (newer == old and takes_back(signal) and known.pubstatus is None)
    if known.pubstatus is not None or takes_back(signal):
        return known.pubstatus is None
    more = signal.title != known.title or signal.breaking.flag > known.breaking or signal.version is not None
    return more and signal.ingested_at >= known.ingested_at


def takes_back(signal: Signal) -> bool:
    """Whether the outlet says that its article must no longer be used."""
    return signal.pubstatus in TAKEN_BACK


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Numbers by value, the rest by letter: what a person would call the higher version."""
    return tuple(
        (int(part), "") if part.isdecimal() else (0, part) for part in re.findall(r"[0-9]{1,18}|[^0-9]+", version)
    )


def outlet(source: str | None) -> str:
    """One spelling for one outlet.

    >>> outlet("www.Example.org") == outlet("example.org ")
    True
    """
    return (source or "").strip().casefold().removeprefix("www.")


def revision(
    story: Story, kind: AlertKind, signal: Signal | None, now: datetime, reasons: list[str] | None = None
) -> Alert:
    """The alert's record for a story whose `revision` has been raised; without a signal, by its last article."""
    last = signal or story.articles[-1]
    return Alert(
        alert_id=story.alert_id,
        revision=story.revision,
        kind=kind,
        story_id=story.story_id,
        title=story.title,
        lang=story.lang,
        topic=story.topic,
        reasons=story.reasons if reasons is None else reasons,
        articles=story.articles,
        article_count=story.article_count,
        outlets=story.outlets,
        published_at=last.published_at,
        ingested_at=last.ingested_at,
        alerted_at=now,
    )


def _reasons(known: list[str], signal: Signal) -> list[str]:
    told = signal.breaking.reasons if signal.breaking.flag else []
    return [*known, *(reason for reason in told if reason not in known)]


def _outlets(articles: Iterable[ArticleRef], known: Iterable[str] = ()) -> list[str]:
    """Distinct outlets in the order in which they came; an article without one tells of none."""
    named = {outlet(source): source for source in known}
    for article in articles:
        if outlet(article.source):
            named.setdefault(outlet(article.source), article.source or "")
    return list(named.values())[:MAX_ARTICLES]
