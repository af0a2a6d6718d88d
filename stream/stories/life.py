"""Signals -> stories -> alerts. Pure: the caller gives signals in order, and the time.

A story is opened by an article that fits none, and joined by those that fit it. It has one alert, opened when one of
its articles is breaking, and revised when the story is confirmed, grows or proves false. Nothing is alerted twice: what
was told is part of the story, which is published with its alerts and read back after a restart.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from stream.records import Alert, HeldBack, Story, encode, read
from stream.stories.placing import Placer
from stream.stories.storm import StormControl
from stream.stories.story import (
    CONFIRMING_OUTLETS,
    bounded,
    find,
    is_news,
    joined,
    opened,
    reference,
    revision,
    stands,
    supersedes,
    taken_back,
    takes_back,
    updated,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from stream.records import AlertKind, ArticleRef, Signal, Withdrawal
    from stream.settings import Settings
    from stream.stories.storm import Limit

__all__ = ["LIFETIME", "MAX_STORIES", "Stories", "Told"]

LIFETIME = timedelta(days=5)
"""A story that no article joined for so long is over."""
MAX_STORIES = 20_000
"""Open stories of all languages; the one that was silent longest is closed first."""
MAX_LANGUAGES = 100
"""Languages compared apart; a producer may claim any code for a text that is too short to tell."""
CLOSED_AT_ONCE = 100
"""Stories that one signal may close by the way: after a long pause there are thousands."""
SUMMARY_AFTER = timedelta(minutes=1)
"""How long storm control collects before it tells what it has kept back ..."""
SUMMARY_STORIES = 500
SUMMARY_TITLE = 200
"""... and how many stories one summary tells at most, with how much of each title: it must fit into one record."""


class Told(NamedTuple):
    """What has changed: the newest state of each story that did, alerts in their order, and what was kept back.

    `held_back` has the limit in the way of each alert that was not sent.
    """

    stories: dict[str, Story]
    alerts: list[Alert]
    held_back: list[Limit]


class _Kept(NamedTuple):
    touched: datetime
    value: bytes  # the story without its memory, as JSON: a tenth of what its objects take


class Stories:
    """The open stories that this worker tells, at most `MAX_STORIES`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._forget()

    def _forget(self) -> None:
        self._stories: OrderedDict[str, _Kept] = OrderedDict()
        self._placers: dict[str, Placer] = {}
        self._articles: dict[bytes, str] = {}
        self._waiting: dict[str, HeldBack] = {}
        self._storm = StormControl(self._settings.alerts_per_source_per_minute, self._settings.alerts_per_minute)

    def __len__(self) -> int:
        return len(self._stories)

    # What happens ---------------------------------------------------------------------------------------------------

    def tell(self, signal: Signal, now: datetime, traceparent: str | None = None) -> Told:
        """Place one article's signal in its story. `now` never goes back."""
        told, signal = self.tick(now), bounded(signal)
        self._storm.see(signal.source, min(signal.ingested_at, now))
        story = self._story_of(signal)
        known = None if story is None else find(story, signal.source, signal.id)
        if story is None or known is None:
            if not takes_back(signal):
                self._place(signal, now, traceparent, told)
        elif not supersedes(signal, known):
            pass  # a repeat, or an old version that comes late
        elif takes_back(signal):
            self._take_back(story, signal, now, told)
        elif story.state == "closed":
            # Its outlet took it back, and now tells it after all: news again, and so a story of its own.
            self._place(signal, now, traceparent, told)
        else:
            story = updated(story, reference(signal, traceparent), signal, now)
            self._announce(story, signal, now, told, grown=True)
        return told

    def withdraw(self, withdrawal: Withdrawal, now: datetime) -> Told:
        """An editor takes an alert back. Its story stays open, so that what else is told of it stays quiet."""
        told = self.tick(now)
        kept = self._stories.get(withdrawal.alert_id)
        story = None if kept is None else read(kept.value, Story)
        if story is not None and story.revision and story.retracted_at is None:
            self._retract(story, "withdrawn", None, now, told)
        return told

    def tick(self, now: datetime) -> Told:
        """What time alone brings: stories that are over, and the summary of what was kept back."""
        told = Told({}, [], [])
        for name, kept in list(islice(self._stories.items(), CLOSED_AT_ONCE)):
            if now - kept.touched < LIFETIME:
                break
            self._close(name, now, told)
        first = next(iter(self._waiting.values()), None)
        if first and (now - first.held_back_at >= SUMMARY_AFTER or len(self._waiting) >= SUMMARY_STORIES):
            self._summarise(now, told)
        return told

    def restore(self, stories: Iterable[Story]) -> None:
        """Forget everything, and take back what was published: of each story its newest state, the oldest first."""
        self._forget()
        for story in stories:
            for article in story.articles:
                self._storm.see(article.source, min(article.ingested_at, story.updated_at))
            if story.state == "closed" and story.retracted_at is None:
                continue
            self._keep(story)
            if story.memory is not None:
                self._placer(story.lang).restore(
                    story.story_id, story.memory, _told_at(story.articles[-1], story.updated_at)
                )
            if story.held_back_at is not None and not story.summarised:
                self._waiting[story.story_id] = _held_back(story)
            if story.alerted_at is not None:
                self._storm.limit(story.articles[-1].source, story.alerted_at)

    # Steps ----------------------------------------------------------------------------------------------------------

    def _place(self, signal: Signal, now: datetime, traceparent: str | None, told: Told) -> None:
        at, placer = _told_at(signal, now), self._placer(signal.lang)
        placed = placer.place(signal.terms, at, signal.source)
        if placed.story_id is None:
            story = opened(signal, reference(signal, traceparent), now)
            placer.open(story.story_id, signal.terms, at, signal.source)
            self._announce(story, signal, now, told)
            return
        article = reference(signal, traceparent, round(placed.similarity, 3), placed.shared)
        before = read(self._stories[placed.story_id].value, Story)
        story = joined(before, article, signal, now)
        placer.join(story.story_id, signal.terms, at, signal.source)
        grown = len(story.outlets) > len(before.outlets) or article.breaking
        self._announce(story, signal, now, told, grown=grown)

    def _announce(self, story: Story, signal: Signal, now: datetime, told: Told, *, grown: bool = False) -> None:
        """Decide what subscribers hear of a story that has changed, and keep it."""
        at = min(signal.ingested_at, now)
        if story.retracted_at is None and story.revision == 0 and is_news(story, at):
            limit = self._storm.limit(signal.source, at)
            if limit is None:
                title = signal.title if signal.breaking.flag and signal.title else story.title
                story = replace(story, revision=1, title=title, alerted_at=now, held_back_at=None)
                self._waiting.pop(story.story_id, None)
                told.alerts.append(revision(story, "opened", signal, now))
                grown = False
            else:
                told.held_back.append(limit)
                if story.held_back_at is None:
                    story = replace(story, held_back_at=now)
                    self._waiting[story.story_id] = _held_back(story)
        if story.retracted_at is None and story.revision:
            if story.confirmed_at is None and len(story.outlets) >= CONFIRMING_OUTLETS:
                story = replace(story, confirmed_at=now)
                story = self._revise(story, "confirmed", signal, now, told)
            elif grown:
                limit = self._storm.limit(signal.source, at)
                if limit is None:
                    story = self._revise(story, "updated", signal, now, told)
                else:
                    told.held_back.append(limit)
        self._changed(story, told)

    def _take_back(self, story: Story, signal: Signal, now: datetime, told: Told) -> None:
        story = taken_back(story, signal, now)
        if story.held_back_at is not None and not is_news(story):
            story = replace(story, held_back_at=None)
            self._waiting.pop(story.story_id, None)
        if story.revision and story.retracted_at is None:
            if not stands(story):
                # Closed: should another outlet tell it after all, that is news, and another story.
                story = replace(story, state="closed")
                self._retract(story, signal.pubstatus or "", signal, now, told)
                return
            story = self._revise(story, "updated", signal, now, told)
        self._changed(story, told)

    def _retract(self, story: Story, reason: str, signal: Signal | None, now: datetime, told: Told) -> None:
        story = replace(story, retracted_at=now, updated_at=now, revision=story.revision + 1)
        told.alerts.append(revision(story, "retracted", signal, now, [reason]))
        self._changed(story, told)

    def _revise(self, story: Story, kind: AlertKind, signal: Signal, now: datetime, told: Told) -> Story:
        story = replace(story, revision=story.revision + 1)
        told.alerts.append(revision(story, kind, signal, now))
        return story

    def _close(self, name: str, now: datetime, told: Told) -> None:
        story = read(self._stories[name].value, Story)
        self._drop(story)
        if story.state == "open":
            told.stories[name] = replace(story, state="closed", updated_at=now, memory=None)

    def _summarise(self, now: datetime, told: Told) -> None:
        """Tell what was kept back since the last summary, so that nobody need guess what is missing."""
        held = list(self._waiting.values())[:SUMMARY_STORIES]
        for item in held:
            del self._waiting[item.story_id]
            kept = self._stories.get(item.story_id)
            if kept is not None:
                story = replace(read(kept.value, Story), summarised=True)
                self._stories[item.story_id] = _Kept(kept.touched, encode(story))
                told.stories[item.story_id] = self._with_memory(story)
        told.alerts.append(
            Alert(
                alert_id=f"summary-{hashlib.sha256(held[0].story_id.encode()).hexdigest()[:32]}",
                revision=1,
                kind="summary",
                story_id=None,
                title=f"Held back: {len(held)}",
                lang=None,
                topic=None,
                reasons=["held_back"],
                articles=[],
                article_count=0,
                outlets=[],
                published_at=None,
                ingested_at=held[0].held_back_at,
                alerted_at=now,
                held_back=held,
            )
        )

    # Memory ---------------------------------------------------------------------------------------------------------

    def _placer(self, lang: str) -> Placer:
        if lang not in self._placers and len(self._placers) >= MAX_LANGUAGES:
            lang = "und"
        if lang not in self._placers:
            self._placers[lang] = Placer(lang)
        return self._placers[lang]

    def _story_of(self, signal: Signal) -> Story | None:
        """The story that has this article already."""
        name = self._articles.get(_article_key(signal.source, signal.id))
        return None if name is None else read(self._stories[name].value, Story)

    def _changed(self, story: Story, told: Told) -> None:
        self._keep(story)
        told.stories[story.story_id] = self._with_memory(story)
        # More than one where this worker has taken over another's stories.
        over = min(len(self._stories) - MAX_STORIES, CLOSED_AT_ONCE)
        for name in list(islice(self._stories, max(0, over))):
            self._close(name, story.updated_at, told)

    def _with_memory(self, story: Story) -> Story:
        if story.state == "closed":
            return story
        return replace(story, memory=self._placer(story.lang).memory(story.story_id))

    def _keep(self, story: Story) -> None:
        before = self._stories.pop(story.story_id, None)
        if before is not None:
            self._drop_articles(read(before.value, Story))
        if story.state == "closed":
            self._unplace(story)
        self._stories[story.story_id] = _Kept(story.updated_at, encode(replace(story, memory=None)))
        for article in story.articles:
            key = _article_key(article.source, article.id)
            other = self._articles.get(key)
            # An article that came back after its story was closed is in a newer one now.
            if other is None or read(self._stories[other].value, Story).opened_at <= story.opened_at:
                self._articles[key] = story.story_id

    def _drop(self, story: Story) -> None:
        del self._stories[story.story_id]
        self._drop_articles(story)
        self._unplace(story)

    def _unplace(self, story: Story) -> None:
        placer = self._placer(story.lang)
        if story.story_id in placer:  # else it was closed before
            placer.remove(story.story_id)

    def _drop_articles(self, story: Story) -> None:
        for article in story.articles:
            key = _article_key(article.source, article.id)
            if self._articles.get(key) == story.story_id:
                del self._articles[key]


def _article_key(source: str | None, id: str) -> bytes:
    return hashlib.blake2b(f"{source or ''}\n{id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _told_at(article: Signal | ArticleRef, now: datetime) -> datetime:
    """When the article was news: archives are placed at their own time, and wrong clocks cannot lie ahead."""
    return min(article.published_at or article.ingested_at, article.ingested_at, now)


def _held_back(story: Story) -> HeldBack:
    assert story.held_back_at is not None
    return HeldBack(
        story_id=story.story_id,
        alert_id=story.alert_id,
        title=story.title[:SUMMARY_TITLE],
        lang=story.lang,
        source=story.articles[-1].source,
        held_back_at=story.held_back_at,
    )
