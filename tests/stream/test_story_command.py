"""`ajil stories`, without Kafka."""

from __future__ import annotations

import gzip
import json
import tempfile
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from stream.commands.stories import command

if TYPE_CHECKING:
    from pathlib import Path

FLOOD = {"id": "1", "source": "one.example", "title": "عاجل: سيول تجتاح مدينة صفاقس وتغلق الميناء", "story": "flood"}
FLOOD_TOO = {"id": "2", "source": "two.example", "title": "إغلاق ميناء صفاقس بعد سيول اجتاحت المدينة", "story": "flood"}
PRIZE = {"id": "3", "source": "one.example", "title": "روائية من عمان تفوز بجائزة الرواية لهذا العام", "story": "prize"}


def at(minute: int, **row: object) -> str:
    return json.dumps({"published_at": f"2026-05-01T12:{minute:02}:00Z", **row})


STREAM = [at(0, **FLOOD), at(1, **PRIZE), at(2, **FLOOD_TOO)]


def stories(lines: list[str], *options: str) -> Result:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        return CliRunner().invoke(command, [file.name, *options])


def test_each_article_is_filed_under_a_story_and_says_why() -> None:
    first, other, joined = (json.loads(line) for line in stories(STREAM).stdout.splitlines())

    assert [first["id"], other["id"], joined["id"]] == ["1", "3", "2"]
    assert first["story_id"].startswith("ar-")
    assert joined["story_id"] == first["story_id"] != other["story_id"]
    assert joined["similarity"] > 0.25
    assert "صفاقس" in joined["shared"]
    assert (first["similarity"], first["shared"]) == (None, [])


def test_the_clock_is_that_of_the_articles() -> None:
    first, other, _ = (json.loads(line) for line in stories(STREAM).stdout.splitlines())

    assert first["alerts"] == ["opened"]
    assert other["alerts"] == []


def test_a_line_that_is_no_article_is_told_and_the_rest_go_on() -> None:
    lines = ["{", *STREAM]
    result = stories(lines)

    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert (told[0]["rejected"], told[0]["reason"], told[0]["line"]) == (True, "invalid_json", 1)
    assert told[3]["story_id"] == told[1]["story_id"]
    assert (result.exit_code, stories(lines, "--strict").exit_code, stories(STREAM, "--strict").exit_code) == (0, 1, 0)


def test_an_article_that_comes_again_is_filed_once() -> None:
    again = json.loads(stories([STREAM[0], STREAM[0]]).stdout.splitlines()[1])

    assert (again["story_id"], again["alerts"]) == (None, [])


def test_the_figures_of_labelled_articles() -> None:
    result = stories(STREAM, "--evaluate")

    name, *figures = result.stdout.splitlines()[-1].split()
    assert name == "ar"
    assert [float(figure) for figure in figures] == [100.0] * 6 + [0.0, 2, 2, 3]


def test_tracks_are_streams_of_their_own() -> None:
    tracks = [at(0, track="a", **FLOOD), at(1, track="b", **FLOOD_TOO)]
    lines = stories(tracks, "--evaluate").stdout.splitlines()

    assert [line.split()[0] for line in lines[-2:]] == ["a", "b"]
    assert all(line.split()[8:] == ["1", "1", "1"] for line in lines[-2:])


def test_labels_and_tracks_may_be_numbers() -> None:
    numbers = [at(0, **{**FLOOD, "story": 1.5, "track": 7, "lang": 5}), at(1, **{**PRIZE, "story": 2, "track": 7})]
    lines = stories(numbers, "--evaluate").stdout.splitlines()

    assert [line.split()[0] for line in lines[2:]] == ["7"]
    assert lines[2].split()[8:] == ["2", "2", "2"]


def test_what_is_not_counted_is_told() -> None:
    unlabelled = {name: value for name, value in PRIZE.items() if name != "story"}
    result = stories([*STREAM, "{", at(5, **{**unlabelled, "id": "4"})], "--evaluate", "--strict")

    assert "line 4 rejected: invalid_json" in result.stderr
    assert "1 without a label" in result.stderr
    assert result.stdout.splitlines()[-1].split()[-1] == "3"
    assert result.exit_code == 1


def test_labels_must_be_there() -> None:
    result = stories([at(0, title="A title of an article")], "--evaluate")

    assert "story" in str(result.exception)
    assert result.stdout == ""


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl.gz", tmp_path / "cut.jsonl.gz"
    data = gzip.compress("\n".join(STREAM).encode())
    whole.write_bytes(data)
    cut.write_bytes(data[:-20])

    assert len(CliRunner().invoke(command, [str(whole)]).stdout.splitlines()) == 3
    assert "gzip" in str(CliRunner().invoke(command, [str(cut)]).exception)


@pytest.mark.parametrize("option", ["--evaluate", "--strict"])
def test_nothing_is_no_fault_of_a_pipe(option: str) -> None:
    result = stories([], option)

    assert (result.exit_code == 0) == (option == "--strict")
