"""Alertmanager with the routes of `deploy/`: it shows what is firing, and tells nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.demo.monitoring.service import Service, which

if TYPE_CHECKING:
    from pathlib import Path

    from stream.demo.monitoring.files import Files

__all__ = ["MISSING", "PORT", "program", "service"]

PORT = 9093
MISSING = "Alertmanager is not on the PATH: make tools, or https://prometheus.io/download/; Prometheus shows the alerts"


def program() -> str | None:
    return which("alertmanager", "prometheus-alertmanager")  # the second is Debian's name


def service(program: str, files: Files, folder: Path, port: int) -> Service:
    return Service(
        "Alertmanager",
        f"http://127.0.0.1:{port}/",
        [
            program,
            f"--config.file={files.alertmanager}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--web.external-url=http://127.0.0.1:{port}/",
            "--cluster.listen-address=",  # one alone
            "--log.level=warn",
        ],
    )
