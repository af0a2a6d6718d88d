"""Training on a user's own rows, through the commands."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from models.classifier import Article, Classifier
from models.corpus import CorpusError, files, read
from models.examples import Example, Examples
from models.learn import learn
from models.recipe import Recipe
from stream.commands.evaluate import command as evaluate
from stream.commands.furniture import command as furniture
from stream.commands.train import command as train
from stream.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"weather": "rain wind storm cloud sunshine", "traffic": "road lorry tunnel jam motorway"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(40):
            for label, found in WORDS.items():
                first, second, third = (found.split()[(number + step) % 5] for step in range(3))
                writer.writerow([f"The {first} and the {second} after the {third} this morning", label])
    return path


def test_a_csv_with_labels_of_ones_own_becomes_a_bundle(table: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(train, [str(table), "--out", str(tmp_path / "bundle")])

    assert result.exit_code == 0, result.output
    classifier = Classifier.load(tmp_path / "bundle")
    assert classifier.languages == ["en"]
    assert classifier.labels("en") == ["traffic", "weather"]
    (verdict,) = classifier.classify([Article(None, "A lorry blocks the tunnel, and there is a jam on the motorway")])
    assert verdict.alternatives[0].label == "traffic"
    assert verdict.code is None


def test_training_again_gives_the_same_digest(table: Path, tmp_path: Path) -> None:
    outputs = [CliRunner().invoke(train, [str(table), "--out", str(tmp_path / name)]).output for name in ("one", "two")]

    assert outputs[0].splitlines()[-1].startswith("sha256 ")
    assert outputs[0].splitlines()[-1] == outputs[1].splitlines()[-1]


def test_evaluate_prints_figures_and_json(table: Path, tmp_path: Path) -> None:
    CliRunner().invoke(train, [str(table), "--out", str(tmp_path / "bundle")])

    shown = CliRunner().invoke(evaluate, [str(tmp_path / "bundle"), str(table)])
    figures = CliRunner().invoke(evaluate, [str(tmp_path / "bundle"), str(table), "--json"])

    assert "macro-F1" in shown.output
    found = json.loads(figures.stdout)["topics"]["any"]["any"]["full"]
    assert found["accuracy"] == 1.0
    assert found["rows"] == 80


def test_evaluate_of_no_bundle_exits_with_5(table: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(evaluate, [str(tmp_path), str(table)])

    assert result.exit_code == 5
    assert "manifest.json" in result.output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{not json}\n", "line 1"),
        ("a.jsonl", b"[1]\n", "not a JSON object"),
        ("a.jsonl", b'{"label": "x"}\n', "no title, body or text"),
        ("a.csv", b"\xff\xfe", "UTF-8"),
        ("a.jsonl.gz", b"not gzip", "gzip"),
    ],
)
def test_an_unreadable_file_is_named_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(CorpusError, match=message) as refused:
        read(tmp_path / name)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_rows_without_two_labels_cannot_be_learnt_from(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"text": "The rain", "label": "weather"}\n' * 5)

    result = CliRunner().invoke(train, [str(tmp_path), "--out", str(tmp_path / "bundle")])

    assert isinstance(result.exception, SettingError)
    assert "two labels" in str(result.exception)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere"):
        files([tmp_path / "nowhere"])


def test_split_and_hint_are_read(tmp_path: Path) -> None:
    record = {"title": "A", "body": "b", "topic": None, "topic_hint": "politics|conflict (a desk)", "split": "dev"}
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode() + b"\n"))

    (row,) = read(path)

    assert (row.label, row.hint, row.split) == (None, "politics|conflict (a desk)", "dev")


def examples(hints: tuple[str, ...], label: str | None) -> list[Example]:
    taught = [
        Example(f"{found} {number % 3}", found, name, source)
        for number in range(12)
        for source in ("a.example", "b.example")
        for name, found in WORDS.items()
    ]
    desk = [Example(f"rain storm cloud flood {n % 2}", "rain storm", label, "c.example", hints) for n in range(6)]
    return taught + desk


@pytest.mark.parametrize(("desks", "known"), [(True, True), (False, False)])
def test_desk_rows_teach_what_desk_and_model_agree_on(desks: bool, known: bool) -> None:
    read_as = Examples(examples(("weather",), None))

    model = learn(read_as, np.arange(len(read_as.labels)), Recipe(desks=desks))

    assert ("flood" in read_as.terms[model.features.columns]) is known


def test_a_mixed_desk_is_relabelled_by_the_others() -> None:
    read_as = Examples(examples(("traffic", "weather"), "traffic"))
    rows = np.arange(len(read_as.labels))

    mixed, apart = (learn(read_as, rows, Recipe(relabel=relabel, desks=False)) for relabel in (False, True))

    weather = int(np.flatnonzero(apart.linear.classes_ == "weather")[0])
    flood = int(np.flatnonzero(read_as.terms[apart.features.columns] == "flood")[0])
    assert apart.linear.coef_[weather, flood] > 0 > mixed.linear.coef_[weather, flood]


def test_furniture_writes_a_profile(tmp_path: Path) -> None:
    lines = [json.dumps({"body": f"Story {n}.\nCall the desk", "source": "a.example"}) for n in range(25)]
    (tmp_path / "pages.jsonl").write_text("\n".join(lines))

    result = CliRunner().invoke(furniture, [str(tmp_path / "pages.jsonl"), "--out", str(tmp_path / "profile.json")])

    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "profile.json").read_text())["sources"]["a.example"] == ["Story 0.", "Call the desk"]
