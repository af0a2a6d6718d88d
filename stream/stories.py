"""Signals -> stories -> alerts. Pure: the caller gives signals in order and the time.

A first, simple rule: breaking articles of one language whose titles are nearly the same tell one story, and a story
is alerted once, when its first breaking article comes.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from models.text import stem, words
from stream.records import Alert, ArticleRef, Signal, Story

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_STORIES", "Stories", "Told"]

SAME_TITLE = 0.7
"""Share of title words (Jaccard) from which two titles tell one story: reprints pass, another event does not."""
LIFETIME = timedelta(days=5)
"""A story that nothing was added to for so long is over."""
MAX_STORIES = 5_000
"""Open stories kept in memory; the one that was silent longest goes first."""
MAX_ARTICLES = 50
"""Articles listed in one story; the first ones are those that opened it."""


class Told(NamedTuple):
    """What one signal changed: the story's new state, and its alert if it opened the story."""

    story: Story
    alert: Alert | None


class Stories:
    """The open stories of the languages that this worker reads."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[frozenset[str], Story]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def restore(self, stories: Iterable[Story]) -> None:
        """Take back what was published before a restart, in the order of its topic."""
        for story in stories:
            self._keep(story)

    def tell(self, signal: Signal, now: datetime) -> Told | None:
        """Place a signal; None when it is not breaking, or was told before."""
        if not signal.breaking.flag:
            return None
        known = self._find(signal.lang, _key(signal.title or ""), now)
        article = ArticleRef(
            id=signal.id,
            source=signal.source,
            url=signal.url,
            title=signal.title,
            published_at=signal.published_at,
        )
        if known is not None:
            if any(a.id == article.id and a.source == article.source for a in known.articles):
                return None
            return Told(self._keep(_grown(known, article, now)), None)
        story = self._keep(_opened(signal, article, now))
        return Told(story, _alert(signal, story, now))

    def _find(self, lang: str, key: frozenset[str], now: datetime) -> Story | None:
        best, found = SAME_TITLE, None
        for other, story in self._open.values():
            if story.lang != lang or now - story.updated_at > LIFETIME or not (key and other):
                continue
            alike = len(key & other) / len(key | other)
            if alike >= best:
                best, found = alike, story
        return found

    def _keep(self, story: Story) -> Story:
        self._open[story.story_id] = _key(story.title), story
        self._open.move_to_end(story.story_id)
        while len(self._open) > MAX_STORIES:
            self._open.popitem(last=False)
        return story


def _key(title: str) -> frozenset[str]:
    """The title's words without their order, marks and affixes."""
    return frozenset(stem(word) for word in words(title))


def _opened(signal: Signal, article: ArticleRef, now: datetime) -> Story:
    # From the event that opened it, so that a repeat after a crash opens the same story and raises the same alert.
    story_id = hashlib.sha256(f"story\n{signal.event_id}".encode()).hexdigest()
    alert_id = hashlib.sha256(f"alert\n{signal.event_id}".encode()).hexdigest()
    return Story(
        story_id=story_id,
        alert_id=alert_id,
        lang=signal.lang,
        title=signal.title or "",
        topic=signal.topic,
        articles=[article],
        opened_at=now,
        updated_at=now,
    )


def _grown(story: Story, article: ArticleRef, now: datetime) -> Story:
    return Story(
        story_id=story.story_id,
        alert_id=story.alert_id,
        lang=story.lang,
        title=story.title,
        topic=story.topic,
        articles=[*story.articles, article][:MAX_ARTICLES],
        opened_at=story.opened_at,
        updated_at=now,
    )


def _alert(signal: Signal, story: Story, now: datetime) -> Alert:
    return Alert(
        alert_id=story.alert_id,
        revision=1,
        kind="opened",
        story_id=story.story_id,
        title=story.title,
        lang=story.lang,
        topic=story.topic,
        reasons=signal.breaking.reasons,
        articles=story.articles,
        outlets=[signal.source] if signal.source else [],
        published_at=signal.published_at,
        ingested_at=signal.ingested_at,
        alerted_at=now,
    )
