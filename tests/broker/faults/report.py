"""One run's result, and the table of them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from tests.broker.faults.bench import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.broker.faults.bench import Bench

__all__ = ["Result", "line", "tables"]

WARM_UP = 0.5
"""The share of a process's life after which its memory should no longer grow."""


_Books = TypeVar("_Books")  # of tests/broker/faults/ledger.py or alert_ledger.py


@dataclass
class Result(Generic[_Books]):
    """What became of one scenario; `faults` is empty when all was as promised."""

    agent: str
    scenario: str
    delivery: str
    worker: str
    books: _Books
    allowed_repeats: int
    recoveries: list[float]
    exits: Counter[int]
    memory_slope: float | None
    seconds: float
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, scenario: str, worker: str, bench: Bench, seconds: float, stalled: str | None) -> Result[Any]:
        books = bench.books()
        repeats = bench.agent == "classify" and bench.delivery == "at_least_once"
        allowed = bench.interruptions * BATCH if repeats else 0
        exits = sum((slot.exits for slot in bench.slots), Counter[int]())
        faults = books.faults(allowed)
        faults += [f"exit code {code}" for code in exits if code not in bench.expected_exits]
        if bench.feeder.refused:
            faults.append(f"{len(bench.feeder.refused)} records were not accepted: {bench.feeder.refused[0]}")
        slow = [seconds for seconds in bench.recoveries if seconds > bench.slowest_recovery]
        faults += [f"recovered in {seconds:.0f} s, allowed {bench.slowest_recovery:.0f}" for seconds in slow]
        if stalled:
            faults.append(stalled)
        longest = max((memory for slot in bench.slots for memory in slot.memory), key=len, default=[])
        slope = memory_slope(longest)
        delivery = bench.delivery if bench.agent == "classify" else "exactly_once"
        return cls(
            bench.agent, scenario, delivery, worker, books, allowed, bench.recoveries, exits, slope, seconds, faults
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"exits": {str(code): count for code, count in self.exits.items()}}


def memory_slope(memory: Sequence[tuple[float, float]]) -> float | None:
    """MB a minute, by least squares over the samples (seconds, MB) after the warm-up; None when they are too few.

    >>> round(memory_slope([(second, 200 + second / 60) for second in range(100)]), 3)
    1.0
    """
    settled = memory[int(len(memory) * WARM_UP) :]
    if len(settled) < 30:
        return None
    seconds, megabytes = np.array(settled).T
    return float(np.polyfit(seconds - seconds[0], megabytes, 1)[0] * 60)


COMMON = ("recovery s", "exit codes", "MB/min", "s", "verdict")


def tables(results: Iterable[Result[Any]]) -> str:
    """Markdown tables, one for each agent, with a line for each run."""
    by_agent: dict[str, list[Result[Any]]] = {}
    for result in results:
        by_agent.setdefault(result.agent, []).append(result)
    return "\n\n".join(_table(agent, found) for agent, found in by_agent.items())


def _table(agent: str, results: Sequence[Result[Any]]) -> str:
    counts = [name.replace("_", " ") for name in asdict(results[0].books)]
    columns = [agent, "delivery", "worker", *counts, *COMMON]
    return "\n".join(
        ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *(line(result) for result in results)]
    )


def line(result: Result[Any]) -> str:
    """The result's line of its table."""
    recoveries = result.recoveries
    counts = asdict(result.books)
    if "repeated" in counts:
        counts["repeated"] = f"{counts['repeated']} of {result.allowed_repeats}"
    cells = [
        result.scenario,
        result.delivery,
        result.worker,
        *counts.values(),
        f"{np.median(recoveries):.1f}, {max(recoveries):.1f}" if recoveries else "",
        " ".join(f"{code}x{count}" for code, count in sorted(result.exits.items(), reverse=True)),
        "" if result.memory_slope is None else f"{result.memory_slope:+.1f}",
        f"{result.seconds:.0f}",
        "; ".join(result.faults) or "ok",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
