from datetime import UTC, datetime, timedelta

import pytest

from stream.stories import storm
from stream.stories.storm import PROBATION, StormControl

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def test_tokens_come_back_with_time_and_never_beyond_the_burst() -> None:
    control = StormControl(per_source=2, in_all=1000)
    assert [control.limit("a", NOW) for _ in range(5)] == [None] * 4 + ["source"]
    assert [control.limit("a", NOW + timedelta(seconds=30)) for _ in range(2)] == [None, "source"]
    late = NOW + timedelta(days=1)
    assert [control.limit("a", late) for _ in range(5)] == [None] * 4 + ["source"]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    control = StormControl(per_source=1, in_all=1000)
    assert [control.limit("a", NOW) for _ in range(2)] == [None, None]
    assert [control.limit("a", NOW - timedelta(days=n)) for n in (1, 2)] == ["source", "source"]
    assert control.limit("a", NOW + timedelta(seconds=59)) == "source"


def test_a_flood_under_new_names_leaves_known_outlets_their_alerts() -> None:
    control = StormControl(per_source=5, in_all=10)
    control.see("known", NOW)
    later = NOW + PROBATION
    control.see("known", later)
    flood = [control.limit(f"new{n}", later) for n in range(50)]
    assert flood.count(None) == 10
    assert set(flood[10:]) == {"new_sources"}
    assert [control.limit("known", later) for _ in range(3)] == [None] * 3


def test_known_outlets_share_one_limit_and_a_refusal_costs_nothing() -> None:
    control = StormControl(per_source=100, in_all=1)
    for name in ("a", "b"):
        control.see(name, NOW)
    later = NOW + PROBATION
    for name in ("a", "b"):
        control.see(name, later)
    assert [control.limit("a", later), control.limit("b", later), control.limit("b", later)] == [None, None, "all"]
    assert control.limit("b", later + timedelta(minutes=1)) is None


def test_outlets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storm, "MAX_OUTLETS", 3)
    control = StormControl(per_source=1, in_all=1000)
    assert [control.limit("a", NOW) for _ in range(3)] == [None, None, "source"]
    for name in "bcd":
        control.see(name, NOW)
    assert control.limit("a", NOW) is None  # forgotten, so new again
