"""Measure all ways in turns: python -m bench.endtoend --json FILE, or `make bench-kafka`.

The rounds of one call take turns; with `--add` they join those that are in the file.
"""

from __future__ import annotations

import json
import platform
import tempfile
from pathlib import Path
from typing import Any

import click
import confluent_kafka

from bench.endtoend.measure import Backlog, Way, latency, throughput
from bench.endtoend.report import report
from models.scorer import NATIVE
from stream.settings import Settings
from tests.kafka_jars import VERSION
from tests.kafka_server import KafkaServer

ARTICLES = 40_000
_SKLEARN = ("--scorer", "scikit-learn")

AJIL = [Way("Ajil"), Way("Ajil, exactly once", settings=(("delivery", "exactly_once"),))]
LOOPS = [Way("confluent-kafka loop", ("confluent",)), Way("aiokafka loop", ("aiokafka",))]
BATCHES = [
    Way("Quix Streams, sink", ("quix-batches",), peer=True),
    Way("FastStream, batches", ("faststream-batches",), peer=True),
    Way("Faust, batches", ("faust-batches",)),
]
SINGLE = [
    Way("Quix Streams", ("quix",), peer=True),
    Way("FastStream", ("faststream",), peer=True),
    Way("Faust", ("faust",)),
]


def _with_sklearn(ways: list[Way]) -> list[Way]:
    return [way._replace(name=f"{way.name} + scikit-learn", args=way.args + _SKLEARN) for way in ways]


ALL = [
    *AJIL,
    *LOOPS,
    *BATCHES,
    *SINGLE,
    *_with_sklearn([*LOOPS, *BATCHES]),
    *_with_sklearn(SINGLE),
]
AT_RATE = [*AJIL, *LOOPS, BATCHES[1], BATCHES[2], *SINGLE]


def machine() -> dict[str, Any]:
    """What the figures were measured with."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return {
        "cpu": model,
        "cores": info.count("processor\t:"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "kafka": VERSION,
        "librdkafka": confluent_kafka.libversion()[0],
        "native_scorer": NATIVE,
        "compression": Settings().compression,
    }


@click.command()
@click.option("--json", "output", type=click.Path(path_type=Path), required=True, help="Where the figures go.")
@click.option("--add", is_flag=True, help="Keep the figures that are there.")
@click.option("--rounds", default=3)
@click.option("--part", type=click.Choice(["throughput", "latency", "growth"]), multiple=True, help="Default: all.")
@click.option("--way", "names", multiple=True, help="Only these, by name.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write a plot here.")
def main(
    output: Path, add: bool, rounds: int, part: tuple[str, ...], names: tuple[str, ...], plot: Path | None
) -> None:
    """Measure Ajil's worker beside client loops and other frameworks."""
    figures: dict[str, Any] = {"machine": machine(), "runs": []}
    if add:
        figures = json.loads(output.read_text(encoding="utf-8"))
    chosen = [way for way in ALL if not names or way.name in names]
    parts = part or ("throughput", "latency", "growth")
    with tempfile.TemporaryDirectory(prefix="ajil-bench-") as temporary:
        folder = Path(temporary)
        server = KafkaServer(folder / "kafka")
        server.start()
        first = 1 + max((run["round"] for run in figures["runs"]), default=0)

        def keep(kind: str, number: int, run: dict[str, Any]) -> None:
            figures["runs"].append({"kind": kind, "round": number} | run)
            output.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(json.dumps(figures["runs"][-1], ensure_ascii=False), flush=True)

        try:
            backlog = Backlog(server.address, ARTICLES, partitions=4) if "throughput" in parts else None
            for number in range(first, first + rounds):
                for way in chosen:
                    if backlog:
                        keep("throughput", number, throughput(way, backlog, folder / "log"))
                    if "latency" in parts and way in AT_RATE:
                        keep("latency", number, latency(way, server.address, folder / "log"))
            if "growth" in parts:
                for partitions in (1, 4, 16, 64):
                    grown = Backlog(server.address, ARTICLES, partitions=partitions)
                    for number in range(first, first + rounds):
                        for way in (AJIL[0], LOOPS[0]):
                            keep("growth", number, throughput(way, grown, folder / "log", seconds=20))
        finally:
            server.stop()
    report(figures, plot)


if __name__ == "__main__":
    main()
