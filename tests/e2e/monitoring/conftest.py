"""One system for all tests of this folder: it takes a quarter of a minute to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.monitoring.apparatus import System, Timing
from tests.e2e.monitoring.compression import FACTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMINGS = pytest.StashKey[list[Timing]]()


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("monitoring")) as system:
        request.config.stash[TIMINGS] = system.timings
        yield system


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how long each alert took."""
    timings = config.stash.get(TIMINGS, [])
    if timings:
        terminalreporter.section(f"seconds, with rules and Alertmanager {FACTOR} times as fast")
        terminalreporter.write_line("| alert | fires after | told after | over after mending |")
        terminalreporter.write_line("|---|---|---|---|")
    for alert, fired, told, over in sorted(timings, key=lambda timing: timing.alert):
        shown = "inhibited" if told is None else f"{told:.1f}"
        terminalreporter.write_line(f"| {alert} | {fired:.1f} | {shown} | {over:.1f} |")
