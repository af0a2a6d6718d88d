"""docs/producers.md and docs/subscriptions.md: the examples for other languages and tools work as they stand."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stream.decode import decode
from stream.embedded import EmbeddedBroker
from stream.gateway.subscriptions.file import load
from stream.settings import Settings
from stream.topics import needed
from tests.alerts import SECRET
from tests.conftest import require_tool
from tests.kafka_client import consume_all
from tests.kafka_jars import kafka_jars
from tests.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
PRODUCERS = (DOCS / "producers.md").read_text("utf-8")
ARTICLE = '{"id": "bank-7", "title": "Central bank holds its key rate"}'


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PRODUCERS, re.M | re.S)
    return str(found)


def commands(heading: str) -> list[str]:
    """The indented shell commands under a heading, continued lines joined."""
    section = PRODUCERS.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    return [line for line in lines.replace("\\\n", "").splitlines() if line and not line.startswith("#")]


def titles(brokers: str) -> set[str | None]:
    """Of the articles on the raw topic, read as the worker reads them."""
    records = consume_all(brokers, "news.articles.raw")
    return {decode(record.value, list(record.headers), max_bytes=1 << 20).title for record in records}


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker([topic.name for topic in needed(Settings())]) as broker:
        yield broker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the examples name."""
    (tmp_path / "article.json").write_text(ARTICLE)
    (tmp_path / "articles.jsonl").write_text(ARTICLE.replace("bank-7", "a") + "\n" + ARTICLE.replace("bank-7", "b"))
    (tmp_path / "keyed.tsv").write_text(f"k1\t{ARTICLE}\nk2\t{ARTICLE}\n")
    (tmp_path / "page.txt").write_bytes("توقف العبارة بسبب الرياح".encode("windows-1256"))
    page = "<html lang=ar><head><title>توقف العبارة</title></head><body><p>توقفت الرحلات اليوم.</p></body></html>"
    (tmp_path / "page.html").write_bytes(page.encode("windows-1256"))
    return tmp_path


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_kcat(broker: EmbeddedBroker, folder: Path) -> None:
    require_tool("kcat")
    found = commands("With kcat")
    assert len(found) == 3
    for command in found:
        done = shell(command.replace("127.0.0.1:9092", broker.brokers), folder)
        assert done.returncode == 0, done.stderr
    records = {record.key: record for record in consume_all(broker.brokers, "news.articles.raw")}
    assert set(records) == {b"bank-7", b"k1", b"k2", b"page-3"}
    page = records[b"page-3"]
    assert decode(page.value, list(page.headers), max_bytes=1 << 20).body == "توقف العبارة بسبب الرياح"
    assert titles(broker.brokers) == {"Central bank holds its key rate", None}


def test_curl(broker: EmbeddedBroker, folder: Path) -> None:
    require_tool("curl")
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    env = {name: value for name, value in os.environ.items() if not name.startswith("AJIL_")}
    env |= {"AJIL_BROKERS": broker.brokers, "AJIL_GATEWAY_PORT": str(port)}
    command = [sys.executable, "-m", "stream.cli", "gateway"]
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as gateway:
        try:
            wait_until_ready(address)
            for example in commands("With curl"):
                shown = example.replace("http://127.0.0.1:8090", address)
                done = shell(f"{shown} --silent --write-out '\\n%{{http_code}}'", folder)
                body, _, status = done.stdout.rpartition("\n")
                assert status == "202", body
                assert json.loads(body)["articles"]
        finally:
            gateway.send_signal(signal.SIGTERM)
    assert {"Central bank holds its key rate", "توقف العبارة"} <= titles(broker.brokers)


def wait_until_ready(address: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < end, "the gateway is not ready after 60 s"
            time.sleep(0.2)


def test_java_compiles(folder: Path) -> None:
    javac = require_tool("javac")
    (folder / "SendArticle.java").write_text(block("java"))
    command = [javac, "-cp", kafka_jars(), "-d", str(folder), str(folder / "SendArticle.java")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_node_parses(folder: Path) -> None:
    node = require_tool("node")
    (folder / "send.js").write_text(block("javascript"))
    done = subprocess.run([node, "--check", str(folder / "send.js")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_subscriptions_file_can_be_used(tmp_path: Path) -> None:
    text = (DOCS / "subscriptions.md").read_text("utf-8")
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", text, re.M | re.S)
    (tmp_path / "newsdesk-hook").write_text(SECRET)
    (tmp_path / "newsdesk-ntfy").write_text("ntfys://ntfy.example/desk")
    file = tmp_path / "subscriptions.toml"
    file.write_text(toml.replace("/run/secrets/", ""), "utf-8")
    found = load(file, {"NIGHT_MAIL": "mailtos://desk:password@mail.example"}).destinations
    assert {name: one.service for name, one in found.items()} == {
        "newsdesk.hook": "webhook",
        "newsdesk.phones": "ntfys",
        "night.mail": "mailtos",
    }
