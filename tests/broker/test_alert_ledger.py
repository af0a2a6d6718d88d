"""The books of alerts, with runs made by hand: what is wrong must be found, and nothing else. No broker needed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from stream.records import Alert, AlertKind, ArticleRef, Signal, Story, read
from tests.broker.faults.alert_ledger import compare
from tests.broker.faults.alert_load import told
from tests.broker.faults.load import Item
from tests.kafka_client import Record

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SENT = {(0, offset): Item(Record(b""), id_) for offset, id_ in enumerate(("0-0", "0-1", "0-1", "1-0"))}
COMMITTED = {0: 4}


def article(id_: str) -> ArticleRef:
    return ArticleRef(
        id=id_, event_id=id_, source=None, url=None, title=None, published_at=None, ingested_at=NOW, breaking=True
    )


def story(name: str, revision: int, *ids: str) -> Story:
    return Story(
        story_id=name,
        alert_id=name,
        revision=revision,
        state="open",
        lang="en",
        title="",
        topic=None,
        reasons=[],
        articles=[article(id_) for id_ in ids],
        article_count=len(ids),
        outlets=[],
        opened_at=NOW,
        updated_at=NOW,
    )


def alert(name: str, revision: int, kind: AlertKind, *ids: str) -> Alert:
    return Alert(
        alert_id=name,
        revision=revision,
        kind=kind,
        story_id=name,
        title="",
        lang="en",
        topic=None,
        reasons=[],
        articles=[article(id_) for id_ in ids],
        article_count=len(ids),
        outlets=[],
        published_at=None,
        ingested_at=NOW,
        alerted_at=NOW,
    )


STORIES = [story("a", 1, "0-0"), story("a", 2, "0-0", "0-1"), story("b", 1, "1-0")]
ALERTS = [alert("a", 1, "opened", "0-0"), alert("a", 2, "updated", "0-0", "0-1"), alert("b", 1, "opened", "1-0")]
GOOD = {"signals": 4, "stories": 2, "alerts": 3}


def found(stories: list[Story], alerts: list[Alert]) -> dict[str, int]:
    return {name: count for name, count in asdict(compare(SENT, stories, alerts, COMMITTED)).items() if count}


def test_a_good_run_has_no_faults() -> None:
    assert found(STORIES, ALERTS) == GOOD
    assert compare(SENT, STORIES, ALERTS, COMMITTED).faults(0) == []


WRONG: dict[str, tuple[list[Story], list[Alert], dict[str, int]]] = {
    "lost story": (STORIES, ALERTS[:2], {"alerts": 2, "lost_stories": 1, "lost_alerts": 1}),
    "lost revision": (STORIES, [ALERTS[0], ALERTS[2]], {"alerts": 2, "lost_alerts": 1}),
    "lost opening": (STORIES, ALERTS[1:], {"alerts": 2, "lost_stories": 1, "lost_alerts": 1}),
    "repeated": (STORIES, [*ALERTS, ALERTS[1]], {"alerts": 4, "repeated": 1}),
    "opened again": (STORIES, [*ALERTS, ALERTS[0]], {"alerts": 4, "opened_again": 1, "repeated": 1, "reordered": 1}),
    "reordered": (STORIES, [ALERTS[1], ALERTS[0], ALERTS[2]], {"reordered": 1}),
    "lost article": ([STORIES[0], STORIES[2]], ALERTS, {"lost_articles": 1, "unpublished": 1}),
    "split": (
        [*STORIES, story("c", 1, "0-1")],
        [*ALERTS, alert("c", 1, "opened", "0-1")],
        {"alerts": 4, "opened_again": 1, "split": 1},
    ),
    "mixed": ([*STORIES[:2], story("b", 1, "1-0", "0-0")], ALERTS, {"mixed": 1, "split": 1}),
    "joined twice": ([*STORIES[:2], story("b", 1, "1-0", "1-0")], ALERTS, {"mixed": 1}),
    "counted twice": ([*STORIES[:2], replace(STORIES[2], article_count=2)], ALERTS, {"mixed": 1}),
}


@pytest.mark.parametrize(("stories", "alerts", "wrong"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found(stories: list[Story], alerts: list[Alert], wrong: dict[str, int]) -> None:
    assert found(stories, alerts) == GOOD | wrong
    assert compare(SENT, stories, alerts, COMMITTED).faults(1000) != []


def test_what_no_worker_has_read_is_not_lost() -> None:
    books = compare(SENT, STORIES[:2], ALERTS[:2], {0: 3})
    assert (books.unread, books.lost_articles, books.lost_stories) == (1, 0, 0)
    books = compare(SENT, STORIES[:2], ALERTS[:2], COMMITTED)
    assert (books.unread, books.lost_articles, books.lost_stories) == (0, 1, 1)


def test_known_stories_are_told_in_their_order_and_begin_with_breaking_news() -> None:
    items = told(500, seed=3)
    assert len(items) == 500
    again = [read(item.record.value or b"", Signal) for item in told(500, seed=3)]
    seen: set[str] = set()
    for item, repeat in zip(items, again, strict=True):
        signal = read(item.record.value or b"", Signal)
        assert (signal.id, signal.event_id, signal.terms) == (item.id, repeat.event_id, repeat.terms)
        name, _, number = signal.id.partition("-")
        assert signal.breaking.flag or number != "0"
        assert number == "0" or signal.id in seen or f"{name}-{int(number) - 1}" in seen
        seen.add(signal.id)
    assert len(seen) < 500, "some come again"
