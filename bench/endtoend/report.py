"""The figures as a table in Markdown, and as a plot: python -m bench.endtoend.report FILE."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import click

__all__ = ["report"]

BASE = "Ajil"


def report(figures: dict[str, Any], plot: Path | None) -> None:
    """Print the tables; with `plot`, draw articles a second and CPU."""
    rows = _rows(figures["runs"])
    print("\n| way | articles/s | of Ajil's | CPU ms an article | of Ajil's | peak MB | lost, repeated |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        cells = [
            f"{row['per_second']:,.0f}",
            f"{row['per_second_ratio']:.2f}",
            f"{row['cpu_ms']:.3f}",
            f"{row['cpu_ms_ratio']:.2f}",
            f"{row['peak_mb']:.0f}",
            f"{row['lost']}, {row['repeated']}",
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    waits = _by_way(figures["runs"], "latency")
    if waits:
        print("\n| way, at 500 articles/s | p50 ms | p99 ms | CPU ms an article | lost, repeated |")
        print("|---|---|---|---|---|")
        for name, runs in waits.items():
            p50, p99, cpu = (median(run[key] for run in runs) for key in ("p50_ms", "p99_ms", "cpu_ms_at_rate"))
            lost, repeated = (sum(run[key] for run in runs) for key in ("lost", "repeated"))
            print(f"| {name} | {p50:.1f} | {p99:.1f} | {cpu:.3f} | {lost}, {repeated} |")
    grown = [run for run in figures["runs"] if run["kind"] == "growth"]
    if grown:
        print("\n| way, partitions | articles/s | CPU ms an article | by quarters of the run |\n|---|---|---|---|")
        for name, partitions in dict.fromkeys((run["way"], run["partitions"]) for run in grown):
            runs = [run for run in grown if (run["way"], run["partitions"]) == (name, partitions)]
            speed, cpu = (median(run[key] for run in runs) for key in ("per_second", "cpu_ms"))
            quarters = [median(each) for each in zip(*(run["quarters_cpu_ms"] for run in runs), strict=False)]
            told = ", ".join(f"{each:.3f}" for each in quarters)
            print(f"| {name}, {partitions} | {speed:,.0f} | {cpu:.3f} | {told} |")
    if plot:
        _draw(rows, plot)


def _by_way(runs: list[dict[str, Any]], kind: str) -> dict[str, list[dict[str, Any]]]:
    names = dict.fromkeys(run["way"] for run in runs if run["kind"] == kind)
    return {name: [run for run in runs if run["kind"] == kind and run["way"] == name] for name in names}


def _rows(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Way -> medians; a ratio is taken within a round, against Ajil in that round."""
    base = {run["round"]: run for run in runs if run["kind"] == "throughput" and run["way"] == BASE}
    rows = {}
    for name, mine in _by_way(runs, "throughput").items():
        row: dict[str, float] = {key: median(run[key] for run in mine) for key in ("per_second", "cpu_ms", "peak_mb")}
        for key in ("per_second", "cpu_ms"):
            pairs = [run[key] / base[run["round"]][key] for run in mine if run["round"] in base]
            row[f"{key}_ratio"] = median(pairs) if pairs else float("nan")
        rows[name] = row | {key: sum(run[key] for run in mine) for key in ("lost", "repeated")}
    return rows


def _draw(rows: dict[str, dict[str, float]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "ajil"  # the same figures give the same bytes
    from matplotlib import pyplot

    names = list(rows)[::-1]
    colours = ["tab:blue" if n.startswith("Ajil") else "0.8" if "scikit" in n else "0.55" for n in names]
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 0.32 * len(names) + 1), sharey=True)
    for axis, key, label in ((axes[0], "per_second", "articles a second"), (axes[1], "cpu_ms", "CPU ms an article")):
        bars = axis.barh(names, [rows[name][key] for name in names], color=colours)
        axis.bar_label(bars, fmt="{:,.0f}" if key == "per_second" else "{:.2f}", padding=3, fontsize=8)
        axis.set_xlabel(label)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})


@click.command()
@click.argument("figures", type=click.Path(exists=True, path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path))
def main(figures: Path, plot: Path | None) -> None:
    """Print the tables of a run again."""
    report(json.loads(figures.read_text(encoding="utf-8")), plot)


if __name__ == "__main__":
    main()
