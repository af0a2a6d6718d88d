from datetime import UTC, datetime, timedelta

import msgspec

from stream import stories
from stream.alerts import AlertStage
from stream.records import Alert, Breaking, Place, Record, Signal, Story, encode, read
from stream.settings import Settings
from stream.stories import Stories

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def signal(
    title: str | None, *, id: str = "1", source: str = "example.org", lang: str = "ar", flag: bool = True
) -> Signal:
    return Signal(
        event_id=f"event-{id}-{source}",
        id=id,
        url=None,
        source=source,
        title=title,
        lang=lang,
        published_at=NOW,
        ingested_at=NOW,
        topic="politics",
        breaking=Breaking(flag, 1.0, ["marker"] if flag else [], "fresh"),
    )


def test_a_breaking_article_opens_a_story_with_one_alert() -> None:
    told = Stories().tell(signal("عاجل: البرلمان يقر الموازنة العامة"), NOW)
    assert told is not None
    assert told.alert is not None
    assert (told.alert.kind, told.alert.revision, told.alert.reasons) == ("opened", 1, ["marker"])
    assert told.alert.story_id == told.story.story_id
    assert told.alert.outlets == ["example.org"]


def test_an_article_that_is_not_breaking_opens_nothing() -> None:
    assert Stories().tell(signal("البرلمان يقر الموازنة", flag=False), NOW) is None


def test_a_title_that_is_nearly_the_same_joins_the_story_without_an_alert() -> None:
    told = Stories()
    told.tell(signal("عاجل: البرلمان يُقرّ الموازنة العامة للدولة"), NOW)
    again = told.tell(signal("البرلمان يقر الموازنة العامة للدولة", id="2", source="example.com"), NOW)
    assert again is not None
    assert again.alert is None
    assert [article.source for article in again.story.articles] == ["example.org", "example.com"]


def test_another_event_and_another_language_are_other_stories() -> None:
    told = Stories()
    first = told.tell(signal("زلزال قوي يضرب شمال البلاد"), NOW)
    other = told.tell(signal("حريق كبير في ميناء المدينة", id="2"), NOW)
    english = told.tell(signal("زلزال قوي يضرب شمال البلاد", id="3", lang="fa"), NOW)
    assert first is not None
    assert other is not None
    assert english is not None
    assert len({first.story.story_id, other.story.story_id, english.story.story_id}) == 3


def test_a_repeat_after_a_crash_tells_nothing_new() -> None:
    told = Stories()
    assert told.tell(signal("زلزال يضرب الساحل"), NOW) is not None
    assert told.tell(signal("زلزال يضرب الساحل"), NOW) is None


def test_ids_come_from_the_first_event() -> None:
    one, other = (Stories().tell(signal("زلزال يضرب الساحل"), NOW + timedelta(hours=n)) for n in range(2))
    assert one is not None
    assert other is not None
    assert one.story.story_id == other.story.story_id
    assert one.story.alert_id == other.story.alert_id


def test_a_story_ends_after_its_lifetime() -> None:
    told = Stories()
    told.tell(signal("زلزال يضرب الساحل"), NOW)
    later = told.tell(signal("زلزال يضرب الساحل", id="2"), NOW + stories.LIFETIME + timedelta(seconds=1))
    assert later is not None
    assert later.alert is not None


def test_memory_is_bounded() -> None:
    told = Stories()
    for n in range(stories.MAX_STORIES + 10):
        told.tell(signal(f"word{n}", id=str(n), lang=f"l{n}"), NOW)
    assert len(told) == stories.MAX_STORIES


def test_articles_of_a_story_are_bounded() -> None:
    told = Stories()
    for n in range(stories.MAX_ARTICLES + 5):
        last = told.tell(signal("زلزال يضرب الساحل", id=str(n)), NOW)
    assert last is not None
    assert len(last.story.articles) == stories.MAX_ARTICLES


def test_articles_without_title_are_stories_of_their_own() -> None:
    told = Stories()
    assert told.tell(signal(None), NOW) is not None
    second = told.tell(signal(None, id="2"), NOW)
    assert second is not None
    assert second.alert is not None


def test_restored_stories_are_known() -> None:
    before, after = Stories(), Stories()
    told = before.tell(signal("زلزال يضرب الساحل"), NOW)
    assert told is not None
    after.restore([read(encode(told.story), Story)])
    again = after.tell(signal("زلزال يضرب الساحل", id="2"), NOW)
    assert again is not None
    assert again.alert is None


def record(value: bytes | None) -> Record:
    return Record(Place("news.signals", 0, 0), NOW, b"ar", value, [("traceparent", b"00-1"), ("other", b"x")])


def test_the_stage_writes_story_and_alert_by_story_id() -> None:
    announced = AlertStage(Settings(), lambda: NOW)([record(encode(signal("زلزال يضرب الساحل")))])
    story, alert = announced.outputs
    assert (story.topic, alert.topic) == ("news.stories", "news.alerts")
    assert story.key == alert.key == read(story.value or b"", Story).story_id.encode()
    assert ("traceparent", b"00-1") in alert.headers
    assert dict(alert.headers)["ce_id"] == announced.alerts[0].alert_id.encode()
    assert msgspec.json.decode(alert.value or b"", type=Alert) == announced.alerts[0]


def test_a_stranger_on_the_signals_topic_stops_nothing() -> None:
    stage = AlertStage(Settings(), lambda: NOW)
    announced = stage([record(None), record(b"{}"), record(b"\xff"), record(encode(signal("زلزال يضرب الساحل")))])
    assert len(announced.alerts) == 1
