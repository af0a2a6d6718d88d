"""What workers and gateways expose is as Prometheus wants it."""

from __future__ import annotations

import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.conftest import require_tool

if TYPE_CHECKING:
    from tests.e2e.monitoring.apparatus import System


def check(exposition: bytes) -> str:
    """What `promtool check metrics` says against it: nothing, if it is clean."""
    command = [require_tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=exposition, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("job", ["ajil-worker", "ajil-gateway"])
def test_promtool_finds_nothing_wrong(job: str, system: System) -> None:
    for address in system.targets[job]:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            exposition = answer.read()

        assert b"# TYPE ajil_" in exposition
        assert check(exposition) == ""


def test_promtool_would_find_it() -> None:
    assert "counter metrics should have" in check(
        b"# HELP ajil_articles Articles.\n# TYPE ajil_articles counter\najil_articles 1\n"
    )


def test_every_scrape_is_answered(system: System) -> None:
    found = system.prometheus.query("count by (job) (up == 1)")

    assert {one["metric"]["job"]: int(one["value"][1]) for one in found} == {
        job: len(addresses) for job, addresses in system.targets.items()
    }
