"""A real `ajil worker` in a process of its own, as an operator would start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kafka_client import Topics

__all__ = ["WorkerProcess", "environment", "wait_for"]


def environment(address: str, topics: Topics, **settings: object) -> dict[str, str]:
    """The environment for an `ajil` command on these topics; `settings` are AJIL_* names in lower case."""
    told = {f"AJIL_TOPIC_{name.upper()}": getattr(topics, name) for name in topics.__dataclass_fields__}
    told |= {"AJIL_BROKERS": address, "AJIL_GROUP": f"g.{topics.raw}", "AJIL_HTTP_PORT": "0"}
    told |= {f"AJIL_{name.upper()}": str(value) for name, value in settings.items()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AJIL_")}
    return clean | told


def wait_for(what: str, found: Any, seconds: float = 60.0) -> Any:
    """The first true answer of `found()`; fails the test with `what` when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


class WorkerProcess:
    """Started at once; `with` ends it however the test ends. Its log is JSON Lines in `log_path`."""

    def __init__(self, folder: Path, env: dict[str, str], *args: str, module: str = "stream.cli") -> None:
        self.log_path = folder / f"worker-{time.monotonic_ns()}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *(["worker"] if module == "stream.cli" else []), *args],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def log(self) -> list[dict[str, Any]]:
        """What it has logged so far, one object for each line (a line that is not JSON as `{"event": line}`)."""
        told = []
        for line in self.log_path.read_text("utf-8", "replace").splitlines():
            try:
                told.append(json.loads(line))
            except json.JSONDecodeError:
                told.append({"event": line})
        return told

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if event in str(line.get("event"))]

    def wait_ready(self) -> Self:
        """Until `/health/ready` says so."""

        def ready() -> bool:
            assert self.process.poll() is None, f"the worker ended: {self.log_path.read_text()[-2000:]}"
            return bool(self.logged("serving metrics")) and self.get("/health/ready")[0] == 200

        wait_for("worker ready", ready)
        return self

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of its HTTP server."""
        url = str(self.logged("serving metrics")[0]["url"]).removesuffix("/metrics") + path
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)
