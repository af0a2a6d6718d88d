"""`ajil topics`, `produce` and `tail` on a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import fields
from typing import TYPE_CHECKING

from tests.kafka_client import Record, Topics, consume_all, produce
from tests.worker_process import WorkerProcess, environment, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kafka_server import KafkaServer


def ajil(env: dict[str, str], *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", *args], input=stdin, capture_output=True, env=env, timeout=60, check=False
    )


def test_topics_are_told_created_and_left_alone(kafka: KafkaServer) -> None:
    names = Topics(*(f"{uuid.uuid4().hex[:8]}.{field.name}" for field in fields(Topics)))
    env = environment(kafka.address, names, topic_partitions=3)
    missing = ajil(env, "topics")
    assert missing.returncode == 4
    assert names.raw.encode() in missing.stderr
    assert b"ajil topics --create" in missing.stderr
    created = ajil(env, "topics", "--create")
    assert created.returncode == 0, created.stderr
    assert created.stdout.count(b"created") == 8
    again = ajil(env, "topics", "--create")
    assert again.returncode == 0
    assert again.stdout.count(b"3 partitions") == 8
    assert ajil(env, "topics", "--check").returncode == 0
    larger = ajil(env | {"AJIL_MAX_RECORD_BYTES": str(40 << 20), "AJIL_TOPIC_PARTITIONS": "4"}, "topics", "--check")
    assert larger.returncode == 1
    assert larger.stderr.count(b"max.message.bytes") == 2 * 2  # raw and rejected, each named twice in its line
    assert larger.stderr.count(b"has 3 partitions, not 4") == 8


def test_produce_sends_lines_and_pages_as_they_are(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    env = environment(kafka.address, topics)
    lines = tmp_path / "articles.jsonl"
    lines.write_bytes(b'{"id": "7", "title": "A"}\n\n{broken\n{"id": 8, "title": "B"}\r\n')
    page = tmp_path / "page.html"
    page.write_bytes(b"<html><body>\xff</body></html>")
    done = ajil(env, "produce", str(lines), str(page))
    assert done.returncode == 0, done.stderr
    assert b"4 of 4 records acknowledged" in done.stderr
    found = {record.value: record for record in consume_all(kafka.address, topics.raw)}
    assert set(found) == {
        b'{"id": "7", "title": "A"}',
        b"{broken",
        b'{"id": 8, "title": "B"}',
        b"<html><body>\xff</body></html>",
    }
    assert found[b'{"id": "7", "title": "A"}'].key == b"7"
    assert found[b'{"id": 8, "title": "B"}'].key == b"8"
    assert found[b"{broken"].key is None
    assert found[b"<html><body>\xff</body></html>"].headers == (("content-type", b"text/html"),)
    assert ajil(env, "produce", "-", stdin=b'{"title": "C"}\n').returncode == 0
    assert len(consume_all(kafka.address, topics.raw)) == 5


def test_a_missing_topic_is_told(kafka: KafkaServer, topics: Topics) -> None:
    env = environment(kafka.address, topics)
    for args in (["tail", "not.there"], ["produce", "--topic", "not.there", "-"]):
        done = ajil(env, *args)
        assert done.returncode == 4
        assert b"not.there" in done.stderr


def test_tail_prints_for_people_and_for_programs(kafka: KafkaServer, topics: Topics) -> None:
    env = environment(kafka.address, topics)
    hostile = "Title \x1b]0;owned\x07 of a stranger"
    value = json.dumps({"id": "1", "title": hostile, "source": "example.org"}, ensure_ascii=False).encode()
    produce(
        kafka.address,
        topics.raw,
        [Record(value, key=b"\xff", headers=(("n", None), ("b", b"\xfe"))), Record(None), Record(b"\xff\xff")],
    )
    text = ajil(env, "tail", "raw", "--no-follow")
    assert text.returncode == 0, text.stderr
    assert len(text.stdout.splitlines()) == 3
    assert b"of a stranger" in text.stdout
    assert b"\x1b" not in text.stdout
    assert b"\x07" not in text.stdout
    told = [json.loads(line) for line in ajil(env, "tail", "raw", "--no-follow", "--json").stdout.splitlines()]
    first = next(line for line in told if isinstance(line["value"], dict) and "id" in line["value"])
    assert first["key"] == {"base64": "/w=="}
    assert first["headers"] == [["n", None], ["b", {"base64": "/g=="}]]
    assert first["value"]["title"] == hostile
    assert {"topic", "partition", "offset", "timestamp"} <= set(first)
    assert len(ajil(env, "tail", topics.raw, "--from-beginning", "-n", "2").stdout.splitlines()) == 2


def test_replay_sends_back_and_lag_tells(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    env = environment(kafka.address, topics, max_article_bytes=1000)
    large = b'{"id": "1", "title": "BREAKING: Dam breaks in the north", "body": "%s"}' % (b"word " * 400)
    produce(kafka.address, topics.raw, [Record(large, key=b"k"), Record(b"{broken")])
    with WorkerProcess(tmp_path, env) as worker:
        wait_for("rejections", lambda: len(consume_all(kafka.address, topics.rejected)) == 2)
        assert worker.stop() == 0
    dry = ajil(env, "replay", "--dry-run")
    assert (dry.returncode, b"2 records would be sent back" in dry.stderr) == (0, True)
    done = ajil(env, "replay", "--reason", "too_large")
    assert done.returncode == 0, done.stderr
    assert b"1 records sent back" in done.stderr
    behind = ajil(env, "lag", "--json")
    assert behind.returncode == 0, behind.stderr
    classify, alerts = map(json.loads, behind.stdout.splitlines())
    assert (classify["topic"], classify["state"], classify["members"]) == (topics.raw, "empty", 0)
    assert sum(partition["records"] for partition in classify["partitions"]) == 1
    assert max(partition["seconds"] or 0 for partition in classify["partitions"]) > 0
    assert sum(partition["records"] for partition in alerts["partitions"]) == 0
    with WorkerProcess(tmp_path, environment(kafka.address, topics)) as worker:
        wait_for("the replayed article", lambda: consume_all(kafka.address, topics.enriched))
        told = ajil(env, "lag")
        assert b"stable, 1 members, 0 records behind" in told.stdout
        assert worker.stop() == 0
    (enriched,) = consume_all(kafka.address, topics.enriched)
    first = dict(next(r for r in consume_all(kafka.address, topics.rejected) if r.value == large).headers)
    assert json.loads(enriched.value or b"")["event_id"].encode() == first["ajil.event-id"]
    assert not any(name.startswith(("ajil.", "__connect")) for name, _ in enriched.headers)
