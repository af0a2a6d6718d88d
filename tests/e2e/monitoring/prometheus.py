"""Prometheus and Alertmanager in processes of their own, with this project's configuration, compressed in time."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.conftest import require_tool
from tests.e2e.monitoring.compression import compressed
from tests.ports import free_ports
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Alertmanager", "Prometheus", "PrometheusError"]

DEPLOY = Path(__file__).parents[3] / "deploy"


class PrometheusError(Exception):
    """What Prometheus says of a query that it refuses."""


class _Program:
    """A server on a port of 127.0.0.1 that `with` ends; its log is `NAME.log` in the folder."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._log = folder / f"{name}.log"
        command = [require_tool(name), f"--web.listen-address={self.address}", *options]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def wait_ready(self) -> Self:
        wait_for(f"{self._log.stem} ready", self._is_ready)
        return self

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def get(self, path: str, **query: str | Sequence[str]) -> Any:
        url = f"http://{self.address}{path}?{urllib.parse.urlencode(query, doseq=True)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Alertmanager(_Program):
    """Every receiver of the project's configuration is a webhook to `url`/NAME here."""

    def __init__(self, folder: Path, url: str) -> None:
        config = yaml.safe_load(compressed((DEPLOY / "alertmanager" / "alertmanager.yml").read_text("utf-8")))
        for receiver in config["receivers"]:
            receiver["webhook_configs"] = [{"url": f"{url}/{receiver['name']}", "send_resolved": True}]
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        storage = folder / "alertmanager"
        options = (f"--config.file={file}", f"--storage.path={storage}", "--cluster.listen-address=")
        super().__init__(folder, "prometheus-alertmanager", *options)

    def suppressed(self, alertname: str) -> bool:
        """Whether there are such alerts, and all are inhibited by others."""
        found = self.get("/api/v2/alerts", filter=f'alertname="{alertname}"')
        return bool(found) and all(alert["status"]["inhibitedBy"] for alert in found)


class Prometheus(_Program):
    """Scrapes `targets` (job -> addresses) and sends alerts to `alertmanager`."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]], alertmanager: str) -> None:
        config = yaml.safe_load(compressed((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")))
        jobs = {job["job_name"] for job in config["scrape_configs"]}
        assert set(targets) <= jobs
        config["scrape_configs"] = [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ]
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
        rules = folder / "rules"
        rules.mkdir()
        for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
            (rules / path.name).write_text(compressed(path.read_text("utf-8")), encoding="utf-8")
        self.scrape_seconds = int(config["global"]["scrape_interval"].removesuffix("ms")) / 1000
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        files = (f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'prometheus'}")
        # As often as it would be told again, compressed: by default once a minute.
        super().__init__(folder, "prometheus", *files, "--rules.alert.resend-delay=2s")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query, now: series with `metric` and `value`."""
        return self._ask("/api/v1/query", query=expression)["result"]  # type: ignore[no-any-return]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Series with `metric` and `values`."""
        told = self._ask("/api/v1/query_range", query=expression, start=str(start), end=str(end), step=str(step))
        return told["result"]  # type: ignore[no-any-return]

    def label_values(self, selector: str, label: str) -> list[str]:
        return self._ask(f"/api/v1/label/{label}/values", **{"match[]": selector})  # type: ignore[no-any-return]

    def firing(self, alertname: str, **labels: str) -> bool:
        wanted = {"alertname": alertname, **labels}.items()
        alerts = self._ask("/api/v1/alerts")["alerts"]
        return any(alert["state"] == "firing" and wanted <= alert["labels"].items() for alert in alerts)

    def fired_at(self, alertname: str, since: float, **labels: str) -> float | None:
        """When an alert began to fire, to a scrape interval: the first time after `since` (both of `time.time`)."""
        wanted = {"alertname": alertname, "alertstate": "firing", **labels}
        selector = ", ".join(f'{name}="{value}"' for name, value in wanted.items())
        series = self.query_range(f"ALERTS{{{selector}}}", since, time.time(), self.scrape_seconds)
        return min((float(one["values"][0][0]) for one in series), default=None)

    def _ask(self, path: str, **query: str) -> Any:
        try:
            return self.get(path, **query)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise PrometheusError(json.load(error)["error"]) from None
