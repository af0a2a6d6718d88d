"""Programs that run beside the demo, each in a process of its own, for as long as it needs them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from stream.terminal import display

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["GROUP", "Ports", "Process", "ajil", "environment", "free_port"]

GROUP = "ajil-demo"
STOP_TIMEOUT = 30.0
"""Seconds from SIGTERM to SIGKILL: the worker's own deadline is 20 s."""
KEPT = ("AJIL_MODEL", "AJIL_MODEL_SHA256")


class Ports(NamedTuple):
    """Where the worker and the gateway listen, on 127.0.0.1."""

    worker: int
    gateway: int


class Process:
    """A command for the length of the `with` block; `name` is what people call it.

    Its `log` is a file in `folder`, else among the system's temporary ones; it is removed at the end unless something
    went wrong.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self.name = name
        self._folder = folder
        self._command = command
        self._environment = environment

    def __enter__(self) -> Self:
        handle, name = tempfile.mkstemp(prefix="ajil-demo-", suffix=".log", dir=self._folder)
        self.log = Path(name)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, or a program that the user has installed
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                # Its own session: Ctrl-C goes to the demo alone, which then stops the others in order.
                start_new_session=True,
            )
        except BaseException:
            self.log.unlink()
            raise
        finally:
            os.close(handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # An OSError is the terminal that went away, or a reader like `head` that has seen enough.
        if kind is None or issubclass(kind, OSError):
            self.log.unlink(missing_ok=True)

    def failure(self) -> str | None:
        """How it ended, or None while it runs."""
        code = self._process.poll()
        return None if code is None else f"{self.name} ended with exit code {code}"

    def log_tail(self, lines: int = 15) -> list[str]:
        """The last lines of its log, fit for a terminal."""
        return [display(line, 1000) for line in self.log.read_text("utf-8", "replace").splitlines()[-lines:]]


def ajil(name: str, brokers: str, ports: Ports, settings: Mapping[str, str] | None = None) -> Process:
    """`ajil NAME`, as a user would run it. `settings` are further variables."""
    variables = environment(os.environ, brokers, ports) | dict(settings or {})
    return Process(f"the {name}", (sys.executable, "-m", "stream.cli", name), variables)


def environment(environ: Mapping[str, str], brokers: str, ports: Ports) -> dict[str, str]:
    """The user's environment without settings that speak of another Kafka. A model of theirs stays.

    >>> sorted(environment({"PATH": "/bin", "AJIL_TOPIC_RAW": "mine", "AJIL_MODEL": "/mine"}, "k:9", Ports(1, 2)))
    ['AJIL_BROKERS', 'AJIL_GATEWAY_PORT', 'AJIL_GROUP', 'AJIL_HTTP_PORT', 'AJIL_MODEL', 'PATH']
    """
    theirs = {name: value for name, value in environ.items() if not name.startswith("AJIL_") or name in KEPT}
    ours = {"AJIL_HTTP_PORT": str(ports.worker), "AJIL_GATEWAY_PORT": str(ports.gateway)}
    return theirs | {"AJIL_BROKERS": brokers, "AJIL_GROUP": GROUP} | ours


def free_port(wanted: int) -> int:
    """The port of 127.0.0.1 that is wanted, or any other where that one is taken."""
    for port in (wanted, 0):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            return int(tried.getsockname()[1])
    raise OSError("no port of 127.0.0.1 is free")
