"""What Grafana asks Prometheus for a dashboard, and what of the answers it could not draw."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e.monitoring.prometheus import PrometheusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.monitoring.prometheus import Prometheus

__all__ = ["DASHBOARDS", "Query", "expanded", "problem", "queries", "variables"]

FOLDER = Path(__file__).parents[3] / "deploy" / "grafana" / "dashboards"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
SCRAPES_OF_A_RATE = 4
"""`$__rate_interval` is four scrape intervals, or the step and one more where that is longer."""


class Query(NamedTuple):
    """One expression, its variables not yet expanded; `place` is (dashboard, panel or annotation, refId)."""

    place: tuple[str, str, str]
    expression: str
    legend: str
    instant: bool


def queries(name: str) -> Iterator[Query]:
    """Everything that a dashboard's panels, collapsed rows included, and its annotations ask."""
    dashboard = DASHBOARDS[name]
    for panel in [inner for outer in dashboard["panels"] for inner in (outer, *outer.get("panels", ()))]:
        for target in panel.get("targets", ()):
            place = (name, panel["title"], target["refId"])
            instant = bool(target.get("instant")) and not target.get("range")
            yield Query(place, target["expr"], target.get("legendFormat", ""), instant)
    for annotation in dashboard["annotations"]["list"]:
        target = annotation["target"]
        told = annotation.get("titleFormat", "") + annotation.get("textFormat", "")
        yield Query((name, annotation["name"], target["refId"]), target["expr"], told, instant=False)


def variables(name: str, prometheus: Prometheus) -> tuple[dict[str, str], dict[str, str]]:
    """Variable -> what stands for it in an expression: with everything chosen by "All", and one by one.

    A variable that Prometheus has no value for is left out, as an expression with it is not asked.
    """
    everything: dict[str, str] = {}
    one_by_one: dict[str, str] = {}
    for variable in DASHBOARDS[name]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert asked, variable["query"]
        values = prometheus.label_values(asked[1], asked[2])
        if values:
            chosen = "|".join(_escaped(value) for value in values)
            one_by_one[variable["name"]] = f"({chosen})" if len(values) > 1 else chosen
            everything[variable["name"]] = variable["allValue"] if variable["includeAll"] else chosen
    return everything, one_by_one


def expanded(expression: str, chosen: Mapping[str, str]) -> str:
    """The expression with `$name` and `${name}` replaced. KeyError for a variable that has no value."""
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda found: chosen[found[1] or found[2]], expression)


def problem(query: Query, chosen: Mapping[str, str], prometheus: Prometheus, start: float, end: float) -> str | None:
    """Why Grafana would show an error, nothing, or a legend with holes; None when all is well."""
    step = max(prometheus.scrape_seconds, (end - start) / 500)
    rate = max(SCRAPES_OF_A_RATE * prometheus.scrape_seconds, step + prometheus.scrape_seconds)
    lengths = {"__rate_interval": rate, "__interval": step, "__range": end - start}
    times = {name: f"{round(seconds * 1000)}ms" for name, seconds in lengths.items()}
    try:
        expression = expanded(query.expression, times | dict(chosen))
        if query.instant:
            series = [one for one in prometheus.query(expression) if _drawn([one["value"]])]
        else:
            series = [one for one in prometheus.query_range(expression, start, end, step) if _drawn(one["values"])]
    except KeyError as unknown:
        return f"{query.place}: the variable {unknown} has no value"
    except PrometheusError as error:
        return f"{query.place}: {error}"
    if not series:
        return f"{query.place}: no data for {expression}"
    for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", query.legend):
        lacking = [one["metric"] for one in series if label not in one["metric"]]
        if lacking:
            return f"{query.place}: the legend names {label}, which {lacking[0]} lacks"
    return None


def _drawn(values: list[list[Any]]) -> bool:
    return any(not math.isnan(float(value)) for _, value in values)


def _escaped(value: str) -> str:
    """For a regular expression in a PromQL string, where a backslash is two."""
    return re.sub(r"([$^*{}\[\]'+?.()|\\])", r"\\\\\1", value)
