"""The life of a story: what is alerted, what is revised, taken back, held back, closed and restored."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from models.breaking import WINDOW
from models.keyterms import key_terms
from stream.alerts import AlertStage
from stream.records import (
    Alert,
    Breaking,
    Headers,
    HeldBack,
    Place,
    Record,
    Signal,
    Story,
    StoryTerm,
    Withdrawal,
    encode,
    read,
)
from stream.settings import Settings
from stream.stories import LIFETIME, Stories, Told, life
from stream.stories.story import MAX_ARTICLES, MAX_URL
from tests.stream.fake_kafka import FakeMessage

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
QUAKE = "Strong earthquake shakes the coast of Aldoria, buildings collapse in Port Selm"
AGAIN = "Buildings collapse in Port Selm as a strong earthquake shakes the coast of Aldoria"
MEGABYTE = 1_000_000
"""What a topic takes by default, its framing left out."""
VOTE = "Parliament of Norvia passes the budget after a night of talks on pensions"


def signal(
    title: str | None = QUAKE,
    *,
    id: str = "1",
    source: str | None = "one.example",
    flag: bool = True,
    event: str | None = None,
    at: datetime = NOW,
    version: str | None = None,
    pubstatus: str | None = None,
    lang: str = "en",
) -> Signal:
    return Signal(
        event_id=event or f"event-{source}-{id}-{version}-{pubstatus}-{title}",
        id=id,
        url=None,
        source=source,
        title=title,
        lang=lang,
        published_at=at,
        ingested_at=at,
        topic="politics",
        breaking=Breaking(flag, 1.0, ["marker"] if flag else [], "fresh"),
        pubstatus=pubstatus,
        version=version,
        terms=[StoryTerm(*term) for term in key_terms(title, "", {})],
    )


@dataclass
class Wire:
    """What a subscriber and the stories topic would hold, and a clock that follows the signals."""

    stories: Stories = field(default_factory=lambda: Stories(Settings()))
    alerts: list[Alert] = field(default_factory=list)
    topic: dict[str, Story] = field(default_factory=dict)

    def tell(self, *signals: Signal) -> Told:
        told = Told({}, [], [])
        for one in signals:
            told = self.heard(self.stories.tell(one, one.ingested_at))
        return told

    def heard(self, told: Told) -> Told:
        self.alerts += told.alerts
        for story in told.stories.values():
            # As it comes back from Kafka.
            self.topic[story.story_id] = read(encode(story), Story)
        return told

    def restarted(self) -> "Wire":
        other = Wire(alerts=self.alerts, topic=self.topic)
        other.stories.restore(sorted(self.topic.values(), key=lambda story: story.updated_at))
        return other

    @property
    def kinds(self) -> list[tuple[str, int]]:
        return [(alert.kind, alert.revision) for alert in self.alerts]


def test_a_breaking_article_opens_a_story_and_its_alert() -> None:
    wire = Wire()
    wire.tell(signal())
    (alert,), (story,) = wire.alerts, wire.topic.values()
    assert (alert.kind, alert.revision, alert.title, alert.reasons) == ("opened", 1, QUAKE, ["marker"])
    assert alert.outlets == ["one.example"]
    assert (alert.story_id, alert.alert_id) == (story.story_id, story.alert_id)
    assert alert.alert_id.startswith("en-")
    assert (story.state, story.revision, story.alerted_at) == ("open", 1, NOW)
    assert story.memory is not None


def test_the_same_event_gives_the_same_ids() -> None:
    first, second = Wire(), Wire()
    first.tell(signal())
    second.tell(signal(VOTE, id="9", source="two.example"), signal(at=NOW + timedelta(hours=1)))
    assert first.alerts[0].alert_id == second.alerts[1].alert_id


def test_an_article_that_is_no_news_is_a_story_without_alert() -> None:
    wire = Wire()
    wire.tell(signal(flag=False))
    assert wire.alerts == []
    assert [story.revision for story in wire.topic.values()] == [0]


def test_outlets_meet_in_one_story_which_is_updated_then_confirmed_and_says_why() -> None:
    wire = Wire()
    wire.tell(
        signal(),
        signal(AGAIN, source="two.example", flag=False),
        signal(QUAKE, source="www.Two.example", id="2", flag=False),
        signal(AGAIN, source="three.example", flag=False),
        signal(AGAIN, source="four.example", flag=False),
    )
    assert wire.kinds == [("opened", 1), ("updated", 2), ("confirmed", 3), ("updated", 4)]
    assert len({alert.alert_id for alert in wire.alerts}) == 1
    last = wire.alerts[-1]
    assert last.outlets == ["one.example", "two.example", "three.example", "four.example"]
    assert [article.similarity is None for article in last.articles] == [True, False, False, False, False]
    assert {"earthquake", "Aldoria"} & set(last.articles[1].shared)
    (story,) = wire.topic.values()
    assert (story.article_count, story.confirmed_at) == (5, NOW)


def test_a_story_becomes_breaking_later_and_takes_the_flash_as_its_title() -> None:
    wire = Wire()
    wire.tell(signal(AGAIN, flag=False), signal(QUAKE, source="two.example"))
    assert wire.kinds == [("opened", 1)]
    assert wire.alerts[0].title == QUAKE
    assert len(wire.topic) == 1


def test_a_story_that_breaks_with_its_third_outlet_is_opened_and_confirmed() -> None:
    wire = Wire()
    wire.tell(signal(flag=False), signal(source="two.example", flag=False), signal(source="three.example"))
    assert wire.kinds == [("opened", 1), ("confirmed", 2)]


def test_other_events_and_other_languages_are_other_stories() -> None:
    wire = Wire()
    wire.tell(signal(), signal(VOTE, id="2"), signal(QUAKE, id="3", lang="fr"))
    assert wire.kinds == [("opened", 1)] * 3
    assert len(wire.topic) == 3


def test_a_repeat_changes_nothing() -> None:
    wire = Wire()
    wire.tell(signal(event="e1"))
    told = wire.tell(signal(event="e1"))
    again = wire.tell(signal(event="e2"))
    assert told == again == Told({}, [], [])


def test_a_repeat_of_what_came_before_the_newest_reading_changes_nothing() -> None:
    wire = Wire()
    batch = [signal(event="e1"), signal(QUAKE + ", nine dead", event="e2", at=NOW + timedelta(seconds=1))]
    wire.tell(*batch, *batch)
    assert wire.kinds == [("opened", 1), ("updated", 2)]


@pytest.mark.parametrize("version", [None, "2"])
def test_the_same_title_again_breaks_the_story_when_it_is_breaking_now(version: str | None) -> None:
    wire = Wire()
    wire.tell(signal(flag=False, event="e1"), signal(event="e2", version=version))
    assert wire.kinds == [("opened", 1)]
    assert len(wire.topic) == 1


def test_a_first_version_updates_what_had_none() -> None:
    wire = Wire()
    wire.tell(signal(event="e1"), signal(event="e2", version="1"), signal(event="e1"))
    assert wire.kinds == [("opened", 1), ("updated", 2)]


def test_an_empty_source_is_none() -> None:
    wire = Wire()
    wire.tell(signal(source=""), signal(source=None, event="e2"))
    assert wire.kinds == [("opened", 1)]
    assert [story.article_count for story in wire.topic.values()] == [1]


@pytest.mark.parametrize(("version", "kinds"), [("10", 2), ("8", 1), ("9", 1)])
def test_a_higher_version_updates_its_story_and_a_lower_one_does_not(version: str, kinds: int) -> None:
    wire = Wire()
    wire.tell(signal(version="9"), signal("Something else altogether about trams", version=version, event="e2"))
    assert wire.kinds == [("opened", 1), ("updated", 2)][:kinds]
    assert len(wire.topic) == 1


def test_an_old_version_that_is_canceled_late_retracts_nothing() -> None:
    wire = Wire()
    wire.tell(signal(version="2"), signal(version="1", pubstatus="canceled"))
    assert wire.kinds == [("opened", 1)]


def test_a_new_version_may_be_what_breaks_the_story() -> None:
    wire = Wire()
    wire.tell(signal(flag=False, version="1"), signal(version="2"))
    assert wire.kinds == [("opened", 1)]


def test_the_ids_of_two_outlets_may_be_the_same() -> None:
    wire = Wire()
    wire.tell(signal(id="7"), signal(VOTE, id="7", source="two.example"))
    assert wire.kinds == [("opened", 1), ("opened", 1)]


@pytest.mark.parametrize("pubstatus", ["canceled", "withheld"])
def test_an_article_taken_back_retracts_its_alert(pubstatus: str) -> None:
    wire = Wire()
    wire.tell(signal(), signal(None, pubstatus=pubstatus, flag=False))
    assert wire.kinds == [("opened", 1), ("retracted", 2)]
    assert wire.alerts[1].reasons == [pubstatus]
    assert wire.alerts[1].articles[0].pubstatus == pubstatus
    (story,) = wire.topic.values()
    assert (story.state, story.memory) == ("closed", None)
    # It comes again, late or by mistake: the same version stays taken back.
    assert wire.tell(signal(event="late", version=None)).alerts == []
    # Another outlet tells it after all: news, and a story of its own.
    wire.tell(signal(source="two.example"))
    assert wire.kinds[2:] == [("opened", 1)]
    assert wire.alerts[2].alert_id != wire.alerts[1].alert_id


def test_an_article_released_again_is_news_again() -> None:
    wire = Wire()
    wire.tell(signal(version="1"), signal(version="2", pubstatus="withheld"), signal(version="3", pubstatus="usable"))
    assert wire.kinds == [("opened", 1), ("retracted", 2), ("opened", 1)]


@pytest.mark.parametrize("restart", [False, True])
def test_an_article_released_again_stays_in_its_new_story(restart: bool) -> None:
    wire = Wire()
    released = signal(version="3", at=NOW + timedelta(seconds=1))
    wire.tell(
        signal(version="1"),
        signal(AGAIN, id="2", source="two.example", flag=False),
        signal(version="2", pubstatus="withheld"),
        released,
        # The closed story changes once more.
        signal(AGAIN, id="2", source="two.example", pubstatus="canceled", at=NOW + timedelta(seconds=2)),
    )
    if restart:
        wire = wire.restarted()
    before = len(wire.alerts)
    assert wire.tell(released) == Told({}, [], [])
    assert len(wire.alerts) == before
    assert wire.tell(signal(version="4", pubstatus="canceled")).alerts[0].alert_id == wire.alerts[before - 1].alert_id


def test_an_alert_that_others_bear_out_is_updated_not_retracted() -> None:
    wire = Wire()
    wire.tell(signal(), signal(AGAIN, source="two.example"), signal(pubstatus="canceled"))
    assert wire.kinds == [("opened", 1), ("updated", 2), ("updated", 3)]
    assert wire.alerts[-1].outlets == ["two.example"]


def test_an_unknown_article_that_is_canceled_opens_nothing() -> None:
    wire = Wire()
    assert wire.tell(signal(pubstatus="canceled")) == Told({}, [], [])


def test_an_editor_withdraws_an_alert_and_its_echoes_stay_quiet() -> None:
    wire = Wire()
    wire.tell(signal())
    alert_id = wire.alerts[0].alert_id
    word = Withdrawal(alert_id=alert_id, by="desk", note=None, given_at=NOW)
    wire.heard(wire.stories.withdraw(word, NOW))
    assert wire.kinds == [("opened", 1), ("retracted", 2)]
    assert wire.alerts[1].reasons == ["withdrawn"]
    wire = wire.restarted()
    wire.tell(signal(AGAIN, source="two.example"), signal(AGAIN, source="three.example"))
    wire.heard(wire.stories.withdraw(word, NOW))
    assert len(wire.alerts) == 2


def test_to_withdraw_what_is_unknown_or_was_never_alerted_does_nothing() -> None:
    wire = Wire()
    wire.tell(signal(flag=False))
    for name in ("en-" + "0" * 32, *wire.topic):
        told = wire.stories.withdraw(Withdrawal(alert_id=name, by=None, note=None, given_at=NOW), NOW)
        assert told == Told({}, [], [])


def quiet() -> Settings:
    return Settings(alerts_per_source_per_minute=1, alerts_per_minute=100)  # bursts of two


def events(count: int, source: str, first: int = 0) -> list[Signal]:
    """Signals of different events: no two share a word."""
    return [
        signal(" ".join(f"{chr(97 + n % 26)}{n // 26}word{w}" for w in range(6)), id=f"{source}{n}", source=source)
        for n in range(first, first + count)
    ]


def test_a_noisy_outlet_is_held_back_told_in_a_summary_and_silences_nobody() -> None:
    wire = Wire(Stories(quiet()))
    noise = events(6, "noisy.example")
    for one in noise:
        held = wire.tell(one)
    assert wire.kinds == [("opened", 1)] * 2
    assert held.held_back == ["source"]
    wire.tell(signal(source="calm.example"))
    assert wire.kinds == [("opened", 1)] * 3
    assert wire.heard(wire.stories.tick(NOW + timedelta(seconds=59))).alerts == []
    wire.heard(wire.stories.tick(NOW + timedelta(seconds=60)))
    summary = wire.alerts[-1]
    assert summary.kind == "summary"
    assert [item.title for item in summary.held_back] == [one.title for one in noise[2:]]
    assert {item.source for item in summary.held_back} == {"noisy.example"}
    assert summary.story_id is None
    assert wire.heard(wire.stories.tick(NOW + timedelta(seconds=200))).alerts == []


def test_what_was_held_back_is_alerted_when_another_outlet_tells_it() -> None:
    wire = Wire(Stories(quiet()))
    wire.tell(*events(2, "noisy.example"), signal(source="noisy.example"))
    assert len(wire.alerts) == 2
    wire.tell(signal(AGAIN, source="calm.example", flag=False))
    assert wire.kinds[2:] == [("opened", 1)]
    assert wire.stories.tick(NOW + timedelta(minutes=5)).alerts == []


def test_what_was_held_back_is_no_alert_when_it_is_no_news_any_more() -> None:
    wire = Wire(Stories(quiet()))
    wire.tell(*events(2, "noisy.example"), signal(source="noisy.example"))
    wire.tell(signal(AGAIN, source="calm.example", flag=False, at=NOW + WINDOW))
    assert wire.kinds[2:] == [("summary", 1)]
    wire.tell(signal(AGAIN, source="third.example", at=NOW + WINDOW))
    assert wire.kinds[3:] == [("opened", 1), ("confirmed", 2)]


def test_a_restart_forgets_neither_what_waits_for_a_summary_nor_what_was_summarised() -> None:
    wire = Wire(Stories(quiet()))
    wire.tell(*events(4, "noisy.example"))
    wire = wire.restarted()
    wire.heard(wire.stories.tick(NOW + timedelta(minutes=2)))
    assert [len(alert.held_back) for alert in wire.alerts] == [0, 0, 2]
    assert wire.restarted().stories.tick(NOW + timedelta(minutes=9)).alerts == []


def test_an_outlet_whose_clock_was_ahead_is_not_silenced_by_a_restart() -> None:
    wire = Wire(Stories(quiet()))
    ahead = signal(source="ahead.example", flag=False, at=NOW + timedelta(days=300))
    wire.heard(wire.stories.tell(ahead, NOW))
    wire = Wire(Stories(quiet()), topic=wire.topic)
    wire.stories.restore(wire.topic.values())
    for n, one in enumerate(events(5, "ahead.example")):
        at = NOW + timedelta(minutes=n)
        wire.heard(wire.stories.tell(replace(one, ingested_at=at), at))
    assert wire.kinds == [("opened", 1)] * 5


def test_a_summary_never_grows_beyond_one_record() -> None:
    wire = Wire(Stories(quiet()))
    long = "\U0001f525" * 1000  # four bytes each
    wire.tell(*(replace(one, title=long) for one in events(life.SUMMARY_STORIES + 5, long)))
    summaries = [alert for alert in wire.alerts if alert.kind == "summary"]
    assert [len(alert.held_back) for alert in summaries] == [life.SUMMARY_STORIES]
    assert len(encode(summaries[0])) < MEGABYTE


def test_a_story_never_grows_beyond_one_record() -> None:
    wire = Wire()
    for n in range(MAX_ARTICLES + 2):
        title = (QUAKE if n % 2 else AGAIN) + " " + "\U0001f525" * 920
        name = f"{n:03}" + "\U0001f525" * 500
        url = "https://example.org/" + "\U0001f525" * (MAX_URL - 20)
        one = signal(title, id=name, source=4 * name, event=f"{n:064}", version="\U0001f525" * 200)
        wire.heard(wire.stories.tell(replace(one, url=url), NOW, "0" * 200))
    (story,) = wire.topic.values()
    assert len(story.articles) == MAX_ARTICLES
    assert max(len(encode(each)) for each in (story, *wire.alerts)) < MEGABYTE


def test_an_address_that_is_too_long_is_left_out() -> None:
    wire = Wire()
    wire.tell(replace(signal(), url="https://example.org/" + "x" * MAX_URL), replace(signal(VOTE, id="2"), url="u"))
    assert [alert.articles[0].url for alert in wire.alerts] == [None, "u"]


def test_a_silent_story_is_closed() -> None:
    wire = Wire()
    wire.tell(signal())
    late = NOW + LIFETIME
    wire.tell(signal(AGAIN, source="two.example", at=late))
    assert wire.kinds == [("opened", 1), ("opened", 1)]
    assert sorted(story.state for story in wire.topic.values()) == ["closed", "open"]
    assert len(wire.stories) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "MAX_STORIES", 20)
    wire = Wire()
    wire.tell(*events(30, "one.example"))
    assert len(wire.stories) == 20
    assert sum(story.state == "closed" for story in wire.topic.values()) == 10
    wire.tell(*(signal(AGAIN, id=f"{n}", source="two.example", flag=False) for n in range(MAX_ARTICLES + 20)))
    biggest = max(wire.topic.values(), key=lambda story: story.article_count)
    assert (len(biggest.articles), biggest.article_count) == (MAX_ARTICLES, MAX_ARTICLES + 20)
    assert [article.id for article in biggest.articles[:2]] == ["0", "1"]
    assert biggest.articles[-1].id == f"{MAX_ARTICLES + 19}"


def test_stories_taken_over_from_another_worker_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    wire.tell(*events(30, "one.example"))
    monkeypatch.setattr(life, "MAX_STORIES", 10)
    wire = wire.restarted()
    wire.tell(signal())
    assert len(wire.stories) == 10
    assert [story.state for story in wire.topic.values()].count("closed") == 21


def test_languages_are_bounded_and_every_story_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "MAX_LANGUAGES", 2)
    wire = Wire()
    wire.tell(*(signal(id=lang, lang=lang) for lang in ("en", "fr", "xa", "xb")))
    # "xa" and "xb" share what is left, and so one story.
    assert [alert.lang for alert in wire.alerts if alert.kind == "opened"] == ["en", "fr", "xa"]
    assert len(wire.restarted().stories) == 3


def test_a_restart_goes_on_where_it_was() -> None:
    told = [signal(), signal(VOTE, id="2"), signal(AGAIN, source="two.example", flag=False)]
    rest = [signal(AGAIN, source="three.example", flag=False), signal(VOTE, source="two.example", flag=False), signal()]
    steady, stopped = Wire(), Wire()
    steady.tell(*told, *rest)
    stopped.tell(*told)
    stopped = stopped.restarted()
    stopped.tell(*rest)
    assert stopped.alerts == steady.alerts
    assert stopped.topic == steady.topic


def test_an_article_without_words_is_a_story_of_its_own() -> None:
    wire = Wire()
    wire.tell(signal(None), signal(None, id="2"))
    assert wire.kinds == [("opened", 1)] * 2


def record(value: bytes | None, headers: Headers = (("traceparent", b"00-1"), ("other", b"x"))) -> Record:
    return Record(Place("news.signals", 0, 0), NOW, b"en", value, headers)


def test_the_stage_writes_story_and_alert_by_story_id() -> None:
    announced = AlertStage(Settings(), lambda: NOW)([record(encode(signal()))])
    story, alert = announced.outputs
    assert (story.topic, alert.topic) == ("news.stories", "news.alerts")
    assert story.key == alert.key == read(story.value or b"", Story).story_id.encode()
    assert ("traceparent", b"00-1") in alert.headers
    assert dict(alert.headers)["ce_id"] == f"{announced.alerts[0].alert_id}/1".encode()
    assert msgspec.json.decode(alert.value or b"", type=Alert) == announced.alerts[0]
    assert announced.alerts[0].articles[0].traceparent == "00-1"


def test_a_traceparent_that_is_too_long_is_left_out() -> None:
    long = [("traceparent", b"0" * 900_000)]
    announced = AlertStage(Settings(), lambda: NOW)([record(encode(signal()), long)])
    assert announced.alerts[0].articles[0].traceparent is None
    assert all("traceparent" not in dict(output.headers) for output in announced.outputs)


def test_the_stage_hears_withdrawals_and_time() -> None:
    clock = [NOW]
    stage = AlertStage(quiet(), lambda: clock[0])
    opened = stage([record(encode(one)) for one in events(3, "noisy.example")])
    word = Withdrawal(alert_id=opened.alerts[0].alert_id, by=None, note=None, given_at=NOW)
    assert [alert.kind for alert in stage([record(encode(word))]).alerts] == ["retracted"]
    clock[0] += timedelta(minutes=2)
    (summary,) = stage([]).alerts
    assert [type(item) for item in summary.held_back] == [HeldBack]
    assert stage([]).outputs == []


def test_a_worker_knows_and_closes_only_the_stories_that_are_told_to_it() -> None:
    """A copy of another worker's story grows old: to close it would close the story that the other goes on telling."""
    published = AlertStage(Settings(), lambda: NOW)(
        [record(encode(signal())), record(encode(signal(id="2", lang="fr")))]
    )
    stories = [FakeMessage(output.value, topic=output.topic) for output in published.outputs]
    other = AlertStage(Settings(), lambda: NOW + LIFETIME)
    other.restore([m for m in stories if m.topic() == "news.stories"], lambda lang: lang == "fr")
    assert len(other) == 1
    (closed,) = other([]).outputs
    assert read(closed.value or b"", Story).lang == "fr"


def test_a_stranger_on_the_stories_topic_stops_no_restore() -> None:
    story = AlertStage(Settings(), lambda: NOW)([record(encode(signal()))]).outputs[0].value or b""
    half = msgspec.json.encode({**msgspec.json.decode(story), "story_id": "x", "articles": 7})
    stage = AlertStage(Settings(), lambda: NOW)
    stage.restore([FakeMessage(value) for value in (b"{}", half, b"\xff", None, story)])  # type: ignore[misc]
    assert len(stage) == 1


def test_a_stranger_on_the_signals_topic_stops_nothing() -> None:
    stage = AlertStage(Settings(), lambda: NOW)
    announced = stage([record(None), record(b"{}"), record(b"\xff"), record(encode(signal()))])
    assert len(announced.alerts) == 1
