"""The report: table, plots and card, on rows of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from models.report import command as report
from stream.commands.train import command as train

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"weather": "rain wind storm cloud sunshine", "traffic": "road lorry tunnel jam motorway"}


def test_the_report_writes_a_card_with_plots_beside_the_bundle(tmp_path: Path) -> None:
    data, bundle = tmp_path / "rows.jsonl", tmp_path / "bundle"
    rows = [
        {"title": f"The {words.split()[n % 5]} today", "body": f"{words} number {n}", "topic": label}
        | {"lang": "en", "source": outlet, "split": "test" if n > 20 else "train"}
        for n in range(25)
        for outlet in ("a.example", "b.example")
        for label, words in WORDS.items()
    ]
    data.write_text("\n".join(map(json.dumps, rows)))
    CliRunner().invoke(train, [str(data), "--out", str(bundle)])

    result = CliRunner().invoke(report, [str(data), "--bundle", str(bundle)])

    assert result.exit_code == 0, result.output
    assert "desk rows labelled by agreement" in result.output
    card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| a.example | full |" in card
    plots = [path.name for path in bundle.glob("*.png")]
    assert sorted(plots) == ["confusion.png", "reliability.png", "risk-coverage.png"]
    assert all(f"({plot})" in card for plot in plots)
