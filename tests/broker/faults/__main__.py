"""The command: runs what it is asked for, prints a table, exits 1 when a promise was broken or a bad worker passed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.broker.faults.bench import ToolMissing
from tests.broker.faults.report import Result, table
from tests.broker.faults.runs import broken_kafka
from tests.broker.faults.scenarios import CONTROL, OTHER_WORKERS, SCENARIOS

DELIVERIES = ("at_least_once", "exactly_once")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.broker.faults", description=__doc__)
    known = f"of {', '.join(SCENARIOS)}; other workers: {', '.join(OTHER_WORKERS)}; all of them by default"
    parser.add_argument("--scenario", nargs="+", choices=[*SCENARIOS, *OTHER_WORKERS], metavar="NAME", help=known)
    parser.add_argument("--articles", type=int, default=5000, help="fed in each run (default 5000)")
    parser.add_argument("--kills", type=int, default=12, help="in the kill scenario (default 12)")
    parser.add_argument("--delivery", choices=[*DELIVERIES, "both"], default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    return parser.parse_args()


def main() -> int:
    told = options()
    names = told.scenario or [*SCENARIOS, *OTHER_WORKERS]
    deliveries = DELIVERIES if told.delivery == "both" else (told.delivery,)
    folder = Path(tempfile.mkdtemp(prefix="ajil-faults-"))
    size = {"articles": told.articles, "kills": told.kills, "seed": told.seed}
    results: list[Result] = []
    bad = 0
    with broken_kafka(folder) as runs:
        for name in names:
            for delivery in deliveries if name in SCENARIOS else DELIVERIES[:1]:
                if name in SCENARIOS:
                    try:
                        result = runs.scenario(name, delivery, **size)
                    except ToolMissing as missing:
                        print(f"skipped {name}: {missing} is missing", flush=True)
                        continue
                    failed = bool(result.faults)
                else:
                    result = runs.other_worker(name, **size)
                    failed = bool(result.faults) if name == CONTROL else not result.books.lost
                    if name != CONTROL:
                        result.faults.insert(0, "NOT CAUGHT" if failed else "caught")
                bad += failed
                results.append(result)
                print(table([result]).splitlines()[-1], flush=True)
    print("\n" + table(results))
    if told.json:
        told.json.write_text(json.dumps([result.as_dict() for result in results], indent=1))
    if bad:
        print(f"\n{bad} of {len(results)} runs failed; the workers' logs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
