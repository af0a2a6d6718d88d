"""The worker on a real broker: nothing lost, bad records rejected as they came, clean stops."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from stream.lag import measure
from stream.records import EnrichedArticle, read, story_id
from stream.settings import Settings
from tests.exposition import lint
from tests.kafka_client import Record, Topics, consume_all, create_topic, produce
from tests.worker_process import WorkerProcess, environment, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kafka_server import KafkaServer

BODY = "The council met on Monday evening and voted on the budget for roads, schools and the new bridge. " * 3


def article(name: object, **fields: object) -> Record:
    told = {"id": str(name), "title": f"Council votes on plan {name}", "body": BODY, "source": "example.org"} | fields
    key = f"k{name % 50}" if isinstance(name, int) else str(name)
    return Record(json.dumps(told, ensure_ascii=False).encode(), key=key.encode())


def rejected_reason(record: Record) -> str:
    return (dict(record.headers)["__connect.errors.exception.class.name"] or b"").decode()


def enriched(kafka: KafkaServer, topics: Topics) -> list[tuple[Record, EnrichedArticle]]:
    return [(r, read(r.value or b"", EnrichedArticle)) for r in consume_all(kafka.address, topics.enriched)]


def done(kafka: KafkaServer, topics: Topics, count: int) -> bool:
    """Whether so many different raw records have come out as enriched or rejected."""
    events = {article.event_id for _, article in enriched(kafka, topics)}
    rejected = consume_all(kafka.address, topics.rejected)
    events |= {(dict(record.headers)["ajil.event-id"] or b"").decode() for record in rejected}
    return len(events) >= count


def wait_for_outputs(kafka: KafkaServer, topics: Topics, count: int) -> None:
    wait_for(f"{count} outputs", lambda: done(kafka, topics, count), 120)


def test_articles_flow_and_the_books_balance(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    records = [article(n) for n in range(300)]
    records.insert(100, Record(b"{broken", key=b"bad", headers=(("h", b"\xff"), ("n", None))))
    produce(kafka.address, topics.raw, records)
    with WorkerProcess(tmp_path, environment(kafka.address, topics)).wait_ready() as worker:
        wait_for_outputs(kafka, topics, 301)
        wait_for("commit", lambda: worker.metric("ajil_records_in_flight") == 0)
        assert worker.metric("ajil_records_consumed_total", agent="classify") == 301
        assert worker.metric("ajil_articles_enriched_total") == 300
        assert worker.metric("ajil_records_rejected_total", reason="invalid_json") == 1
        assert worker.metric("ajil_model_info") == 3
        wait_for("all agents", lambda: worker.metric("ajil_agent_ready") == 3)
        assert worker.metric("ajil_article_age_seconds_count", since="ingested") == 300
        assert worker.metric("ajil_topic_confidence_ratio_count", lang="en") == 300
        assert worker.metric("ajil_drift_psi", lang="en", feature="topic") > 1  # one topic alone
        lint(worker.get("/metrics")[1])
        wait_for("lag 0", lambda: worker.metric("ajil_consumer_lag_records", agent="classify") == 0)
        assert worker.get("/health/live")[0] == 200
        told = [line["difference"] for line in worker.logged("a topic is not as")]
        assert told
        assert len(told) == len(set(told)), "each agent tells of the topics of all"
        assert worker.stop() == 0
    # What was committed is not read again.
    with WorkerProcess(tmp_path, environment(kafka.address, topics)).wait_ready() as worker:
        wait_for("lag known", lambda: "ajil_consumer_lag_records{" in worker.get("/metrics")[1])
        assert worker.metric("ajil_consumer_lag_records", topic=topics.raw) == 0
        produce(kafka.address, topics.raw, [article(1000)])
        wait_for_outputs(kafka, topics, 302)
        assert worker.metric("ajil_records_consumed_total", agent="classify") == 1
        assert worker.stop() == 0
    found = enriched(kafka, topics)
    assert sorted(int(a.id) for _, a in found) == [*range(300), 1000]
    by_key: dict[bytes | None, list[int]] = {}
    for record, told in found:
        by_key.setdefault(record.key, []).append(int(told.id))
    assert all(ids == sorted(ids) for ids in by_key.values())
    (rejected,) = consume_all(kafka.address, topics.rejected)
    assert (rejected.key, rejected.value, rejected.headers[:2]) == (b"bad", b"{broken", (("h", b"\xff"), ("n", None)))
    assert len(consume_all(kafka.address, topics.signals)) == 301


def test_markers_of_transactions_are_no_lag(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    """A producer in transactions leaves one behind its last record, an aborted one leaves more; nothing waits."""
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": f"t.{topics.raw}"})
    producer.init_transactions(30)
    for number, end in enumerate((producer.commit_transaction, producer.abort_transaction)):
        producer.begin_transaction()
        record = article(number)
        producer.produce(topics.raw, value=record.value, key=record.key, partition=0)
        end(30)
    with WorkerProcess(tmp_path, environment(kafka.address, topics)).wait_ready() as worker:
        wait_for_outputs(kafka, topics, 1)
        raw = {"agent": "classify", "topic": topics.raw, "partition": "0"}
        wait_for("lag known", lambda: f'topic="{topics.raw}"' in worker.get("/metrics")[1])
        wait_for("lag 0", lambda: worker.metric("ajil_consumer_lag_records", **raw) == 0)
        assert worker.metric("ajil_records_lost_total") == 0
        assert worker.stop() == 0
    settings = Settings(brokers=kafka.address)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    told = measure(settings, admin, admin.list_topics(timeout=10), f"g.{topics.raw}", topics.raw)
    assert [partition.records for partition in told.partitions] == [0, 0, 0, 0]
    assert told.partitions[0].committed != told.partitions[0].end


POISON = {
    "null": (None, "empty"),
    "empty": (b"", "empty"),
    "white_space": (b" \r\n ", "empty"),
    "invalid_utf8": (b'{"title": "\xff\xfe"}', "undecodable"),
    "invalid_json": (b'{"title": ', "invalid_json"),
    "array": (b'[{"title": "a"}]', "not_an_object"),
    "no_text": (b'{"id": "7"}', "no_text"),
    "wrong_type": (b'{"title": {"a": 1}}', "invalid_field"),
    "deep": (b'{"title": "a", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "invalid_json"),
    "ten_megabytes": (b'{"title": "a", "body": "' + b"x" * 10_000_000 + b'"}', "too_large"),
}


def test_poison_is_rejected_byte_for_byte_and_the_next_record_is_not_affected(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    sent = []
    for number, (value, _) in enumerate(POISON.values()):
        key = None if value is None else b"\xff\xfe key"
        sent.append(Record(value, key=key, headers=(("traceparent", b"00-1"), ("odd", b"\xff\x00")), partition=0))
        sent.append(article(number)._replace(partition=0))
    placed = produce(kafka.address, topics.raw, sent)
    with WorkerProcess(tmp_path, environment(kafka.address, topics)).wait_ready() as worker:
        wait_for_outputs(kafka, topics, len(sent))
        assert worker.stop() == 0
    assert sorted(int(a.id) for _, a in enriched(kafka, topics)) == list(range(len(POISON)))
    rejected = {dict(r.headers)["__connect.errors.offset"]: r for r in consume_all(kafka.address, topics.rejected)}
    assert len(rejected) == len(POISON)
    for original, (name, (value, reason)) in zip(placed[::2], POISON.items(), strict=True):
        found = rejected[str(original.offset).encode()]
        assert rejected_reason(found) == reason, name
        assert found.value == value, name
        assert found.key == original.key, name
        assert found.headers[:2] == original.headers, name


FLOODS = {
    "bidi": "\u202e\u2066" * 200_000 + "A title",
    "arabic marks": "عا" + "\u0651\u064e" * 400_000 + "جل",
    "latin marks": "e" + "\u0301" * 500_000,
    "nul": "\x00" * 100_000 + "A title",
    "one long word": "x" * 1_000_000,
}


def test_floods_are_articles(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    produce(kafka.address, topics.raw, [article(name, title=flood) for name, flood in FLOODS.items()])
    produce(kafka.address, topics.raw, [article(name, title=None, body=flood) for name, flood in FLOODS.items()])
    with WorkerProcess(tmp_path, environment(kafka.address, topics)).wait_ready() as worker:
        wait_for_outputs(kafka, topics, 2 * len(FLOODS))
        assert worker.stop() == 0
    assert consume_all(kafka.address, topics.rejected) == []
    assert Counter(a.id for _, a in enriched(kafka, topics)) == dict.fromkeys(FLOODS, 2)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_kill_9_loses_nothing(kafka: KafkaServer, topics: Topics, tmp_path: Path, delivery: str) -> None:
    """Repeats carry the same event id and are no more than the batches in flight; exactly once there are none."""
    count, batch = 3000, 100
    env = environment(kafka.address, topics, instance_id="slot-1", batch_size=batch, delivery=delivery)
    produce(kafka.address, topics.raw, [article(n) for n in range(count)])
    for seen in (1, 1200):
        with WorkerProcess(tmp_path, env) as worker:
            wait_for("some outputs", lambda least=seen: len(consume_all(kafka.address, topics.enriched)) >= least)
            worker.kill()
    with WorkerProcess(tmp_path, env) as worker:
        wait_for_outputs(kafka, topics, count)
        assert worker.stop() == 0
    events: dict[str, set[str]] = {}
    found = enriched(kafka, topics)
    for _, told in found:
        events.setdefault(told.id, set()).add(told.event_id)
    assert {int(id_) for id_ in events} == set(range(count)), "lost"
    assert all(len(ids) == 1 for ids in events.values()), "a repeat with another event id"
    assert len(found) - count <= (2 * batch if delivery == "at_least_once" else 0), "too many repeats"


def test_a_record_that_kills_the_process_is_found_and_rejected(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    env = environment(kafka.address, topics, batch_size=8, instance_id="slot-1", session_timeout=6)
    records = [article(n, title="killer") if n == 13 else article(n) for n in range(40)]
    produce(kafka.address, topics.raw, [record._replace(partition=n % 2) for n, record in enumerate(records)])
    deaths = 0
    while True:
        with WorkerProcess(tmp_path, env, "classify", module="tests.broker.crashing_worker") as worker:
            wait_for(
                "death or the end", lambda w=worker: w.process.poll() is not None or done(kafka, topics, len(records))
            )
            if worker.process.poll() is None:
                assert worker.stop() == 0
                break
        deaths += 1
        assert deaths < 12, "the killer was not found"
    (rejected,) = consume_all(kafka.address, topics.rejected)
    assert rejected_reason(rejected) == "crashed"
    assert rejected.value == records[13].value
    assert dict(rejected.headers)["ajil.attempts"] == b"3"
    assert {int(a.id) for _, a in enriched(kafka, topics)} == set(range(40)) - {13}


@pytest.mark.parametrize(
    "protocol",
    [{"assignor": "range"}, {"assignor": "cooperative-sticky"}, {"group_protocol": "consumer"}],
    ids=lambda settings: next(iter(settings.values())),
)
def test_workers_share_partitions_and_hand_them_over(
    kafka: KafkaServer, topics: Topics, tmp_path: Path, protocol: dict[str, str]
) -> None:
    env = environment(kafka.address, topics, batch_size=50, **protocol)
    produce(kafka.address, topics.raw, [article(n) for n in range(1000)])
    with WorkerProcess(tmp_path, env).wait_ready(), WorkerProcess(tmp_path, env).wait_ready() as second:
        wait_for(
            "both have partitions", lambda: any(line["partitions"] for line in second.logged("partitions assigned"))
        )
        produce(kafka.address, topics.raw, [article(n) for n in range(1000, 2000)])
        assert second.stop() == 0
        produce(kafka.address, topics.raw, [article(n) for n in range(2000, 2500)])
        wait_for_outputs(kafka, topics, 2500)
    counts = Counter(a.id for _, a in enriched(kafka, topics))
    assert {int(id_) for id_ in counts} == set(range(2500))
    assert max(counts.values()) == 1, "healthy workers repeat nothing"


def test_a_worker_frozen_past_its_session_reads_on(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    env = environment(kafka.address, topics, batch_size=100, session_timeout=6)
    produce(kafka.address, topics.raw, [article(n) for n in range(3000)])
    with WorkerProcess(tmp_path, env) as worker:
        wait_for("some outputs", lambda: len(consume_all(kafka.address, topics.enriched)) >= 100)
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(10)  # the broker must notice, which takes the session timeout
        worker.process.send_signal(signal.SIGCONT)
        wait_for_outputs(kafka, topics, 3000)
        assert worker.logged("partitions lost")
        assert worker.stop() == 0
    counts = Counter(a.id for _, a in enriched(kafka, topics))
    assert {int(id_) for id_ in counts} == set(range(3000))
    assert sum(counts.values()) - 3000 <= 100, "more repeats than the batch in hand"


def test_of_two_workers_with_one_instance_id_one_ends_and_says_why(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    env = environment(kafka.address, topics, instance_id="same")
    with WorkerProcess(tmp_path, env, "--agents", "classify").wait_ready() as first, WorkerProcess(tmp_path, env):
        produce(kafka.address, topics.raw, [article(1)])
        wait_for("the first to end", lambda: first.process.poll() is not None)
        assert first.process.returncode == 3
        assert "AJIL_INSTANCE_ID (same)" in first.log()[-1]["event"]
        wait_for_outputs(kafka, topics, 1)


def test_records_that_kafka_deleted_unread_are_counted_and_told(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    env = environment(kafka.address, topics)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    produce(kafka.address, topics.raw, [article(n)._replace(partition=0) for n in range(10)])
    with WorkerProcess(tmp_path, env) as worker:
        wait_for_outputs(kafka, topics, 10)
        assert worker.stop() == 0
    produce(kafka.address, topics.raw, [article(n)._replace(partition=0) for n in range(10, 30)])
    for done in admin.delete_records([TopicPartition(topics.raw, 0, 25)]).values():
        done.result(30)
    with WorkerProcess(tmp_path, env).wait_ready() as worker:
        wait_for_outputs(kafka, topics, 15)
        assert worker.metric("ajil_records_lost_total", topic=topics.raw) == 15
        (told,) = worker.logged("records were deleted")
        assert (told["partition"], told["first_offset"], told["last_offset"]) == (0, 10, 24)
        assert worker.stop() == 0
    assert {int(a.id) for _, a in enriched(kafka, topics)} == {*range(10), *range(25, 30)}


def test_a_topic_made_anew_is_read_from_its_beginning_and_told(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    env = environment(kafka.address, topics)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    produce(kafka.address, topics.raw, [article(n)._replace(partition=0) for n in range(10)])
    with WorkerProcess(tmp_path, env) as worker:
        wait_for_outputs(kafka, topics, 10)
        assert worker.stop() == 0
    for done in admin.delete_topics([topics.raw]).values():
        done.result(30)
    wait_for("topic gone", lambda: topics.raw not in admin.list_topics(timeout=10).topics)
    create_topic(kafka.address, topics.raw)
    produce(kafka.address, topics.raw, [article(n)._replace(partition=0) for n in range(100, 105)])
    with WorkerProcess(tmp_path, env) as worker:
        wait_for("outputs", lambda: {int(a.id) for _, a in enriched(kafka, topics)} >= set(range(100, 105)))
        # Kafka forgets a group's offsets with the topic; where it has not yet, the worker says what it found.
        assert all(told["committed"] == 10 for told in worker.logged("past the end"))
        assert worker.stop() == 0


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_batch_that_kafka_refuses_is_not_committed_when_the_worker_is_stopped(
    kafka: KafkaServer, topics: Topics, tmp_path: Path, delivery: str
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.address})

    def allow(size: int) -> None:
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topics.rejected, incremental_configs=[entry])
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(30)

    allow(500)
    produce(kafka.address, topics.raw, [*(article(n) for n in range(20)), Record(b"{" + os.urandom(2000))])
    env = environment(kafka.address, topics, delivery=delivery, stop_deadline=5)
    with WorkerProcess(tmp_path, env, "--agents", "classify") as worker:
        told = wait_for("a word", lambda: worker.logged("Kafka refused outputs"))
        assert "max.message.bytes" in told[0]["remedy"]
        assert worker.stop() == 6 if delivery == "at_least_once" else worker.stop() in (0, 6)
    allow(1 << 20)
    with WorkerProcess(tmp_path, env, "--agents", "classify") as worker:
        wait_for_outputs(kafka, topics, 21)
        assert worker.stop() == 0
    assert {int(a.id) for _, a in enriched(kafka, topics)} == set(range(20))
    assert len(consume_all(kafka.address, topics.rejected)) == 1


def test_a_worker_waits_for_its_broker_and_says_so(topics: Topics, tmp_path: Path) -> None:
    with WorkerProcess(tmp_path, environment("127.0.0.1:1", topics)) as worker:
        wait_for("a word", lambda: worker.logged("waiting for Kafka"))
        assert "AJIL_BROKERS" in worker.logged("waiting for Kafka")[0]["error"]
        assert worker.get("/health/live")[0] == 200
        assert worker.get("/health/ready")[0] == 503
        assert worker.stop() == 0


def test_a_worker_waits_for_missing_topics_and_says_so(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    env = environment(kafka.address, topics) | {"AJIL_TOPIC_ENRICHED": "not.there"}
    with WorkerProcess(tmp_path, env) as worker:
        told = wait_for("a word", lambda: worker.logged("waiting for Kafka"))
        assert "not.there" in told[0]["error"]
        assert "ajil topics --create" in told[0]["error"]
        assert worker.stop() == 0


def test_a_port_in_use_is_told_in_one_line(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    port = kafka.address.rpartition(":")[2]
    with WorkerProcess(tmp_path, environment(kafka.address, topics, http_port=port)) as worker:
        assert worker.process.wait(60) == 2
        assert f"cannot listen on 127.0.0.1:{port}" in worker.log()[-1]["event"]


def test_a_stray_faust_variable_changes_nothing(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    stray = {"WEB_PORT": "1", "BROKER_URL": "kafka://127.0.0.1:1", "APP_DATADIR": "/nowhere", "WEB_ENABLED": "1"}
    produce(kafka.address, topics.raw, [article(1)])
    with WorkerProcess(tmp_path, environment(kafka.address, topics) | stray).wait_ready() as worker:
        wait_for_outputs(kafka, topics, 1)
        assert worker.stop() == 0


def test_feedback_is_counted_once_by_the_worker_that_gave_the_answer(
    kafka: KafkaServer, topics: Topics, tmp_path: Path
) -> None:
    env = environment(kafka.address, topics)
    with WorkerProcess(tmp_path, env).wait_ready() as one, WorkerProcess(tmp_path, env).wait_ready() as other:
        workers = (one, other)

        def counted(name: str, **labels: str) -> float:
            return sum(worker.metric(name, **labels) for worker in workers)

        for worker in workers:
            wait_for("feedback heard", lambda worker=worker: worker.logged("hearing feedback"))
        wait_for("both have some", lambda: all('lag_records{agent="classify"' in w.get("/metrics")[1] for w in workers))
        flash = article("flash", title="BREAKING: Council votes on plan")
        produce(kafka.address, topics.raw, [article(n) for n in range(40)] + [flash])
        wait_for_outputs(kafka, topics, 41)
        wait_for("counted", lambda: counted("ajil_articles_enriched_total") == 41)
        assert all(worker.metric("ajil_articles_enriched_total") for worker in workers)
        answers = {told.id: told for _, told in enriched(kafka, topics)}
        said = [{"id": str(n), "topic": answers[str(n)].topic.label or "politics"} for n in range(20)]
        said += [{"event_id": answers[str(n)].event_id, "topic": "sport"} for n in range(20, 40)]
        said += [{"alert_id": story_id("en", answers["flash"].event_id), "topic": "sport", "breaking": True}]
        said += [{"id": "7", "topic": "sport"}, {"id": "unknown", "topic": "sport"}]
        # What is said of one article stays in order, as the gateway has it.
        records = [Record(json.dumps(word).encode(), key=word.get("id", "k").encode()) for word in said]
        produce(kafka.address, topics.feedback, records)

        wait_for("all heard", lambda: counted("ajil_feedback_judgements_total", about="topic") == 43)
        wait_for("all judged", lambda: counted("ajil_feedback_topics_total") == 41)
        abstained = sum(answers[str(n)].topic.label is None for n in range(40)) + (answers["flash"].topic.label is None)
        assert counted("ajil_feedback_topics_total", result="abstained") == abstained
        assert counted("ajil_feedback_topics_total", topic="sport") == 21
        assert counted("ajil_feedback_breaking_total", lang="en", said="true", result="right") == 1
        produce(kafka.address, topics.feedback, [Record(json.dumps({"id": "9", "breaking": False}).encode())])
        wait_for("judged", lambda: counted("ajil_feedback_breaking_total", said="false", result="right") == 1)
        assert counted("ajil_feedback_topics_total") == 41
        assert [worker.stop() for worker in workers] == [0, 0]
