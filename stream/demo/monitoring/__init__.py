"""Prometheus, Alertmanager and Grafana on the demo, as far as this machine has them.

They get the rules and dashboards of `deploy/`, and settings of their own: everything listens on loopback, and what they
write is in a temporary folder.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from stream.demo.monitoring import alertmanager, grafana, prometheus
from stream.demo.monitoring.files import find
from stream.demo.process import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from stream.demo.monitoring.service import Service
    from stream.demo.process import Ports

__all__ = ["Monitoring"]


class Monitoring:
    """For the length of the `with` block. `told` says in one line each what runs where, and what is missing.

    Raises `SettingError` when this installation lacks the rules and dashboards.
    """

    def __init__(self, ports: Ports) -> None:
        self._files = find()
        self._ports = ports
        self._running: list[Process] = []
        self.told: list[str] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ajil-demo-")))
            for service in self._services(folder):
                process = Process(service.name, service.command, service.environment(os.environ), folder)
                try:
                    self._running.append(stack.enter_context(process))
                except OSError as error:
                    self.told.append(f"{service.name} cannot be started: {error}")
                else:
                    self.told.append(f"{service.name:<12}  {service.url}")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def ended(self) -> Iterator[str]:
        """A line for each service that has ended by itself, once; the demo goes on without it."""
        for process in list(self._running):
            if failure := process.failure():
                self._running.remove(process)
                last = process.log_tail(1)
                yield f"{failure}; the demo goes on without it{': ' if last else ''}{''.join(last)}"

    def _services(self, folder: Path) -> Iterator[Service]:
        """In the order in which they start; they are stopped in the reverse one."""
        alerts = alertmanager.program()
        metrics = prometheus.program()
        boards = grafana.program()
        alerts_port = free_port(alertmanager.PORT) if alerts and metrics else None
        metrics_port = free_port(prometheus.PORT)
        if not metrics:
            self.told.append(prometheus.MISSING)
            return
        if alerts and alerts_port:
            yield alertmanager.service(alerts, self._files, folder, alerts_port)
        else:
            self.told.append(alertmanager.MISSING)
        yield prometheus.service(metrics, self._files, folder, metrics_port, self._ports, alerts_port)
        if boards:
            yield grafana.service(boards, self._files, folder, free_port(grafana.PORT), metrics_port)
        else:
            self.told.append(grafana.MISSING)
