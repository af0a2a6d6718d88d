"""The system under watch: Kafka, workers, a gateway with subscriptions, Prometheus, Alertmanager, and who is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from stream.settings import AGENTS, Settings, load_settings
from tests.alerts import subscriptions_file
from tests.e2e.monitoring.prometheus import Alertmanager, Prometheus
from tests.e2e.monitoring.receiver import Notice, Receiver
from tests.e2e.monitoring.traffic import Traffic
from tests.gateway_process import GatewayProcess
from tests.kafka_client import Topics
from tests.kafka_server import KafkaServer
from tests.ports import free_ports
from tests.worker_process import WorkerProcess, environment, wait_for

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Fault", "System", "Timing"]

CLI = "stream.cli"
WORKS, FAILS, REFUSES = "/works", "/fails", "/refuses"
"""Paths of the receiver that subscriptions send to."""


class Timing(NamedTuple):
    """Seconds from a fault to its alert in Prometheus and to its notice, and from the mending to the notice that it is
    over. An alert that was inhibited has no notice: its end is Prometheus's."""

    alert: str
    fired: float
    told: float | None
    over: float


class System:
    """Started by `with`, which ends it too. The topics have their real names, because the rules go by them."""

    def __init__(self, folder: Path) -> None:
        self.timings: list[Timing] = []
        self.kafka = KafkaServer(folder / "kafka")
        self.receiver = Receiver()
        self.receiver.statuses = {FAILS: 503, REFUSES: 422}
        self._folder = folder
        self._exit = ExitStack()
        self._worker_ports = free_ports(2)

    def __enter__(self) -> Self:
        with self._exit:
            self._exit.enter_context(self.receiver)
            self.kafka.start()
            self._exit.callback(self._end_kafka)
            self._configure()
            self.workers = [self._worker(0)]
            self._exit.callback(self._end_workers)
            self.gateway = self._exit.enter_context(GatewayProcess(self._folder, self._env))
            self._watch()
            self.workers[0].wait_ready()
            self.gateway.wait_reading()
            # The second one comes later, so that partitions go from one worker to another.
            self.workers.append(self._worker(1).wait_ready())
            self.prometheus.wait_ready()
            self.started = time.time()
            self.traffic = self._exit.enter_context(Traffic(self.settings, self.gateway.url, self.subscriptions))
            self._exit = self._exit.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _configure(self) -> None:
        names = Settings()
        topics = Topics(**{name: getattr(names, f"topic_{name}") for name in Topics.__dataclass_fields__})
        destinations = {
            path.strip("/"): f'webhook = "{self.receiver.url}{path}"\nallow_private = true'
            for path in (WORKS, FAILS, REFUSES)
        }
        self.subscriptions = subscriptions_file(self._folder, **destinations)
        self._env = environment(
            self.kafka.address,
            topics,
            subscriptions=self.subscriptions,
            gateway_history=20,  # a reader that comes back late is sent what lies in Kafka
            alerts_per_source_per_minute=2,
            alerts_per_minute=60_000,
            gateway_produce_timeout=1,  # less than the traffic waits: it is told that Kafka is away
        )
        self.settings = load_settings(self._env)
        command = [sys.executable, "-m", CLI, "topics", "--create"]
        subprocess.run(command, env=self._env, check=True, capture_output=True)

    def _end_kafka(self) -> None:
        if self.kafka.is_running:
            self.kafka.kill()

    def _end_workers(self) -> None:
        for worker in self.workers:
            worker.kill()

    def _watch(self) -> None:
        self.alertmanager = self._exit.enter_context(Alertmanager(self._folder, f"{self.receiver.url}/alertmanager"))
        # Prometheus sends what fires at once before it scrapes: there must be somebody to take it.
        self.alertmanager.wait_ready()
        self.targets = {
            "ajil-worker": [f"127.0.0.1:{port}" for port in self._worker_ports],
            "ajil-gateway": [f"127.0.0.1:{self.gateway.port}"],
        }
        self.prometheus = self._exit.enter_context(Prometheus(self._folder, self.targets, self.alertmanager.address))

    def _worker(self, number: int, module: str = CLI, **env: str) -> WorkerProcess:
        port = {"AJIL_HTTP_PORT": str(self._worker_ports[number])}
        agents = AGENTS if module != CLI else ()  # all of them by default
        return WorkerProcess(self._folder, self._env | port | env, *agents, module=module)

    def replace(self, number: int, module: str = CLI, **env: str) -> None:
        """End a worker, and start another one in its place: the same port, so the same instance to Prometheus."""
        # In order: the group would wait out the session of one that was killed.
        if self.workers[number].process.poll() is None:
            self.workers[number].stop()
        self.workers[number] = self._worker(number, module, **env).wait_ready()

    def instance(self, number: int) -> str:
        return f"127.0.0.1:{self._worker_ports[number]}"


class Fault:
    """One alert that a fault should set off: one that is made now, or was `made` before (`time.time`)."""

    def __init__(self, system: System, alert: str, made: float | None = None, **labels: str) -> None:
        self.made = made or time.time()
        self._system, self._alert, self._labels = system, alert, labels

    def wait_firing(self) -> Self:
        """Until Prometheus has it firing; Alertmanager may keep it back."""
        wait_for(f"{self._alert} firing", lambda: self._system.prometheus.firing(self._alert, **self._labels), 120)
        return self

    def wait_fired(self) -> Self:
        """Until it has fired, be that over by now."""
        wait_for(f"{self._alert} fired", self._fired_at, 120)
        return self

    def wait_told(self) -> Self:
        """Until it is firing and has been told."""
        self.wait_firing()
        self._told = self._wait_notice("firing", self.made)
        return self

    def wait_resolved(self, mended: float) -> None:
        """Until it is no longer firing, and that has been told; the fault was mended at `mended`."""
        over = self._wait_notice("resolved", mended)
        assert not self._system.prometheus.firing(self._alert, **self._labels)
        self._time(self._told - self.made, over - mended)

    def wait_over(self, mended: float) -> None:
        """Until it is no longer firing, whether or not anybody was told."""
        wait_for(f"{self._alert} over", lambda: not self._system.prometheus.firing(self._alert, **self._labels), 120)
        self._time(
            self._notices("firing", self.made)[0].at - self.made if self.was_told else None, time.time() - mended
        )

    @property
    def was_told(self) -> bool:
        return bool(self._notices("firing", self.made))

    def _time(self, told: float | None, over: float) -> None:
        fired = self._fired_at()
        assert fired
        self._system.timings.append(Timing(self._alert, fired - self.made, told, over))

    def _fired_at(self) -> float | None:
        return self._system.prometheus.fired_at(self._alert, self.made, **self._labels)

    def _notices(self, status: str, since: float) -> list[Notice]:
        return self._system.receiver.told(self._alert, status, since, **self._labels)

    def _wait_notice(self, status: str, since: float) -> float:
        wait_for(f"{self._alert} {status}, told", lambda: self._notices(status, since), 120)
        return self._notices(status, since)[0].at


def freeze(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGSTOP)


def thaw(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGCONT)
