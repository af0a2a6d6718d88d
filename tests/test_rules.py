"""Alert rules: Prometheus reads them, each fires and does not fire where it should, and tells what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from stream.cli import group
from tests.conftest import require_tool
from tests.exposition import buckets, unknown

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))

TEXT = (PROMETHEUS / "rules" / "ajil.yml").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [rule for part in yaml.safe_load(TEXT)["groups"] for rule in part["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {
    rule["record"]: set(re.findall(r"\w+", rule["expr"].split("by (")[1].split(")")[0]))
    for rule in RULES
    if "record" in rule
}
NAMES = sorted({rule["alert"] for rule in ALERTS})
CONFIG = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))


def told(*command: str) -> str:
    done = subprocess.run([require_tool(command[0]), *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_its_configuration_and_the_rules() -> None:
    told("promtool", "check", "config", "--lint-fatal", str(PROMETHEUS / "prometheus.yml"))


def test_alertmanager_takes_its_configuration() -> None:
    told("amtool", "check-config", str(ALERTMANAGER))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_fire_and_do_not_fire_where_they_should(path: Path) -> None:
    told("promtool", "test", "rules", str(path))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "AjilWatchdog"])
def test_every_alert_has_a_case_where_it_fires_and_one_where_it_does_not(name: str) -> None:
    parts = [yaml.safe_load(path.read_text(encoding="utf-8"))["tests"] for path in TESTS]
    cases = [case for part in parts for test in part for case in test["alert_rule_test"] if case["alertname"] == name]
    fired = {alert["exp_labels"]["severity"] for case in cases for alert in case["exp_alerts"]}

    assert fired == {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name}
    assert any(not case["exp_alerts"] for case in cases)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_and_label_is_one_that_ajil_has(rule: dict[str, Any]) -> None:
    assert unknown(rule["expr"], RECORDED) == []


def test_the_objectives_are_bounds_of_their_histograms() -> None:
    asked = re.findall(r'(ajil_\w+)_bucket\{[^}]*le="([^"]+)"', TEXT)

    assert asked
    for name, bound in asked:
        assert bound in buckets(name)


def test_jobs_are_those_of_ajil_and_no_rule_names_a_topic() -> None:
    jobs = {job["job_name"] for job in CONFIG["scrape_configs"]}

    assert set(re.findall(r'job="([^"]+)"', TEXT)) | {"prometheus", "alertmanager"} == jobs
    assert "topic=" not in TEXT  # their names are settings


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbooks }}}}/{rule['alert']}.md"
    assert CONFIG["global"]["external_labels"]["runbooks"]


def test_every_alert_has_its_runbook_and_no_other() -> None:
    assert sorted(path.stem for path in RUNBOOKS.glob("Ajil*.md")) == NAMES
    listed = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \| ([a-z, ]+) \|", (RUNBOOKS / "README.md").read_text("utf-8"), re.M
    )
    severities = {name: [rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name] for name in NAMES}
    assert {name: told.split(", ") for name, page, told in listed if name == page} == severities


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_how_to_see_it_why_and_what_to_do(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text("utf-8")

    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.M) == ["How to see it", "Likely causes", "What to do"]


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_command_of_a_runbook_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    for line in re.findall(r"`ajil ([^`]+)`", text):
        command: click.Command | None = group
        for word in line.split():
            if isinstance(command, click.Group):
                command = command.get_command(click.Context(command), word)
                assert command, line
            elif word.startswith("-"):
                assert command
                assert word in {option for parameter in command.params for option in parameter.opts}, line
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    for line in re.findall(r"(?:`|^    )docker compose ([^`\n]+)", text, re.M):
        verb, *words = line.split()
        assert verb in {"up", "ps", "logs", "restart", "exec"}, line
        words = [word.partition("=")[0] for word in words if not word.startswith("-")]
        assert set(words[:1] if verb == "exec" else words) <= set(services), line


def test_inhibitions_and_routes_name_alerts_that_exist() -> None:
    assert set(re.findall(r"\bAjil\w+", ALERTMANAGER.read_text("utf-8"))) <= set(NAMES)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "AjilNoWorker", "severity": "critical"}, "page"),
        ({"alertname": "AjilRejectRatio", "severity": "warning"}, "desk"),
        ({"alertname": "AjilWatchdog", "severity": "none"}, "heartbeat"),
    ],
)
def test_alerts_go_by_their_severity(labels: dict[str, str], receiver: str) -> None:
    given = [f"{name}={value}" for name, value in labels.items()]

    assert told("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *given).strip() == receiver
