"""The tables of docs/metrics.md, from the metrics themselves: `python -m stream.exposition docs/metrics.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stream.gateway.metrics import GatewayMetrics
from stream.gateway.subscriptions.metrics import SubscriptionMetrics
from stream.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.catalogue import Family

__all__ = ["gateway", "page", "worker"]

COMMON = {"agent", "lang"}
"""Labels that the page explains once."""


def worker() -> list[Family]:
    """What a worker serves, in the order of the code."""
    return Metrics().catalogue.families


def gateway() -> list[Family]:
    """What a gateway with subscriptions serves."""
    metrics = GatewayMetrics()
    SubscriptionMetrics(metrics.catalogue)
    return metrics.catalogue.families


def page(text: str) -> str:
    """The page with its tables as the code has them now; the prose around them stays."""
    for name, families in (("worker", worker()), ("gateway", gateway())):
        before, rest = text.split(f"<!-- {name} -->\n")
        _, after = rest.split(f"<!-- {name}: end -->\n")
        text = f"{before}<!-- {name} -->\n{_table(families)}<!-- {name}: end -->\n{after}"
    return text


def _table(families: Iterable[Family]) -> str:
    lines = ["| metric | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    for family in families:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        told = [f"`{label}`: {values}" for label, values in family.labels.items() if label not in COMMON]
        meaning = family.help + (f" {'; '.join(told)}" if told else "")
        lines.append(f"| `{family.name}` | {family.kind} | {labels} | {family.unit} | {meaning} |")
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
