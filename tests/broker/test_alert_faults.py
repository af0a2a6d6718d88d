"""A short selection of the alerts agent's fault runs; `make faults` runs them all, and at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.broker.faults.runs import Runs, broken_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with broken_kafka(tmp_path_factory.mktemp("faults")) as started:
        yield started


@pytest.mark.parametrize("scenario", ["kill", "broker_kill"])
def test_no_alert_is_lost_or_repeated(runs: Runs, scenario: str) -> None:
    result = runs.alerts(scenario, articles=800, kills=6)
    assert result.books.alerts >= result.books.stories > 50
    assert result.faults == []


@pytest.mark.parametrize("mistake", ["not_transactional", "not_restored"])
def test_a_mistake_is_caught(runs: Runs, mistake: str) -> None:
    result = runs.other_worker(mistake, articles=800, kills=6)
    assert [fault for fault in result.books.faults(0) if not fault.startswith("unread")] != []
