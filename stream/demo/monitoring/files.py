"""Where the rules, dashboards and runbooks are: in a checkout, or beside this package in an installation."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stream.errors import SettingError

__all__ = ["Files", "find"]

DEMO = Path(__file__).resolve().parent.parent
CHECKOUT = DEMO.parent.parent


class Files(NamedTuple):
    rules: Path
    """A folder of Prometheus' rule files."""
    alertmanager: Path
    """Alertmanager's configuration."""
    dashboards: Path
    runbooks: Path


def find(demo: Path = DEMO, checkout: Path = CHECKOUT) -> Files:
    """Raises `SettingError` when they are nowhere."""
    for deploy, runbooks in (
        (demo / "deploy", demo / "deploy" / "runbooks"),  # setup.py puts them there
        (checkout / "deploy", checkout / "docs" / "runbooks"),
    ):
        files = Files(
            deploy / "prometheus" / "rules",
            deploy / "alertmanager" / "alertmanager.yml",
            deploy / "grafana" / "dashboards",
            runbooks,
        )
        if all(path.exists() for path in files):
            return files
    raise SettingError(
        "--with-monitoring needs the rules and dashboards, and this installation was built without them: run it from "
        "a checkout (make demo ARGS=--with-monitoring)"
    )
