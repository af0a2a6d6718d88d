"""Dashboards are what Grafana's own types say a dashboard is: it would pass over what it does not know."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import require_tool

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKER = Path(__file__).parent / "dashboard_types.mjs"
DASHBOARDS = sorted((Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards").glob("*.json"))


def problems(node_modules: Path, files: list[Path]) -> list[str]:
    command = [require_tool("node"), str(CHECKER), str(node_modules), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == bool(done.stdout)
    return done.stdout.splitlines()


def test_dashboards_have_the_types_of_grafana(node_modules: Path) -> None:
    assert DASHBOARDS
    assert problems(node_modules, DASHBOARDS) == []


def panel(dashboard: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(panel for panel in dashboard["panels"] if panel["type"] == kind)
    return found


def misspelt_option(dashboard: dict[str, Any]) -> None:
    panel(dashboard, "timeseries")["options"]["legend"]["displaymode"] = "list"


def unknown_value(dashboard: dict[str, Any]) -> None:
    panel(dashboard, "stat")["options"]["colorMode"] = "backdrop"


def misspelt_custom(dashboard: dict[str, Any]) -> None:
    panel(dashboard, "timeseries")["fieldConfig"]["defaults"]["custom"]["spanNull"] = True


def foreign_option(dashboard: dict[str, Any]) -> None:
    panel(dashboard, "stat")["options"]["rowHeight"] = 1


def unknown_override(dashboard: dict[str, Any]) -> None:
    panel(dashboard, "table")["fieldConfig"]["overrides"][1]["properties"][0]["id"] = "custom.breadth"


def unknown_panel(dashboard: dict[str, Any]) -> None:
    panel(dashboard, "table")["type"] = "tabel"


def unknown_number(dashboard: dict[str, Any]) -> None:
    dashboard["graphTooltip"] = 7


def misspelt_variable(dashboard: dict[str, Any]) -> None:
    dashboard["templating"]["list"][1]["includeall"] = True


def query_of_another_source(dashboard: dict[str, Any]) -> None:
    panel(dashboard, "timeseries")["targets"][0]["query"] = "up"


BROKEN: dict[Callable[[dict[str, Any]], None], str] = {
    misspelt_option: "panel 8 .* '\"displaymode\"' does not exist",
    unknown_value: "panel 1 .* Type '\"backdrop\"' is not assignable",
    misspelt_custom: "panel 8 .* '\"spanNull\"' does not exist",
    foreign_option: "panel 1 .* '\"rowHeight\"' does not exist",
    unknown_override: "panel 25 .* Type '\"custom.breadth\"' is not assignable",
    unknown_panel: "panel 25 .* no panel type tabel",
    unknown_number: "graphTooltip.* Type '7' is not assignable",
    misspelt_variable: "'\"includeall\"' does not exist",
    query_of_another_source: "panel 8 .* '\"query\"' does not exist",
}


@pytest.fixture(scope="module")
def found(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is found in the overview, broken in each way: in one run, because TypeScript is slow to start."""
    folder, files = tmp_path_factory.mktemp("broken"), []
    for break_it in BROKEN:
        dashboard = json.loads(next(path for path in DASHBOARDS if path.stem == "overview").read_text("utf-8"))
        break_it(dashboard)
        files.append(folder / f"{break_it.__name__}.json")
        files[-1].write_text(json.dumps(dashboard), encoding="utf-8")
    return problems(node_modules, files)


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda break_it: break_it.__name__)
def test_what_grafana_would_pass_over_is_found(found: list[str], break_it: Callable[[dict[str, Any]], None]) -> None:
    (told,) = (line for line in found if f"/{break_it.__name__}.json:" in line)

    assert re.search(BROKEN[break_it], told), told
