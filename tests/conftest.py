"""Shared by all tests: what to do when the machine lacks a tool."""

from __future__ import annotations

import os
import shutil

import pytest


def require_tool(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where `CI` is `true`.

    In CI a test that silently did not run would look like one that passed.
    """
    path = shutil.which(name)
    if path:
        return path
    message = f"{name} is not installed: `make tools` installs it"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
