"""The `ajil` command as a shell sees it: help, exit codes, one-line errors. No broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stream.cli import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path


def ajil(*args: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AJIL_")}
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", *args],
        input=stdin,
        capture_output=True,
        text=True,
        env=clean | environ,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_fits(name: str) -> None:
    done = ajil(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: ajil {name}")
    assert len(done.stdout.splitlines()) > 5


def test_help_lists_every_command() -> None:
    told = ajil("--help").stdout
    assert all(f"  {name}" in told for name in COMMANDS)


@pytest.mark.parametrize(
    ("args", "environ", "code", "told"),
    [
        (["nonsense"], {}, 2, "No such command"),
        (["worker", "--agents", "sleep"], {}, 2, "classify, alerts"),
        (["settings"], {"AJIL_BATCH_SIZE": "-1"}, 2, "AJIL_BATCH_SIZE"),
        (["worker"], {"AJIL_MODEL": "/does/not/exist"}, 5, "/does/not/exist"),
        (["classify", "/does/not/exist"], {}, 2, "No such file"),
        (["topics", "--wait", "1"], {"AJIL_BROKERS": "127.0.0.1:1"}, 3, "AJIL_BROKERS"),
        (["tail", "raw"], {"AJIL_BROKERS": "127.0.0.1:1"}, 3, "AJIL_BROKERS"),
        (["produce", "-"], {"AJIL_BROKERS": "127.0.0.1:1"}, 3, "AJIL_BROKERS"),
    ],
)
def test_errors_are_told_in_one_line_with_the_documented_code(
    args: list[str], environ: dict[str, str], code: int, told: str
) -> None:
    done = ajil(*args, **environ)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_settings_show_what_is_in_force_and_no_secret(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    environ = {"AJIL_GROUP": "mine", "AJIL_SASL_USERNAME": "u", "AJIL_SASL_PASSWORD_FILE": str(secret)}
    table = ajil("settings", **environ).stdout
    assert "* group" in table
    assert "  brokers" in table
    assert "hush" not in table
    told = json.loads(ajil("settings", "--json", **environ).stdout)
    assert (told["group"], told["sasl_password"], told["batch_size"]) == ("mine", "********", 500)


def test_a_misspelt_variable_is_told() -> None:
    assert "did you mean AJIL_BROKERS?" in ajil("settings", AJIL_BROKER="x").stderr


LINES = [
    json.dumps(
        {"id": "1", "title": "عاجل: البرلمان يقر الموازنة", "body": "أقر البرلمان قانون الموازنة العامة."},
        ensure_ascii=False,
    ),
    "{broken",
    "",
    '["array"]',
    json.dumps({"id": "2", "title": "Parliament passes budget law", "body": "Parliament passed the budget law."}),
]


def test_classify_answers_each_line_in_order() -> None:
    done = ajil("classify", stdin="\n".join(LINES))
    assert done.returncode == 0, done.stderr
    first, broken, array, last = map(json.loads, done.stdout.splitlines())
    assert (first["id"], first["lang"], first["breaking"]["flag"]) == ("1", "ar", True)
    assert (broken["rejected"], broken["reason"], broken["line"]) == (True, "invalid_json", 2)
    assert (array["reason"], array["line"]) == ("not_an_object", 4)
    assert (last["id"], last["lang"]) == ("2", "en")
    assert set(first) == set(last)


def test_classify_is_strict_when_asked() -> None:
    assert ajil("classify", "--strict", stdin="{broken\n").returncode == 1
    assert ajil("classify", "--strict", stdin='{"title": "All is well here"}').returncode == 0


PAGE = """سياسة محلية

البرلمان يناقش قانون الانتخابات الجديد

جانب من جلسة البرلمان - أرشيفية
جانب من جلسة البرلمان - أرشيفية

ناقش البرلمان في جلسة علنية مشروع قانون الانتخابات الذي قدمته الحكومة، وقال رئيس اللجنة إن التصويت سيجري الأسبوع المقبل.

وطالب نواب المعارضة بتعديل مواد القانون، بينما دافع وزير الداخلية عن المشروع أمام النواب في الجلسة.

اقرأ أيضا: الحكومة تحيل مشروع القانون إلى البرلمان

التعليقات (3)

خبر عاجل
"""


def test_a_scraped_page_is_read_without_its_furniture(tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    file.write_text(PAGE, "utf-8")
    (told,) = map(json.loads, ajil("classify", "--text", str(file)).stdout.splitlines())
    assert told["title"] == "البرلمان يناقش قانون الانتخابات الجديد"
    assert told["section"] == "سياسة محلية"
    assert told["topic"]["label"] == "politics"
    assert told["breaking"] == told["breaking"] | {"flag": False, "reasons": []}
    assert told["explanation"]
