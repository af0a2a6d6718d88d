"""Stories and alerts on a real broker: one alert a story, whatever happens to the worker, and a way to take it back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stream.classify import ClassifyStage, load_model
from stream.records import Alert, Feedback, Place, Story, encode, read
from stream.records import Record as KafkaRecord
from stream.settings import Settings
from tests.kafka_client import Record, Topics, consume_all, produce
from tests.worker_process import WorkerProcess, environment, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kafka_server import KafkaServer

QUAKE = "Strong earthquake shakes the coast of Aldoria, buildings collapse in Port Selm"
TOLD_AGAIN = "Buildings collapse in Port Selm as a strong earthquake shakes the coast of Aldoria"


def article(id: str, title: str = QUAKE, source: str = "one.example", **fields: object) -> Record:
    told = {"id": id, "title": title, "source": source, **fields}
    return Record(json.dumps(told).encode(), key=f"{source}/{id}".encode())


def alerts(kafka: KafkaServer, topics: Topics) -> list[Alert]:
    return [read(record.value or b"", Alert) for record in consume_all(kafka.address, topics.alerts)]


def kinds(kafka: KafkaServer, topics: Topics) -> list[tuple[str, int]]:
    return [(alert.kind, alert.revision) for alert in alerts(kafka, topics)]


def stories(kafka: KafkaServer, topics: Topics) -> list[Story]:
    """The newest state of each."""
    found = [read(record.value or b"", Story) for record in consume_all(kafka.address, topics.stories)]
    return list({story.story_id: story for story in found}.values())


def test_one_story_from_the_first_flash_to_its_withdrawal(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    env = environment(kafka.address, topics)
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with WorkerProcess(tmp_path, env).wait_ready() as worker:
        produce(kafka.address, topics.raw, [article("1", "BREAKING: " + QUAKE)._replace(headers=(trace,))])
        wait_for("alert", lambda: kinds(kafka, topics) == [("opened", 1)])
        produce(kafka.address, topics.raw, [article("7", TOLD_AGAIN, "two.example")])
        wait_for("update", lambda: kinds(kafka, topics)[1:] == [("updated", 2)])
        assert worker.stop() == 0
    # What follows is told by another process, which knows the story from its topic.
    with WorkerProcess(tmp_path, env).wait_ready() as worker:
        produce(kafka.address, topics.raw, [article("7", TOLD_AGAIN, "three.example")])
        wait_for("confirmation", lambda: kinds(kafka, topics)[2:] == [("confirmed", 3)])
        opened, _, confirmed = alerts(kafka, topics)
        assert opened.alert_id == confirmed.alert_id
        assert confirmed.outlets == ["one.example", "two.example", "three.example"]
        assert [bool(a.shared) for a in confirmed.articles] == [False, True, True]
        assert confirmed.articles[0].traceparent == trace[1].decode()
        word = Feedback(alert_id=opened.alert_id, withdraw=True, by="desk")
        produce(kafka.address, topics.feedback, [Record(encode(word), key=b"k"), Record(b"{}"), Record(b"\xff")])
        wait_for("retraction", lambda: kinds(kafka, topics)[3:] == [("retracted", 4)])
        wait_for("feedback", lambda: worker.metric("ajil_feedback_total", result="invalid") == 1)
        wait_for("it counts", lambda: worker.metric("ajil_feedback_breaking_total", said="true", result="wrong") == 1)
        assert worker.metric("ajil_stories_open") == 1
        assert worker.metric("ajil_alert_age_seconds_count", since="ingested") == 1
        assert worker.stop() == 0
    (story,) = stories(kafka, topics)
    assert story.retracted_at is not None
    assert alerts(kafka, topics)[-1].reasons == ["withdrawn"]


def test_an_outlet_takes_its_flash_back_without_a_word_of_text(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    flash = "عاجل: زلزال قوي يضرب ساحل الدوريا وانهيار مبان في ميناء سلم"
    notice = Record(
        json.dumps({"id": "1", "source": "one.example", "pubstatus": "canceled"}).encode(), key=b"one.example/1"
    )
    with WorkerProcess(tmp_path, environment(kafka.address, topics)).wait_ready() as worker:
        produce(kafka.address, topics.raw, [article("1", flash), notice])
        wait_for("retraction", lambda: kinds(kafka, topics) == [("opened", 1), ("retracted", 2)])
        assert worker.stop() == 0


def test_a_quiet_worker_still_sends_the_summary_of_what_it_held_back(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    events = ["Paper mill burns at Orvik", "Bus drivers strike", "Lakeside bank fails", "Ferry sinks", "Mayor resigns"]
    noise = [article(str(n), f"BREAKING: {event}") for n, event in enumerate(events)]
    env = environment(kafka.address, topics, alerts_per_source_per_minute=1)
    with WorkerProcess(tmp_path, env).wait_ready() as worker:
        produce(kafka.address, topics.raw, noise)
        wait_for("stories", lambda: len(stories(kafka, topics)) == 5)
        assert worker.metric("ajil_alerts_held_back_total", limit="source") == 3
        wait_for("summary", lambda: "summary" in dict(kinds(kafka, topics)), 90)
        assert worker.stop() == 0
    (summary,) = (alert for alert in alerts(kafka, topics) if alert.kind == "summary")
    assert len(summary.held_back) == 3
    assert sum(story.summarised for story in stories(kafka, topics)) == 3


def test_a_signal_that_the_agent_always_fails_on_is_found_and_holds_up_no_other(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    stage = ClassifyStage(load_model(Settings()), Settings(topic_signals=topics.signals))
    articles = [article("1", "BREAKING: Mayor resigns"), article("2", "poison"), article("3", "BREAKING: Ferry sinks")]
    place, now = Place("raw", 0, 0), datetime.now(UTC)
    raw = [KafkaRecord(place._replace(offset=n), now, None, a.value, ()) for n, a in enumerate(articles)]
    signals = [output for output in stage(raw).outputs if output.topic == topics.signals]
    produce(kafka.address, topics.signals, [Record(output.value, key=b"en") for output in signals])
    env = environment(kafka.address, topics, batch_size=4, instance_id="slot-1", session_timeout=6)
    for _ in range(12):
        with WorkerProcess(tmp_path, env, module="tests.broker.raising_worker") as worker:
            wait_for("the end", lambda w=worker: w.process.poll() is not None or len(alerts(kafka, topics)) == 2)
            if worker.process.poll() is None:
                assert worker.logged("a signal that kills the worker; passed over")
                assert worker.stop() == 0
                return
    raise AssertionError("the signal was not found")
