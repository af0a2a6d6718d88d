"""A real `ajil gateway` in a process of its own, as an operator would start it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from tests.ports import free_ports
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GatewayProcess"]


class GatewayProcess:
    """Started at once, on one port through restarts; `with` ends it however the test ends. Its log is JSON Lines."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        (self.port,) = free_ports(1)
        self._folder = folder
        self._env = env | {"AJIL_GATEWAY_PORT": str(self.port)}
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.log_path = self._folder / f"gateway-{time.monotonic_ns()}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli", "gateway"],
                env=self._env,
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

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in told if event in str(line.get("event"))]

    def wait_serving(self) -> Self:
        """Until it answers, whether or not Kafka is there."""
        wait_for("gateway serving", lambda: self._alive() and bool(self.logged("serving")))
        return self

    def wait_reading(self) -> Self:
        """Until it reads both topics, and can produce."""
        wait_for("gateway reading", lambda: self._alive() and len(self.logged("reading")) >= 2)
        wait_for("gateway producing", lambda: self._alive() and bool(self.logged("producing to Kafka")))
        return self

    def _alive(self) -> bool:
        assert self.process.poll() is None, f"the gateway ended: {self.log_path.read_text()[-2000:]}"
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)
