"""Dashboards: every panel can be drawn, says what it shows, and asks for metrics that Ajil has."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import require_tool
from tests.exposition import samples, unknown
from tests.test_rules import NAMES, RECORDED, RUNBOOKS

ROOT = Path(__file__).parent.parent
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]
EACH_PANEL = pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=[f"{name}-{panel['id']}-{panel['title']}" for name, panel in PANELS]
)
# As Grafana does it, for a range of an hour and all instances.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$lang": ".*"}
TRACED = ("article_age", "alert_age", "gateway_alert_delay", "delivery_age")
"""Histograms that have exemplars."""


def expanded(text: str) -> str:
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    assert "$" not in text, text
    return text


def queries(dashboard: dict[str, Any]) -> list[str]:
    """Every expression that a dashboard sends to Prometheus."""
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [annotation["target"]["expr"] for annotation in dashboard["annotations"]["list"]]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked.append(re.sub(r"label_values\((.+), \w+\)$", r"\1", variable["query"]["query"]))
    return [expanded(expression) for expression in asked]


def test_there_are_the_four_of_the_runbooks() -> None:
    assert list(DASHBOARDS) == ["delivery", "model", "newsroom", "overview"]
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == 4


@pytest.mark.parametrize("name", DASHBOARDS)
def test_prometheus_can_read_every_query(name: str, tmp_path: Path) -> None:
    rules = [{"record": f"query:{n}", "expr": expr} for n, expr in enumerate(queries(DASHBOARDS[name]))]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": name, "rules": rules}]}), encoding="utf-8")

    done = subprocess.run(
        [require_tool("promtool"), "check", "rules", "--lint=none", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_names_metrics_and_labels_that_ajil_has(name: str) -> None:
    for expression in queries(DASHBOARDS[name]):
        assert unknown(expression, RECORDED) == [], expression


@EACH_PANEL
def test_a_legend_names_labels_that_the_query_keeps(name: str, panel: dict[str, Any]) -> None:
    known = samples() | RECORDED
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        groups = re.findall(r"\b(?:sum|max|count) (?:by \(([^)]*)\) )?\(", target["expr"])
        if groups:
            kept = set.intersection(*(set(re.findall(r"\w+", group)) for group in groups))
        else:
            kept = set.union(*(known[metric] for metric in re.findall(r"[\w:]+", target["expr"]) if metric in known))
        assert shown <= kept, target["expr"]


@EACH_PANEL
def test_a_panel_says_what_one_sees(name: str, panel: dict[str, Any]) -> None:
    assert panel["title"].endswith("?") or panel["type"] == "stat"
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    # Where nothing is the good case, an empty panel must not look broken.
    assert panel["fieldConfig"]["defaults"]["noValue"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_titles_of_numbers_can_be_read_on_a_small_screen(name: str) -> None:
    for panel in DASHBOARDS[name]["panels"]:
        if panel["type"] == "stat":
            # At 1,366 pixels a column has 55, the gap to the next one included; the signs for description and link have
            # 64, borders and gaps 18, a letter of Grafana's font 6.3 on average.
            room = 55 * panel["gridPos"]["w"] - 64 - 18
            assert 6.3 * len(panel["title"]) < room, panel["title"]


@EACH_PANEL
def test_traces_are_drawn_once_where_a_histogram_has_them(name: str, panel: dict[str, Any]) -> None:
    drawn: dict[str, int] = {}
    for target in panel["targets"]:
        asked = re.search(rf"ajil_({'|'.join(TRACED)})_seconds_bucket{{[^}}]*}}", target["expr"])
        assert asked or "exemplar" not in target
        if asked:
            drawn[asked[0]] = drawn.get(asked[0], 0) + target.get("exemplar", False)
    assert set(drawn.values()) <= {1}, drawn


@EACH_PANEL
def test_a_panel_links_to_runbooks_that_exist(name: str, panel: dict[str, Any]) -> None:
    for link in panel.get("links", []):
        found = re.fullmatch(r"\$\{runbooks\}/(\w+)\.md", link["url"])
        assert found
        assert (RUNBOOKS / f"{found[1]}.md").is_file()


def test_every_alert_but_the_watchdog_can_be_seen_on_a_panel() -> None:
    linked = {link["url"].split("/")[-1].removesuffix(".md") for _, panel in PANELS for link in panel.get("links", [])}

    assert set(NAMES) - {"AjilWatchdog"} <= linked


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_their_own_ids_and_places(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        over = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or over, (one, other)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables_are_used_and_runbooks_are_where_compose_serves_them(name: str) -> None:
    text = json.dumps(DASHBOARDS[name])
    variables = {variable["name"]: variable for variable in DASHBOARDS[name]["templating"]["list"]}
    for variable in variables:
        assert len(re.findall(rf"\$\{{?{variable}\b", text)) > 1, variable
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    public = variables["runbooks"]["query"]

    assert f"./docs/runbooks:/usr/share/grafana{public}:ro" in services["grafana"]["volumes"]


def test_titles_that_runbooks_name_are_those_of_panels() -> None:
    titles = {(name.capitalize(), panel["title"]) for name, panel in PANELS}
    named = {
        found
        for path in RUNBOOKS.glob("*.md")
        for found in re.findall(r"(Overview|Newsroom|Model|Delivery), \*([^*]+)\*", path.read_text(encoding="utf-8"))
    }

    assert named
    assert named <= titles


def test_grafana_is_given_the_data_source_and_the_dashboards() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text("utf-8"))["datasources"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/ajil.yml").read_text("utf-8"))["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    grafana = compose["services"]["grafana"]

    assert source["isDefault"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/overview.json"
