"""Prometheus on the demo's worker and gateway. It serves the runbooks too, which alerts and dashboards link to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stream.demo.monitoring.service import Service, which

if TYPE_CHECKING:
    from pathlib import Path

    from stream.demo.monitoring.files import Files
    from stream.demo.process import Ports

__all__ = ["INTERVAL", "MISSING", "PORT", "program", "runbooks", "service"]

PORT = 9090
INTERVAL = "2s"
"""Between two scrapes: a demo is looked at for minutes, not for hours."""
MISSING = "Prometheus is not on the PATH, so there is no monitoring: make tools, or https://prometheus.io/download/"


def program() -> str | None:
    return which("prometheus")


def runbooks(port: int) -> str:
    """Where the pages of `docs/runbooks` are served."""
    return f"http://127.0.0.1:{port}/user"


def service(program: str, files: Files, folder: Path, port: int, ports: Ports, alertmanager: int | None) -> Service:
    # JSON is YAML too.
    config = folder / "prometheus.yml"
    config.write_text(json.dumps(configuration(files, port, ports, alertmanager)), encoding="utf-8")
    return Service(
        "Prometheus",
        f"http://127.0.0.1:{port}/",
        [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--web.external-url=http://127.0.0.1:{port}/",
            f"--web.user-assets={files.runbooks}",
            "--enable-feature=exemplar-storage",
            # What fires before Alertmanager is found is told again after so long; the default is a minute.
            "--rules.alert.resend-delay=5s",
            "--log.level=warn",
        ],
    )


def configuration(files: Files, port: int, ports: Ports, alertmanager: int | None) -> dict[str, Any]:
    """As `deploy/prometheus/prometheus.yml`, with the demo's addresses and a shorter interval."""
    jobs = {"ajil-worker": ports.worker, "ajil-gateway": ports.gateway, "prometheus": port}
    if alertmanager:
        jobs["alertmanager"] = alertmanager
    return {
        "global": {
            "scrape_interval": INTERVAL,
            "evaluation_interval": INTERVAL,
            "external_labels": {"runbooks": runbooks(port)},
        },
        "rule_files": [f"{files.rules}/*.yml"],
        "alerting": {
            "alert_relabel_configs": [{"action": "labeldrop", "regex": "runbooks"}],
            "alertmanagers": [_targets(alertmanager)] if alertmanager else [],
        },
        "scrape_configs": [{"job_name": job, **_targets(number)} for job, number in jobs.items()],
    }


def _targets(port: int) -> dict[str, Any]:
    return {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
