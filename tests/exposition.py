"""What Ajil exposes to Prometheus, so that rules and dashboards can be held to it."""

from __future__ import annotations

import re
import subprocess

from stream.exposition import gateway, worker
from tests.conftest import require_tool

SCRAPED = {"job", "instance"}
OTHERS = {
    "up": set[str](),
    "process_start_time_seconds": set[str](),
    "process_cpu_seconds_total": set[str](),
    "process_resident_memory_bytes": set[str](),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
"""What Prometheus itself and its client for Python add."""


FAMILIES = {family.name: family for family in (*worker(), *gateway())}


def samples() -> dict[str, set[str]]:
    """The names of all samples, each with its labels."""
    found = dict(OTHERS)
    for name, family in FAMILIES.items():
        labels = set(family.labels)
        if family.kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    return {name: labels | SCRAPED for name, labels in found.items()}


def buckets(name: str) -> set[str]:
    """The bounds of a histogram, as they are in its label `le`."""
    return {str(float(bound)) for bound in FAMILIES[name].buckets}


def unknown(expression: str, recorded: dict[str, set[str]]) -> list[str]:
    """What a PromQL expression names, metrics and their selectors' and groups' labels, and nothing has.

    `recorded` has the labels of recording rules.
    """
    known = samples() | recorded
    wrong = []
    labels: set[str] = set()
    names = re.findall(r"(?<![\w:])((?:\w+:)?(?:ajil|process)_\w+(?::\w+)?|up|ALERTS)\b(?:\{([^}]*)\})?", expression)
    for name, selector in names:
        if name not in known:
            wrong.append(name)
            continue
        labels |= known[name]
        wrong += [
            f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*(?:=|!)", selector) if label not in known[name]
        ]
    for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        made = set(re.findall(r'label_replace\(.*?, "(\w+)"', expression))
        wrong += [label for label in re.findall(r"\w+", group) if label not in labels | made]
    return wrong


def lint(text: str) -> None:
    """Fails when `promtool check metrics` finds anything in what a process serves."""
    command = [require_tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
