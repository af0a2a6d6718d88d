"""What the demo gives Prometheus, Alertmanager and Grafana, and what it says where they are missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from stream.demo.monitoring import Monitoring, grafana, prometheus
from stream.demo.monitoring.files import DEMO, find
from stream.demo.process import Ports, Process
from stream.demo.readers import Desk
from stream.errors import SettingError
from stream.gateway.subscriptions import file as subscriptions
from tests.conftest import require_tool
from tests.ports import free_ports
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
FAKE_GRAFANA = ROOT / "tests" / "fake_grafana.py"
PORTS = Ports(worker=8080, gateway=8090)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def archive(folder: Path) -> Path:
    """Grafana's archive, unpacked; returns its command."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "defaults.ini").write_text("", encoding="utf-8")
    return script(folder / "bin" / "grafana", f'exec {sys.executable} {FAKE_GRAFANA} "$@"')


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH, with nothing in it."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


# What is missing


def test_a_machine_without_prometheus_is_told_where_to_get_it(path: Path) -> None:
    with Monitoring(PORTS) as monitoring:
        assert monitoring.told == [prometheus.MISSING]
        assert list(monitoring.ended()) == []


def test_what_is_missing_is_told_in_one_line_each_and_the_rest_runs(path: Path) -> None:
    script(path / "prometheus", "exec /bin/sleep 600")

    with Monitoring(PORTS) as monitoring:
        missing, running, boards = monitoring.told

    assert missing.startswith("Alertmanager is not on the PATH: ")
    assert running.startswith("Prometheus    http://127.0.0.1:")
    assert boards.startswith("Grafana is not on the PATH, so there are no dashboards: https://")


def test_a_service_that_ends_is_told_once_with_its_last_words(path: Path) -> None:
    script(path / "prometheus", "echo 'no space left' >&2; exit 3")

    with Monitoring(PORTS) as monitoring:
        (told,) = wait_for("the end", lambda: list(monitoring.ended()))
        assert told == "Prometheus ended with exit code 3; the demo goes on without it: no space left"
        assert list(monitoring.ended()) == []


def test_a_program_that_cannot_be_run_is_told(path: Path) -> None:
    (path / "prometheus").write_bytes(b"\x7fELF")
    (path / "prometheus").chmod(0o755)

    with Monitoring(PORTS) as monitoring:
        assert "Prometheus cannot be started: " in monitoring.told[1]


def test_what_was_started_is_stopped_and_its_files_are_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = path / "kept"
    kept.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    stopped = path / "stopped"
    script(path / "prometheus", f"trap 'echo > {stopped}; exit 0' TERM; echo ready; while :; do /bin/sleep 0.05; done")

    with Monitoring(PORTS) as monitoring:
        (process,) = monitoring._running
        wait_for("start", lambda: process.log_tail() == ["ready"])
        assert len(list(kept.iterdir())) == 1

    assert stopped.exists()
    assert list(kept.iterdir()) == []


# What they are given


def test_prometheus_has_the_jobs_and_rules_of_the_deployment(tmp_path: Path) -> None:
    config = prometheus.configuration(find(), 9090, PORTS, 9093)
    deployed = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))

    assert {job["job_name"] for job in config["scrape_configs"]} == {
        job["job_name"] for job in deployed["scrape_configs"]
    }
    assert set(config["global"]) == set(deployed["global"])
    assert config["alerting"]["alert_relabel_configs"] == deployed["alerting"]["alert_relabel_configs"]
    file = tmp_path / "prometheus.yml"
    file.write_text(json.dumps(config), encoding="utf-8")
    done = subprocess.run(
        [require_tool("promtool"), "check", "config", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rule files found" in done.stdout


def place(folder: Path, kind: str) -> tuple[Path, Path]:
    """A command of Grafana's, installed in some way, and its home."""
    home = folder / "home"
    own = archive(home)
    if kind == "archive":
        return own, home
    if kind == "link":
        link = folder / "bin" / "grafana"
        link.parent.mkdir()
        link.symlink_to(own)
        return link, home
    return script(folder / "sbin" / "grafana-server", "exit 9"), home  # a package's


@pytest.mark.parametrize("kind", ["archive", "link", "package"])
def test_grafana_is_found_with_its_home(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command, home = place(tmp_path, kind)
    monkeypatch.setenv("PATH", str(command.parent))

    program = grafana.program([str(home)])

    assert program
    assert program.home.resolve() == home.resolve()
    assert Path(program.command[0]).resolve() == (home / "bin" / "grafana").resolve()
    assert program.command[1:] == ["server"]


def test_grafana_without_its_home_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script(tmp_path / "bin" / "grafana", "exit 9").parent))

    assert grafana.program([]) is None


def test_grafana_shows_our_dashboards_to_everybody_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GF_PATHS_DATA", "/elsewhere")
    program = grafana.Program([str(archive(tmp_path / "home")), "server"], tmp_path / "home")
    (port,) = free_ports(1)
    service = grafana.service(program, find(), tmp_path, port, 9090)

    def served() -> Any:
        try:
            with urllib.request.urlopen(service.url, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            assert process.failure() is None, process.log_tail()
            return None

    with Process(service.name, service.command, service.environment(os.environ), tmp_path) as process:
        told = wait_for("Grafana", served)

    assert told["foreign"] == []
    assert told["home"] == "Ajil: Overview"
    (source,) = told["datasources"]
    assert (source["url"], source["isDefault"], source["jsonData"]["timeInterval"]) == (
        "http://127.0.0.1:9090",
        True,
        "2s",
    )
    names = {path.name for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    assert len(told["dashboards"]) == len(names)
    for board in told["dashboards"]:
        (runbooks,) = (v["query"] for v in board["templating"]["list"] if v["name"] == "runbooks")
        assert runbooks == "http://127.0.0.1:9090/user"
        assert board["time"] == {"from": "now-5m", "to": "now"}


def test_grafana_has_the_settings_of_the_compose_file(tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]["grafana"]["environment"]
    given = {
        f"GF_{section}_{name}".replace(".", "_").upper(): value
        for section, values in grafana._settings(tmp_path, 3000).items()
        for name, value in values.items()
    }

    theirs = {name: value for name, value in compose.items() if not name.endswith("_PATH")}
    assert {name: given.get(name) for name in theirs} == theirs
    assert given["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_the_desk_is_a_subscription_that_the_gateway_takes() -> None:
    with Desk() as desk:
        (destination,) = subscriptions.load(desk.subscriptions).destinations.values()
        request = urllib.request.Request(destination.url, b"{}", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204

    assert not desk.subscriptions.exists()


# Where they are


def test_a_built_package_has_them_too(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    packed, here = find(tmp_path / "stream" / "demo", tmp_path / "nowhere"), find(tmp_path, ROOT)
    names: Callable[[Path], set[str]] = lambda folder: {path.name for path in folder.iterdir()}  # noqa: E731
    assert [names(folder) for folder in (packed.rules, packed.dashboards, packed.runbooks)] == [
        names(folder) for folder in (here.rules, here.dashboards, here.runbooks)
    ]
    assert packed.alertmanager.read_bytes() == here.alertmanager.read_bytes()


def test_an_installation_without_them_says_so(tmp_path: Path) -> None:
    assert find(DEMO).rules.is_dir()
    with pytest.raises(SettingError, match="run it from a checkout"):
        find(tmp_path, tmp_path)
