"""Pictures of answers about outlets left out: reliability, risk and coverage, confusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.outlets import probabilities

if TYPE_CHECKING:
    from pathlib import Path

    from models.outlets import LeftOut

__all__ = ["draw_plots"]

_NO_CLOCK = {"Software": None, "Creation Time": None}  # the same figures give the same bytes


def draw_plots(left_out: dict[str, LeftOut], folder: Path) -> list[str]:
    """Write reliability.png, risk-coverage.png and confusion.png (one column a language); returns their names."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    drawings = {"reliability": _reliability, "risk-coverage": _risk_coverage, "confusion": _confusion}
    for name, drawing in drawings.items():
        figure, axes = pyplot.subplots(1, len(left_out), figsize=(4.6 * len(left_out), 4.4), squeeze=False)
        for axis, (lang, answers) in zip(axes[0], left_out.items(), strict=True):
            drawing(axis, answers)
            axis.set_title(lang)
        figure.tight_layout()
        figure.savefig(folder / f"{name}.png", dpi=80, metadata=_NO_CLOCK)
        pyplot.close(figure)
    return [f"{name}.png" for name in drawings]


def _views(answers: LeftOut) -> list[tuple[str, Any, Any]]:
    found = []
    for name, scores in (("full text", answers.full), ("title only", answers.short)):
        p = probabilities(answers, scores)
        found.append((name, p.max(axis=1), p.argmax(axis=1) == answers.truth))
    return found


def _reliability(axis: Any, answers: LeftOut) -> None:
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, confidence, right in _views(answers):
        which = np.minimum((confidence * 10).astype(int), 9)
        bins = [b for b in range(10) if (which == b).sum() >= 20]
        axis.plot(
            [confidence[which == b].mean() for b in bins],
            [right[which == b].mean() for b in bins],
            marker="o",
            label=name,
        )
    axis.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    axis.legend()


def _risk_coverage(axis: Any, answers: LeftOut) -> None:
    for name, confidence, right in _views(answers):
        order = np.argsort(-confidence, kind="stable")
        covered = np.arange(1, len(order) + 1)
        risk = 1 - np.cumsum(right[order]) / covered
        axis.plot(covered[20:] / len(order), risk[20:], label=name)
    axis.set(xlabel="share answered, surest first", ylabel="share of those that is wrong", xlim=(0, 1))
    axis.set_ylim(bottom=0)
    axis.legend()


def _confusion(axis: Any, answers: LeftOut) -> None:
    n = len(answers.labels)
    table = np.zeros((n, n))
    np.add.at(table, (answers.truth, answers.full.argmax(axis=1)), answers.weight)
    table = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-12)
    axis.imshow(table, cmap="Blues", vmin=0, vmax=1)
    for row in range(n):
        for column in range(n):
            if table[row, column] >= 0.005:
                color = "white" if table[row, column] > 0.5 else "black"
                text = f"{table[row, column]:.0%}"
                axis.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    short = [label.split("_")[0][:9] for label in answers.labels]
    axis.set_xticks(range(n), short, rotation=60, fontsize=8)
    axis.set_yticks(range(n), short, fontsize=8)
    axis.set(xlabel="answer", ylabel="label")
