"""Signals that went in against the stories and alerts that came out. Pure: Kafka is not asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stream.records import Alert, Story
    from tests.broker.faults.load import Item, Place

__all__ = ["AlertBooks", "compare"]


@dataclass
class AlertBooks:
    """Records counted; all but the first three are 0 in a good run."""

    signals: int = 0
    stories: int = 0
    """Known stories that were fed."""
    alerts: int = 0
    lost_stories: int = 0
    """Known stories without an `opened`."""
    lost_articles: int = 0
    """Articles that are in no story's newest record, though their signals are committed."""
    unread: int = 0
    """Articles that are in none, and not committed either: a worker that stood still, or stopped too early."""
    lost_alerts: int = 0
    """Revisions that were never alerted, though a later one was or the story's newest record counts them."""
    opened_again: int = 0
    """`opened` beyond the first of a known story, under whatever id."""
    repeated: int = 0
    """Alerts of a revision that was alerted before."""
    reordered: int = 0
    """Alerts that came after a later revision of theirs."""
    split: int = 0
    """Known stories told as more than one: the worker had forgotten what it knew."""
    mixed: int = 0
    """Stories with articles of more than one known story, or with one article twice."""
    unpublished: int = 0
    """Stories whose newest record knows less than their last alert."""

    def faults(self, _: int) -> list[str]:
        """What is wrong, one phrase each. No repeats are allowed, whatever happened."""
        counts = asdict(self)
        return [f"{name} {counts[name]}" for name in list(counts)[3:] if counts[name]]


def compare(
    sent: Mapping[Place, Item], stories: Sequence[Story], alerts: Sequence[Alert], committed: Mapping[int, int]
) -> AlertBooks:
    """The books of one run; stories and alerts are given in the order of their partitions, as read_committed reads.

    `committed`: the group's offset in each partition of the signals.
    """
    known = {_known(item.id) for item in sent.values()}
    read = {item.id for (partition, offset), item in sent.items() if offset < committed.get(partition, 0)}
    books = AlertBooks(len(sent), len(known), len(alerts))
    newest = {story.story_id: story for story in stories}
    told: dict[str, set[str]] = defaultdict(set)
    for story in newest.values():
        ids = [article.id for article in story.articles]
        names = {_known(id_) for id_ in ids}
        books.mixed += len(names) > 1 or len(set(ids)) < len(ids) or story.article_count != len(ids)
        for name in names:
            told[name].add(story.story_id)
    books.split = sum(len(ids) > 1 for ids in told.values())
    missing = {item.id for item in sent.values()} - {a.id for story in newest.values() for a in story.articles}
    books.lost_articles = len(missing & read)
    books.unread = len(missing - read)
    opened = Counter(_known(alert.articles[0].id) for alert in alerts if alert.kind == "opened")
    books.lost_stories = len({_known(id_) for id_ in read} - set(opened))
    books.opened_again = sum(opened.values()) - len(opened)
    revisions: dict[str, list[int]] = defaultdict(list)
    for alert in alerts:
        revisions[alert.alert_id].append(alert.revision)
    for story in newest.values():
        seen = revisions.get(story.alert_id, [])
        last = max([story.revision, *seen])
        books.lost_alerts += len(set(range(1, last + 1)) - set(seen))
        books.repeated += len(seen) - len(set(seen))
        books.reordered += sum(later < max(seen[:at]) for at, later in enumerate(seen) if at)
        books.unpublished += story.revision < max(seen, default=0)
    return books


def _known(article: str | None) -> str:
    """The known story of an article's id."""
    return (article or "").partition("-")[0]
