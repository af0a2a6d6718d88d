"""A worker's place, and what a process manager would do with it."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.worker_process import WorkerProcess

if TYPE_CHECKING:
    import signal

__all__ = ["Slot"]

START_SECONDS = 5.0


class Slot:
    """Starts its worker at once, and again; keeps how it ended each time, and what memory it took."""

    def __init__(self, folder: Path, env: dict[str, str], command: tuple[str, ...], strike: str | None) -> None:
        self.exits: Counter[int] = Counter()
        self.memory: list[list[tuple[float, float]]] = []
        """For each process (seconds, MB), about once a second."""
        self.gone = False
        self._folder, self._env, self._command = folder, env, command
        self.start(strike)

    def start(self, strike: str | None = None) -> None:
        """Start the worker; `strike` is what an aimed one does to itself."""
        module, *args = self._command
        env = self._env | ({"FAULTS_STRIKE": strike} if strike else {})
        self.worker = WorkerProcess(self._folder, env, *args, module=module)
        self.memory.append([])
        self.gone = False
        self._started = time.monotonic()

    @property
    def dead(self) -> bool:
        return self.worker.process.poll() is not None

    @property
    def frozen(self) -> bool:
        return Path(f"/proc/{self.worker.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        """SIGKILL, if it has not come from elsewhere already."""
        self.worker.kill()
        self.exits[self.worker.process.returncode] += 1
        self.gone = True

    def stop(self) -> None:
        """SIGTERM; the worker is gone until it is started again."""
        # A Python program that is still importing has no handler yet, and the signal would end it.
        time.sleep(max(0.0, self._started + START_SECONDS - time.monotonic()))
        try:
            self.exits[self.worker.stop(60)] += 1
        except subprocess.TimeoutExpired:
            self.kill()
        self.gone = True

    def signal(self, number: signal.Signals) -> None:
        self.worker.process.send_signal(number)

    def tend(self) -> None:
        """Start a worker that ended by itself once more, as Kubernetes would; the exit code tells of it."""
        if self.dead and not self.gone:
            self.exits[self.worker.process.returncode] += 1
            time.sleep(1)
            self.start()

    def measure(self) -> None:
        try:
            status = Path(f"/proc/{self.worker.process.pid}/statm").read_text()
        except OSError:
            return
        resident = int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        if resident and (not self.memory[-1] or time.monotonic() - self.memory[-1][-1][0] >= 1):
            self.memory[-1].append((time.monotonic(), resident))
