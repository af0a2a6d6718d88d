"""What the documents say of names, defaults and links holds in the code, and their examples run."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
import pytest
from confluent_kafka import Producer

from models.bundle import SHIPPED, Bundle
from stream import exposition, records
from stream.cli import COMMANDS
from stream.contract import document
from stream.decode import decode
from stream.embedded import EmbeddedBroker
from stream.errors import Reason, Rejection
from stream.settings import Settings, environment_names, load_settings
from stream.topics import needed
from tests.exposition import FAMILIES, samples
from tests.kafka_client import consume_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
HIDDEN = {".git", ".venv", "node_modules", ".pytest_cache", ".hypothesis", "build", "dist"}
PAGES = sorted(path for path in ROOT.rglob("*.md") if not HIDDEN & set(path.relative_to(ROOT).parts))
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
README, ARCHITECTURE, CONFIGURATION, DELIVERY, METRICS, PRODUCERS = (
    TEXTS[name]
    for name in (
        "README.md",
        "docs/architecture.md",
        "docs/configuration.md",
        "docs/delivery.md",
        "docs/metrics.md",
        "docs/producers.md",
    )
)
EVERYTHING = "\n".join(TEXTS.values())


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next heading of any level."""
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row that begins with a code word, their backticks taken off."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> list[tuple[str, str]]:
    found = []
    for page, text in TEXTS.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        found += [(page, link) for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link]
    return found


@pytest.mark.parametrize(("page", "link"), links())
def test_every_relative_link_leads_somewhere(page: str, link: str) -> None:
    path, _, anchor = unquote(link).partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page

    assert target.exists()
    if anchor:
        assert anchor in anchors(target.read_text(encoding="utf-8"))


def test_every_setting_is_told_with_its_variable_and_default() -> None:
    every = CONFIGURATION.split("\n## Settings\n")[1].split("\n## ")[0]
    told = {setting: (variable, default) for setting, variable, default, _ in rows(every)}
    values = msgspec.to_builtins(Settings(), enc_hook=str)

    assert told == {
        name: (f"AJIL_{name.upper()}", "none" if value is None else str(value)) for name, value in values.items()
    }


def test_every_variable_that_is_named_is_read() -> None:
    assert set(re.findall(r"\bAJIL_[A-Z0-9_]*[A-Z0-9]\b", EVERYTHING)) - {"AJIL_TOPIC"} <= set(environment_names())
    assert set(environment_names()) <= set(re.findall(r"\bAJIL_[A-Z0-9_]+\b", CONFIGURATION))


@pytest.mark.parametrize("text", blocks(CONFIGURATION, "toml"))
def test_the_settings_file_can_be_used(text: str, tmp_path: Path) -> None:
    file = tmp_path / "ajil.toml"
    file.write_text(text, encoding="utf-8")

    settings = msgspec.to_builtins(load_settings({"AJIL_CONFIG": str(file)}), enc_hook=str)

    assert tomllib.loads(text).items() <= settings.items()


def test_every_command_is_told_and_no_other() -> None:
    listed = [command for command, *_ in rows(section(README, "The commands"))]

    assert sorted(listed) == sorted(f"ajil {name}" for name in COMMANDS)
    code = re.findall(r"`([^`\n]+)`", EVERYTHING) + re.findall(r"^    (.+)$", EVERYTHING, re.M)
    called = {name for text in code for name in re.findall(r"(?:^|[ /])ajil ([a-z]+)", text)}
    assert called <= set(COMMANDS)


def test_every_topic_is_told() -> None:
    listed = {topic for topic, *_ in rows(section(ARCHITECTURE, "Topics"))}

    assert listed == {topic.name for topic in needed(Settings())}


KINDS = {
    "Enriched article": records.EnrichedArticle,
    "Signal": records.Signal,
    "Story": records.Story,
    "Alert": records.Alert,
    "Feedback": records.Feedback,
    "Rejected": records.Rejected,
}


@pytest.mark.parametrize("heading", KINDS)
def test_every_field_of_a_record_is_told(heading: str) -> None:
    told = set(re.findall(r"`(\w+)`", section(ARCHITECTURE, heading)))

    assert set(KINDS[heading].__struct_fields__) <= told


def test_every_input_field_is_told() -> None:
    told = {name for cells in rows(section(ARCHITECTURE, "Input")) for name in re.findall(r"\w+", cells[0])}

    assert told == set(document()["components"]["schemas"]["RawArticle"]["properties"])


def test_every_rejection_reason_is_told() -> None:
    assert [reason for reason, *_ in rows(section(ARCHITECTURE, "Rejection reasons"))] == [r.value for r in Reason]


def test_every_header_is_told() -> None:
    time = datetime(2026, 1, 2, tzinfo=UTC)
    record = records.Record(records.Place("t", 0, 0), time, None, None, [])
    written = records.rejected_headers(record, Rejection(Reason.EMPTY, "m"))
    written += records.cloudevent_headers([], "k", "e", time)

    assert {f"`{name}`" for name, _ in written} <= set(re.findall(r"`[^`\n]+`", section(ARCHITECTURE, "Headers")))


def test_the_tables_of_metrics_are_written_by_the_code() -> None:
    assert exposition.page(METRICS) == METRICS, "run: python -m stream.exposition docs/metrics.md"


def test_metrics_that_are_named_exist() -> None:
    assert set(re.findall(r"\bajil_[a-z_]+[a-z]\b", EVERYTHING)) <= {*FAMILIES, *samples()}


def test_tests_that_are_named_exist() -> None:
    defined = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert set(re.findall(r"\btest_\w+\b(?!\.py)", DELIVERY)) <= defined


def test_the_topics_of_the_shipped_model_are_told() -> None:
    told = {lang: labels.split(", ") for lang, labels in re.findall(r"^\| ([a-z]{2}) \| (.+) \|$", README, re.M)}

    assert told == {lang: known.labels for lang, known in Bundle.read(SHIPPED).manifest.languages.items()}


def test_the_enriched_record_has_every_field() -> None:
    (text,) = blocks(README, "json")

    article = records.read(text.encode(), records.EnrichedArticle)

    assert json.loads(records.encode(article)) == json.loads(text)


def test_the_articles_are_read_as_they_are_shown() -> None:
    lines = re.findall(r'^    (\{"id": .+)$', README, re.M)

    *good, broken = lines
    for line in good:
        assert decode(line.encode(), [], max_bytes=1 << 20).id == json.loads(line)["id"]
    with pytest.raises(Rejection, match="Input data was truncated"):
        decode(broken.encode(), [], max_bytes=1 << 20)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker([topic.name for topic in needed(Settings())]) as broker:
        yield broker


@pytest.fixture
def run(broker: EmbeddedBroker) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts an example in a process of its own, against the embedded broker."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str) -> subprocess.Popen[str]:
        assert "127.0.0.1:9092" in program
        command = [sys.executable, "-c", program.replace("127.0.0.1:9092", broker.brokers)]
        environment = os.environ | {"PYTHONUTF8": "1"}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("program", blocks(PRODUCERS, "python"), ids=["confluent-kafka", "aiokafka"])
def test_producers_send_an_article(
    program: str, broker: EmbeddedBroker, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = run(program)

    process.communicate(timeout=60)

    assert process.returncode == 0
    (record,) = consume_all(broker.brokers, "news.articles.raw")
    assert record.key
    assert decode(record.value, list(record.headers), max_bytes=1 << 20).title


def test_the_subscriber_shows_each_alert_once(
    broker: EmbeddedBroker, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    (program,) = blocks(DELIVERY, "python")
    producer = Producer({"bootstrap.servers": broker.brokers, "log_level": 0})  # outlives the broker
    for alert in ("first", "first", "second"):
        told: dict[str, Any] = {"alert_id": alert, "lang": "en", "title": alert, "reasons": ["marker"]}
        producer.produce("news.alerts", json.dumps(told), key=b"story", partition=0)
    producer.flush(30)

    process = run(program)

    assert process.stdout
    assert process.stdout.readline() == "en first ['marker']\n"
    assert process.stdout.readline() == "en second ['marker']\n"
