"""The command: runs what it is asked for, prints a table, exits 1 when a promise was broken or a bad worker passed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.broker.faults.bench import ToolMissing
from tests.broker.faults.report import Result, line, tables
from tests.broker.faults.runs import DELIVERIES, broken_kafka
from tests.broker.faults.scenarios import ALERTS, CLASSIFY, CONTROL, OTHER_ALERT_WORKERS, OTHER_WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.broker.faults.runs import Runs

BAD = {*OTHER_WORKERS, *OTHER_ALERT_WORKERS} - {CONTROL}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.broker.faults", description=__doc__)
    names = list(dict.fromkeys([*CLASSIFY, *ALERTS, *OTHER_WORKERS, *OTHER_ALERT_WORKERS]))
    known = f"of {', '.join([*CLASSIFY])}; other workers: {', '.join([*OTHER_WORKERS, *OTHER_ALERT_WORKERS])}"
    parser.add_argument("--scenario", nargs="+", choices=names, metavar="NAME", default=names, help=known)
    parser.add_argument("--agent", choices=["classify", "alerts", "both"], default="both")
    parser.add_argument("--delivery", choices=[*DELIVERIES, "both"], default="both", help="of the classify agent")
    parser.add_argument("--articles", type=int, default=5000, help="fed in each run (default 5000)")
    parser.add_argument("--kills", type=int, default=12, help="in the kill scenario (default 12)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    return parser.parse_args()


def planned(runs: Runs, told: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Result[Any]]]]:
    size = {"articles": told.articles, "kills": told.kills, "seed": told.seed}
    deliveries = DELIVERIES if told.delivery == "both" else (told.delivery,)
    for name in told.scenario:
        if name in CLASSIFY and told.agent != "alerts":
            for delivery in deliveries:
                yield name, partial(runs.classify, name, delivery, **size)
        if name in ALERTS and told.agent != "classify":
            yield name, partial(runs.alerts, name, **size)
        if name in (OTHER_WORKERS if told.agent != "alerts" else {}) or (
            name in (OTHER_ALERT_WORKERS if told.agent != "classify" else {})
        ):
            yield name, partial(runs.other_worker, name, **size)


def judge(name: str, result: Result[Any]) -> bool:
    """Whether the run went as it should; a bad worker must have broken something that is kept otherwise."""
    if name in BAD:
        # What it has not read is no proof: that may be a worker which does not run at all.
        caught = any(not fault.startswith("unread") for fault in result.books.faults(result.allowed_repeats))
        result.faults.insert(0, "caught" if caught else "NOT CAUGHT")
        return caught
    return not result.faults


def main() -> int:
    told = options()
    folder = Path(tempfile.mkdtemp(prefix="ajil-faults-"))
    results: list[Result[Any]] = []
    bad = 0
    with broken_kafka(folder) as runs:
        for name, run in planned(runs, told):
            try:
                result = run()
            except ToolMissing as missing:
                print(f"skipped {name}: {missing} is missing", flush=True)
                continue
            bad += not judge(name, result)
            results.append(result)
            print(line(result), flush=True)
    print("\n" + tables(results))
    if told.json:
        told.json.write_text(json.dumps([result.as_dict() for result in results], indent=1))
    if bad:
        print(f"\n{bad} of {len(results)} runs failed; the workers' logs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
