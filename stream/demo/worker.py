"""The demo's worker and gateway, each in a process of its own, as a user would run it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from stream.terminal import display

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["GROUP", "Process", "Worker", "environment"]

GROUP = "ajil-demo"
STOP_TIMEOUT = 30.0
"""Seconds from SIGTERM to SIGKILL: the worker's own deadline is 20 s."""
KEPT = ("AJIL_MODEL", "AJIL_MODEL_SHA256")


class Worker(Protocol):
    """Something that classifies; `failure` is one line that says how it ended, or None while it runs."""

    def failure(self) -> str | None: ...


class Process:
    """`ajil NAME`, or another command, for the length of the `with` block.

    Its `log` is a file, removed at the end unless something went wrong.
    """

    def __init__(self, name: str, brokers: str, gateway_port: int, command: Sequence[str] = ()) -> None:
        self._name = name
        self._command = command or (sys.executable, "-m", "stream.cli", name)
        self._environment = environment(os.environ, brokers, gateway_port)

    def __enter__(self) -> Self:
        handle, name = tempfile.mkstemp(prefix="ajil-demo-", suffix=".log")
        self.log = Path(name)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                # Its own session: Ctrl-C goes to the demo alone, which then stops the worker in order.
                start_new_session=True,
            )
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
        return None if code is None else f"the {self._name} ended with exit code {code}"

    def log_tail(self, lines: int = 15) -> list[str]:
        """The last lines of its log, fit for a terminal."""
        return [display(line, 1000) for line in self.log.read_text("utf-8", "replace").splitlines()[-lines:]]


def environment(environ: Mapping[str, str], brokers: str, gateway_port: int) -> dict[str, str]:
    """The user's environment without settings that speak of another Kafka. A model of theirs stays.

    >>> sorted(environment({"PATH": "/bin", "AJIL_TOPIC_RAW": "mine", "AJIL_MODEL": "/mine"}, "127.0.0.1:9", 8090))
    ['AJIL_BROKERS', 'AJIL_GATEWAY_PORT', 'AJIL_GROUP', 'AJIL_HTTP_PORT', 'AJIL_MODEL', 'PATH']
    """
    theirs = {name: value for name, value in environ.items() if not name.startswith("AJIL_") or name in KEPT}
    ports = {"AJIL_HTTP_PORT": "0", "AJIL_GATEWAY_PORT": str(gateway_port)}
    return theirs | {"AJIL_BROKERS": brokers, "AJIL_GROUP": GROUP} | ports
