"""What happens when a tool is missing."""

from __future__ import annotations

import pytest

from tests.conftest import require_tool

ABSENT = "a-program-nobody-has"


def test_a_tool_that_is_there_is_found() -> None:
    assert require_tool("sh").endswith("/sh")


def test_a_missing_tool_skips_the_test_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match=f"{ABSENT} is not installed: `make tools`"):
        require_tool(ABSENT)


def test_a_missing_tool_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match=f"{ABSENT} is not installed: `make tools`"):
        require_tool(ABSENT)
