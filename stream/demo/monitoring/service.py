"""A program of the monitoring, ready to be started."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Service", "which"]


class Service(NamedTuple):
    """`foreign` begins the names of variables by which the user's environment would change its settings."""

    name: str
    url: str
    command: list[str]
    foreign: str | None = None

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What it is started with.

        >>> Service("Grafana", "", [], "GF_").environment({"PATH": "/bin", "GF_PATHS_DATA": "/data"})
        {'PATH': '/bin'}
        """
        return {name: value for name, value in environ.items() if not self.foreign or not name.startswith(self.foreign)}


def which(*names: str) -> str | None:
    """The first of the programs that the PATH has."""
    return next((path for name in names if (path := shutil.which(name))), None)
