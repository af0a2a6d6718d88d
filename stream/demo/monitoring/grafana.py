"""Grafana with the dashboards of `deploy/`, for everybody on this machine to look at and nobody to change.

It finds its own files by its home folder; everything that it writes, and all its settings, are ours.
"""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stream.demo.monitoring import prometheus
from stream.demo.monitoring.service import Service, which

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.demo.monitoring.files import Files

__all__ = ["MISSING", "PORT", "Program", "program", "service"]

PORT = 3000
MISSING = "Grafana is not on the PATH, so there are no dashboards: https://grafana.com/grafana/download"
HOMES = ("/usr/share/grafana", "/opt/homebrew/share/grafana", "/usr/local/share/grafana")
"""Of the packages for Debian and Red Hat, whose command is a script elsewhere, and of Homebrew."""


PROVISIONED = ("datasources", "dashboards", "plugins", "alerting")
"""Folders that it complains of when they are not there."""


class Program(NamedTuple):
    """`command` runs the server; `home` has its `conf/defaults.ini`."""

    command: list[str]
    home: Path


def program(homes: Sequence[str] = HOMES) -> Program | None:
    """The server that the PATH has. `homes` is where packages put their files."""
    found = which("grafana", "grafana-server")
    home = _home(Path(found), homes) if found else None
    if not found or not home:
        return None
    # The packages' commands are scripts that put the settings of /etc before ours.
    own = home / "bin" / "grafana"
    if own.is_file():
        return Program([str(own), "server"], home)
    return Program([found, "server"] if Path(found).name == "grafana" else [found], home)


def _home(found: Path, homes: Sequence[str]) -> Path | None:
    """The home folder of a command: the archive that it lies in, else where packages put it."""
    candidates = [found.resolve().parent.parent, *map(Path, homes)]
    return next((home for home in candidates if (home / "conf" / "defaults.ini").is_file()), None)


def service(program: Program, files: Files, folder: Path, port: int, prometheus_port: int) -> Service:
    own = folder / "grafana"
    for name in ("data", "plugins", *(f"provisioning/{kind}" for kind in PROVISIONED)):
        (own / name).mkdir(parents=True)
    _provision(own, files, prometheus_port)
    config = configparser.ConfigParser(interpolation=None)
    config.read_dict(_settings(own, port))
    with (own / "grafana.ini").open("w", encoding="utf-8") as file:
        config.write(file)
    return Service(
        "Grafana",
        f"http://127.0.0.1:{port}/",
        [*program.command, f"--homepath={program.home}", f"--config={own / 'grafana.ini'}"],
        foreign="GF_",
    )


def _provision(own: Path, files: Files, prometheus_port: int) -> None:
    """The data source and the dashboards. JSON is YAML too."""
    source = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://127.0.0.1:{prometheus_port}",
        "isDefault": True,
        "jsonData": {"timeInterval": prometheus.INTERVAL, "httpMethod": "POST"},
    }
    provider = {
        "name": "ajil",
        "folder": "Ajil",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": str(own / "dashboards")},
    }
    _write(own / "provisioning/datasources/prometheus.yml", {"apiVersion": 1, "datasources": [source]})
    _write(own / "provisioning/dashboards/ajil.yml", {"apiVersion": 1, "providers": [provider]})
    (own / "dashboards").mkdir()
    for path in files.dashboards.glob("*.json"):
        board = _for_the_demo(json.loads(path.read_text(encoding="utf-8")), prometheus.runbooks(prometheus_port))
        _write(own / "dashboards" / path.name, board)


def _for_the_demo(dashboard: dict[str, Any], runbooks: str) -> dict[str, Any]:
    """The last minutes, followed closely, and runbooks where the demo has them."""
    variables = [
        variable | {"query": runbooks} if variable["name"] == "runbooks" else variable
        for variable in dashboard["templating"]["list"]
    ]
    templating = dashboard["templating"] | {"list": variables}
    return dashboard | {
        "time": {"from": "now-5m", "to": "now"},
        "refresh": "5s",  # the shortest that Grafana allows
        "templating": templating,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _settings(own: Path, port: int) -> dict[str, dict[str, str]]:
    """As in docker-compose.yml: nobody can log in, nothing is fetched or reported."""
    return {
        "server": {"http_addr": "127.0.0.1", "http_port": str(port), "domain": "127.0.0.1"},
        "paths": {
            "data": str(own / "data"),
            "logs": str(own / "data" / "log"),
            "plugins": str(own / "plugins"),
            "provisioning": str(own / "provisioning"),
        },
        "auth": {"disable_login_form": "true"},
        "auth.anonymous": {"enabled": "true", "org_role": "Viewer"},
        "security": {"disable_initial_admin_creation": "true", "disable_gravatar": "true"},
        "dashboards": {"default_home_dashboard_path": str(own / "dashboards" / "overview.json")},
        "plugins": {
            "preinstall_disabled": "true",
            "preinstall_auto_update": "false",
            "plugin_admin_enabled": "false",
            "public_key_retrieval_disabled": "true",
        },
        "analytics": {
            "reporting_enabled": "false",
            "check_for_updates": "false",
            "check_for_plugin_updates": "false",
            "feedback_links_enabled": "false",
        },
        "news": {"news_feed_enabled": "false"},
        "snapshots": {"external_enabled": "false"},
        "log": {"mode": "console", "level": "warn"},
    }
