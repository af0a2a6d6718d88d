"""The demo: its articles, what it shows of them, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Self

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.cells import cell_len
from rich.console import Console

from stream.demo.articles import DemoArticle, Expectation, load
from stream.demo.play import DemoFailed, play
from stream.demo.process import Process
from stream.demo.screen import Row, alert_row, enriched_row, line, rejected_row, table
from stream.embedded import EmbeddedBroker
from stream.errors import Reason, Rejection
from stream.records import (
    Alert,
    Breaking,
    EnrichedArticle,
    ModelRef,
    Place,
    Record,
    Topic,
    encode,
    rejected_headers,
)
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
TOPICS = {
    "politics",
    "economy",
    "sport",
    "arts_culture_entertainment",
    "science_technology",
    "health",
    "religion",
}


def enriched(expect: Expectation, title: str = "A title", lang: str = "en") -> EnrichedArticle:
    """What a worker that is always right would say."""
    reason = expect.reason or (None if expect.topic else "low_confidence")
    freshness = expect.freshness or "fresh"
    assert freshness in ("fresh", "stale", "unknown")
    return EnrichedArticle(
        event_id="e",
        id="1",
        url=None,
        source="example.org",
        title=title,
        lang=lang,
        published_at=NOW,
        ingested_at=NOW,
        enriched_at=NOW,
        topic=Topic(expect.topic, None, 0.97, reason, []),
        breaking=Breaking(expect.breaking, 0.5, ["marker"] if expect.breaking else [], freshness),
        explanation=[],
        section=None,
        urgency=None,
        pubstatus=None,
        version=None,
        model=ModelRef("en", "1"),
    )


def alert(title: str = "A title") -> Alert:
    return Alert(
        alert_id="a",
        revision=1,
        kind="opened",
        story_id="s",
        title=title,
        lang="ar",
        topic="politics",
        reasons=["marker"],
        articles=[],
        article_count=0,
        outlets=["one.example.org", "two.example.org"],
        published_at=NOW,
        ingested_at=NOW,
        alerted_at=NOW,
    )


# The articles


def test_there_are_articles_of_every_topic_and_language() -> None:
    articles = load()
    kinds = Counter((article.key[:2], article.expect.topic) for article in articles)
    assert len(articles) >= 44
    assert len({article.key for article in articles}) == len(articles)
    for topic in TOPICS:
        assert kinds["ar", topic] >= 2, topic
        assert kinds["en", topic] >= 1, topic
        assert kinds["fr", topic] >= 1, topic
    assert {article.expect.topic for article in articles} - {None} == TOPICS


def test_there_are_flashes_traps_a_stale_flash_and_input_that_is_rejected() -> None:
    expect = {article.key: article.expect for article in load()}
    assert {key[:2] for key, told in expect.items() if told.breaking} == {"ar", "en", "fr"}
    assert {key[:2] for key, told in expect.items() if "-trap-" in key and not told.breaking} == {"ar", "en", "fr"}
    assert any(told.freshness == "stale" and not told.breaking for told in expect.values())
    assert {told.rejected for told in expect.values()} >= {
        Reason.INVALID_JSON,
        Reason.UNDECODABLE,
        Reason.EMPTY,
        Reason.NOT_AN_OBJECT,
        Reason.INVALID_FIELD,
        Reason.NO_TEXT,
    }
    assert {told.reason for told in expect.values()} >= {"language_unsupported", "too_short"}


def test_pages_and_another_charset_are_among_them() -> None:
    articles = {article.key: article for article in load()}
    assert b"<nav>" in articles["ar-html-page"].value(NOW)
    assert articles["ar-scrape-page"].value(NOW).decode().rstrip().endswith("خبر عاجل")
    arabic = articles["ar-windows-1256"]
    assert ("content-type", b"text/plain; charset=windows-1256") in arabic.kafka_headers()
    assert "المسرح" in arabic.value(NOW).decode("windows-1256")
    with pytest.raises(UnicodeDecodeError):
        articles["bad-utf8"].value(NOW).decode()


def test_an_article_is_dated_back_from_the_moment_it_is_sent() -> None:
    sent = {article.key: msgspec.json.decode(article.value(NOW)) for article in load() if article.article}
    assert sent["ar-stale-flash"]["published_at"] == "2026-02-27T12:30:00Z"
    assert "published_at" not in sent["en-no-date"]
    for article in load():
        if article.published_ago is not None:
            assert article.article is not None, f"{article.key}: only an article can be dated"
            assert timedelta(seconds=article.published_ago) >= timedelta(0)


def test_every_outlet_is_invented() -> None:
    for article in load():
        if article.article and article.article.get("source"):
            assert article.article["source"].endswith((".example.org", ".example.com", ".example.net")), article.key
            assert article.article["id"] == article.key


# What counts as expected


@pytest.mark.parametrize(
    ("expect", "outcome", "missed"),
    [
        (Expectation(topic="sport"), Expectation(topic="sport"), None),
        (Expectation(topic="sport"), Expectation(topic="health"), "topic health; expected sport"),
        (Expectation(topic="sport"), Expectation(), "topic none (low_confidence); expected sport"),
        (Expectation(topic="sport", may_abstain=True), Expectation(), None),
        (Expectation(topic="sport", may_abstain=True), Expectation(topic="health"), "topic health; expected sport"),
        (Expectation(reason="too_short"), Expectation(), "no topic because low_confidence; expected too_short"),
        (Expectation(breaking=True), Expectation(), "not breaking; expected breaking"),
        (Expectation(), Expectation(breaking=True), "breaking; expected not"),
        (Expectation(freshness="stale"), Expectation(), "fresh; expected stale"),
        (Expectation(rejected=Reason.EMPTY), Expectation(), "classified; expected rejected: empty"),
    ],
)
def test_an_outcome_is_compared_with_what_was_expected(
    expect: Expectation, outcome: Expectation, missed: str | None
) -> None:
    assert expect.missed(enriched(outcome)) == missed


# What is shown


def test_plain_lines() -> None:
    flash = enriched_row(enriched(Expectation(topic="politics", breaking=True), "عاجل: خبر", "ar"), NOW, None)
    told = {
        "enriched": enriched_row(enriched(Expectation(topic="sport")), NOW, "topic sport; expected health"),
        "none": enriched_row(enriched(Expectation(reason="too_short")), NOW, None),
        "flash": flash,
        "rejected": rejected_row("bad-json", Reason.INVALID_JSON, "the value is not JSON", NOW, None),
        "alert": alert_row(alert("عاجل: خبر"), NOW),
    }
    assert [" ".join(line(row).split()) for row in told.values()] == [
        "12:30:00 en 0.97 sport A title [not as expected: topic sport; expected health]",
        "12:30:00 en none: too_short A title",
        "12:30:00 ar 0.97 politics yes: marker \u2068عاجل: خبر\u2069",
        "12:30:00 - rejected: invalid_json bad-json: the value is not JSON",
        "12:30:00 ar ALERT opened, 2 outlets marker \u2068عاجل: خبر\u2069",
    ]


def test_a_stale_marker_is_shown_as_the_reason_why_not() -> None:
    article = enriched(Expectation(topic="politics"))
    article = msgspec.structs.replace(article, breaking=Breaking(False, 0.9, ["marker"], "stale"))
    assert enriched_row(article, NOW, None).urgency == "no: stale marker"


ATTACK = "\x1b[2J\x1b]0;owned\x07عاجل\u202e \n\r" + "x" * 300


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_table_rows_take_one_line_each_whatever_their_titles_hold(width: int) -> None:
    rows = [
        enriched_row(enriched(Expectation(topic="arts_culture_entertainment"), ATTACK, "ar"), NOW, "wrong"),
        rejected_row(ATTACK, Reason.UNSUPPORTED_CONTENT_TYPE, ATTACK, NOW, None),
        alert_row(alert(ATTACK), NOW),
    ]
    out = StringIO()
    Console(file=out, width=width).print(table(rows, width))
    lines = out.getvalue().splitlines()
    assert len(lines) == 1 + len(rows)
    assert all(cell_len(text) <= width for text in lines)
    assert "✗" in lines[1]
    assert not [c for c in out.getvalue() if unicodedata.category(c) == "Cc" and c != "\n"]


def test_plain_lines_hold_no_control_codes() -> None:
    shown = line(alert_row(alert(ATTACK), NOW))
    assert not [c for c in shown if unicodedata.category(c) == "Cc"]


# The run


class Rows(list[Row]):
    """A screen that keeps what it is shown."""

    told: list[str]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, row: Row) -> None:
        self.append(row)

    def status(self, text: str) -> None:
        pass

    def tell(self, text: str) -> None:
        self.told.append(text)


class AlwaysRight:
    """A worker in a thread that answers every article as expected, one alert for each that is breaking."""

    def __init__(self, settings: Settings, articles: list[DemoArticle]) -> None:
        self._settings = settings
        self._articles = {article.key.encode(): article for article in articles}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def failure(self) -> str | None:
        return None

    def _work(self) -> None:
        brokers = {"bootstrap.servers": self._settings.brokers}
        consumer, producer = Consumer(brokers | {"group.id": "fake"}), Producer(brokers)
        consumer.assign([TopicPartition(self._settings.topic_raw, number, 0) for number in range(4)])
        while not self._stop.is_set():
            for message in consumer.consume(100, 0.05):
                key = message.key()
                expect = self._articles[key].expect
                if expect.rejected:
                    place = Place(message.topic(), message.partition(), message.offset())
                    record = Record(place, datetime.now(UTC), key, message.value(), [])
                    headers = rejected_headers(record, Rejection(expect.rejected, "no"))
                    producer.produce(self._settings.topic_rejected, message.value(), key, headers=headers)
                    continue
                producer.produce(self._settings.topic_enriched, encode(enriched(expect)), key)
                if expect.breaking:
                    producer.produce(self._settings.topic_alerts, encode(alert()), b"s")
            producer.flush()
        consumer.close()


class Silent:
    """A worker that never answers; `failed` is how it ended."""

    def __init__(self, failed: str | None = None) -> None:
        self._failed = failed

    def failure(self) -> str | None:
        return self._failed


@pytest.fixture
def settings() -> Iterator[Settings]:
    names = Settings()
    with EmbeddedBroker([names.topic_raw, names.topic_enriched, names.topic_rejected, names.topic_alerts]) as broker:
        yield Settings(brokers=broker.brokers)


def never() -> bool:
    return False


def test_once_ends_when_every_article_came_out_and_counts_them(settings: Settings) -> None:
    articles = load()
    rows = Rows()
    with AlwaysRight(settings, articles) as worker:
        tally = play(
            articles,
            settings,
            rows,
            worker,
            once=True,
            interval=0,
            stopped=never,
            started=time.monotonic(),
        )
    rejected = sum(article.expect.rejected is not None for article in articles)
    breaking = sum(article.expect.breaking for article in articles)
    assert (tally.fed, tally.classified, tally.rejected) == (len(articles), len(articles) - rejected, rejected)
    assert (tally.breaking, tally.alerts) == (breaking, breaking)
    assert set(tally.verdicts.values()) == {None}
    assert Counter(row.kind for row in rows) == {
        "enriched": len(articles) - rejected - breaking,
        "breaking": breaking,
        "rejected": rejected,
        "alert": breaking,
    }


def test_without_once_it_feeds_round_and_round_until_stopped(settings: Settings) -> None:
    articles = load()[:3]
    rows = Rows()
    with AlwaysRight(settings, articles) as worker:
        tally = play(
            articles,
            settings,
            rows,
            worker,
            once=False,
            interval=0,
            stopped=lambda: len(rows) >= 7,
            started=time.monotonic(),
        )
    assert tally.fed >= 7
    assert len(tally.verdicts) == 3


def test_a_worker_that_ended_is_told(settings: Settings) -> None:
    with pytest.raises(DemoFailed, match="the worker ended with exit code 5"):
        play(
            load(),
            settings,
            Rows(),
            Silent("the worker ended with exit code 5"),
            once=False,
            interval=0,
            stopped=never,
            started=0,
        )


def test_articles_that_do_not_come_out_are_named(settings: Settings) -> None:
    articles = load()[:2]
    with pytest.raises(DemoFailed, match=f"missing: .*{articles[0].key}"):
        play(
            articles,
            settings,
            Rows(),
            Silent(),
            once=True,
            interval=0,
            stopped=never,
            started=0,
            patience=0.5,
        )


def test_once_that_is_stopped_early_is_a_failure(settings: Settings) -> None:
    with pytest.raises(DemoFailed, match="stopped with"):
        play(
            load(),
            settings,
            Rows(),
            Silent(),
            once=True,
            interval=0,
            stopped=lambda: True,
            started=0,
        )


OBEDIENT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("stopped in order", flush=True), sys.exit(0)))
print("ready", flush=True)
time.sleep(600)
"""


def test_the_worker_is_stopped_by_sigterm_and_its_log_removed() -> None:
    with Process("the worker", (sys.executable, "-c", OBEDIENT), os.environ) as worker:
        while worker.log_tail() != ["ready"]:
            time.sleep(0.02)
        assert worker.failure() is None
    assert worker.failure() == "the worker ended with exit code 0"
    assert not worker.log.exists()


def test_the_log_of_a_worker_that_failed_is_kept_and_harmless() -> None:
    crash = r"import sys; print('one'); sys.exit('\x1b[2Jno model')"
    with (
        suppress(DemoFailed),
        Process("the worker", (sys.executable, "-c", crash), os.environ) as worker,
    ):
        while worker.failure() is None:
            time.sleep(0.02)
        assert worker.failure() == "the worker ended with exit code 1"
        assert sorted(worker.log_tail()) == ["[2Jno model", "one"]
        raise DemoFailed("as run.py does")
    assert worker.log.exists()
    worker.log.unlink()


def demo(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "demo", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # Settings that speak of another Kafka must not reach the demo's worker.
        env=os.environ | {"AJIL_BROKERS": "127.0.0.1:1", "AJIL_TOPIC_RAW": "another", "PYTHONUTF8": "1"},
    )


def test_the_command_shows_every_article_once_and_ends_with_zero() -> None:
    process = demo("--once", "--interval", "0.05")
    out, error = process.communicate()
    assert process.returncode == 0, error
    articles = len(load())
    assert f"{articles} fed" in out
    assert f"of {articles} articles came out as expected" in out
    assert "ALERT opened" in out
    assert "rejected: undecodable" in out
    assert "What to try next" in out
    assert not [c for c in out if unicodedata.category(c) == "Cc" and c != "\n"]


def test_ctrl_c_ends_the_command_in_order() -> None:
    process = demo()
    assert process.stdout is not None
    shown = []
    for text in process.stdout:
        shown.append(text)
        if " sport " in text:
            break
    process.send_signal(signal.SIGINT)
    out, error = process.communicate()
    assert process.returncode == 0, (shown, error)
    assert "came out as expected" in out
    assert error == ""
