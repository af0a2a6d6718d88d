"""Every panel of every dashboard shows something, from a live system."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.conftest import require_tool
from tests.e2e.monitoring.grafana import DASHBOARDS, expanded, problem, queries, variables
from tests.exposition import samples
from tests.test_rules import RECORDED
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.monitoring.apparatus import System

SECONDS = 45.0
"""How long the traffic may take to bring about all that is shown; 20 s on a quiet machine of two cores."""

FAULTLESS = "the system under watch has no such fault while dashboards are looked at"
MAY_BE_EMPTY = {
    ("overview", "What do the Kafka clients complain of?", "A"): FAULTLESS,
    ("overview", "How many articles come in, and what becomes of them?", "D"): "no transaction is aborted",
    ("delivery", "Who reads the stream, and who was too slow?", "B"): "no reader is slow for half a minute",
}
"""Places of queries that bring nothing when all is well, and why; each is shown to bring something else."""


def problems(name: str, system: System) -> list[str]:
    """What Grafana could not draw of a dashboard, with all instances chosen by "All", and one by one."""
    everything, one_by_one = variables(name, system.prometheus)
    start, end = system.started - 5, time.time()
    found = [
        problem(query, chosen, system.prometheus, start, end)
        for query in queries(name)
        if query.place not in MAY_BE_EMPTY
        for chosen in (everything, one_by_one)
    ]
    return [one for one in found if one]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_something_to_show(name: str, system: System) -> None:
    until = time.monotonic() + SECONDS
    while (found := problems(name, system)) and time.monotonic() < until:
        time.sleep(1)

    assert found == []


@pytest.mark.parametrize(
    "judged", ["ajil_feedback_topics_total", "ajil_feedback_breaking_total{said='true', result='wrong'}"]
)
def test_what_editors_say_meets_the_answers(judged: str, system: System) -> None:
    """Their panels show zero from the start, whether or not anybody says anything."""
    wait_for(judged, lambda: system.prometheus.query(f"sum({judged}) > 0"))


def example(expression: str) -> list[str]:
    """A series for every metric of the expression, with labels that its selectors take."""
    known = samples() | RECORDED
    found = []
    for name, selector in re.findall(r"\b((?:ajil|process)_\w+|up|ALERTS)\b(?:\{([^}]*)\})?", expression):
        labels = dict.fromkeys(known[name], "x")
        for label, operator, value in re.findall(r'(\w+)(=~?)"([^"]*)"', selector):
            # The first alternative of a regular expression; `.*` takes anything.
            labels[label] = value.split("|")[0] if operator == "=" or value != ".*" else "x"
        told = ", ".join(f'{label}="{value}"' for label, value in labels.items())
        found.append(f"{name}{{{told}}}")
    return found


@pytest.mark.parametrize("place", MAY_BE_EMPTY, ids=lambda place: f"{place[0]}-{place[1]}-{place[2]}")
def test_what_may_be_empty_is_not_always(place: tuple[str, str, str], tmp_path: Path) -> None:
    (query,) = (query for query in queries(place[0]) if query.place == place)
    everything = {variable["name"]: ".*" for variable in DASHBOARDS[place[0]]["templating"]["list"]}
    expression = expanded(query.expression, everything | {"__rate_interval": "1m"})
    case = {
        "interval": "15s",
        "input_series": [{"series": series, "values": "0+1x40"} for series in example(expression)],
        "promql_expr_test": [
            {
                "expr": f"count({expression}) > bool 0",
                "eval_time": "5m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"tests": [case]}), encoding="utf-8")

    done = subprocess.run([require_tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True)

    assert case["input_series"]
    assert done.returncode == 0, done.stdout + done.stderr
