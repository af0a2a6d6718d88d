"""`ajil demo --with-monitoring` with a real Prometheus and Alertmanager on it, and a stand-in for Grafana."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import require_tool
from tests.ports import is_open
from tests.stream.test_demo_monitoring import archive
from tests.test_dashboards import DASHBOARDS
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Panels that have something to show in every demo: everything but what failed, and what only people do.
SHOWN = {
    "Workers",
    "Gateways",
    "Gateways up",
    "Oldest wait",
    "How many articles come in, and what becomes of them?",
    "How far behind are the workers?",
    "How old is an article when it is enriched?",
    "Is every record accounted for?",
    "Why are articles rejected?",
    "How long ago did each agent commit?",
    "Where does a batch spend its time?",
    "How much memory does each process take?",
    "Which models are served?",
    "Which topics are in the news?",
    "Which languages come in?",
    "How many articles are breaking, and why?",
    "How many alerts go out?",
    "How many stories are open?",
    "Open streams",
    "How long from alert to reader?",
    "Do deliveries succeed?",
    "How old is an alert when its destination takes it?",
}
RETURNED = "ajil_records_returned_total"  # of aborted transactions: there are none


class Demo:
    """The command, started; `lines` is what it has shown so far."""

    def __init__(self, env: dict[str, str], *options: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "demo", "--with-monitoring", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env=env,
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            self.lines.extend(iter(self.process.stdout.readline, ""))

    def url(self, name: str) -> str:
        """Where a service is, once the demo has said so."""

        def told() -> str | None:
            assert self.process.poll() is None, "".join(self.lines)
            found = re.search(rf"^{name} +(http://\S+)$", "".join(list(self.lines)), re.M)
            return found and found[1]

        return str(wait_for(name, told))

    def shown(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    def end(self) -> int:
        code = self.process.wait(90)
        self._thread.join()
        return code


def get(url: str, **query: str) -> Any:
    """The JSON at an address; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    require_tool("prometheus")
    require_tool("prometheus-alertmanager")
    command = archive(tmp_path / "grafana")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    demo = Demo(os.environ | {"PATH": path, "TMPDIR": str(temporary), "PYTHONUTF8": "1"}, "--interval", "0.1")
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGTERM)
        demo.end()


def expressions() -> list[tuple[str, str]]:
    """Panels that must show something, each with what it asks Prometheus for."""
    asked = [
        (panel["title"], re.sub(r"\$__rate_interval", "8s", target["expr"]))
        for board in DASHBOARDS.values()
        for panel in board["panels"]
        for target in panel["targets"]
        if panel["title"] in SHOWN and RETURNED not in target["expr"]
    ]
    return [(title, re.sub(r"\$(instance|lang)", ".*", text)) for title, text in asked]


def test_the_boards_are_alive_and_all_ends_with_the_demo(demo: Demo, tmp_path: Path) -> None:
    prometheus, alertmanager, grafana = (demo.url(name) for name in ("Prometheus", "Alertmanager", "Grafana"))

    def asked(path: str, **query: str) -> Any:
        answer = get(f"{prometheus}api/v1/{path}", **query)
        return answer and answer["data"]

    def up() -> bool:
        targets = (asked("targets") or {}).get("activeTargets", [])
        return {target["labels"]["job"] for target in targets if target["health"] == "up"} == {
            "ajil-worker",
            "ajil-gateway",
            "prometheus",
            "alertmanager",
        }

    wait_for("targets", up)
    assert {title for title, _ in expressions()} == SHOWN
    for title, expression in expressions():
        wait_for(f"{title}: {expression}", lambda text=expression: (asked("query", query=text) or {}).get("result"))

    ages = '{__name__=~"ajil_(article_age|gateway_alert_delay|delivery_age)_seconds_bucket"}'
    found = wait_for("exemplars", lambda: asked("query_exemplars", query=ages, start="0", end="4000000000"))
    assert {len(point["labels"]["trace_id"]) for series in found for point in series["exemplars"]} == {32}

    firing = wait_for("watchdog", lambda: get(f"{alertmanager}api/v2/alerts"))
    assert [alert["labels"]["alertname"] for alert in firing] == ["AjilWatchdog"]
    assert "runbooks" not in firing[0]["labels"]
    with urllib.request.urlopen(firing[0]["annotations"]["runbook_url"], timeout=10) as page:
        assert page.read().startswith(b"# AjilWatchdog\n")

    given = wait_for("Grafana", lambda: get(grafana))
    assert given["datasources"][0]["url"] + "/" == prometheus
    assert get(f"{grafana}api/health")["database"] == "ok"

    # A service that dies is told, and takes nobody with it.
    os.kill(given["pid"], signal.SIGKILL)
    wait_for("word of it", lambda: demo.shown("Grafana ended with exit code -9; the demo goes on without it"))
    seen = len(demo.lines)
    wait_for("more articles", lambda: len(demo.lines) > seen + 5)

    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 0
    assert demo.shown("came out as expected")
    assert not any(is_open(url.split("/")[2]) for url in (prometheus, alertmanager, grafana))
    assert list((tmp_path / "tmp").iterdir()) == []
