"""`python -m models.report DATA… --bundle FOLDER`: the ablation table, the plots and the model card.

Each row of the table is the recipe with one step more; each figure is the mean over outlets, every outlet answered by a
model that never saw it, with a temperature fitted on the other outlets.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from models.card import model_card
from models.classifier import Classifier
from models.corpus import CorpusError, files, read
from models.evaluate import evaluate, held_out
from models.examples import Example, Examples
from models.outlets import LeftOut, by_outlet, leave_one_out
from models.plots import draw_plots
from models.recipe import ABLATION
from models.train import teachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.corpus import Row

__all__ = ["ablation", "summary"]

COLUMNS = {
    "macro_f1": "macro-F1",
    "worst": "worst outlet",
    "accuracy": "accuracy",
    "at_80": "right at 80%",
    "calibration_error": "calibration error",
    "title_macro_f1": "titles: macro-F1",
    "title_at_80": "titles: right at 80%",
    "title_calibration_error": "titles: calibration error",
}


def summary(left_out: LeftOut) -> dict[str, float]:
    """Means over the outlets; macro-F1 is over the labels that an outlet has."""
    found: dict[str, float] = {}
    for prefix, scores in (("", left_out.full), ("title_", left_out.short)):
        outlets = list(by_outlet(left_out, scores).values())
        for name in ("macro_f1", "accuracy", "at_80", "calibration_error"):
            found[prefix + name] = float(np.mean([figures[name] for figures in outlets]))
        found[f"{prefix}worst"] = min(figures["macro_f1"] for figures in outlets)
    return found


def ablation(
    examples: Sequence[Example], on_step: Callable[[str], None] = lambda name: None
) -> tuple[dict[str, dict[str, float]], LeftOut]:
    """`summary` of every step of the recipe, and the answers of the whole recipe."""
    table = {}
    read_as = {stemming: Examples(examples, stemming=stemming) for stemming in (False, True)}
    for name, recipe in ABLATION.items():
        left_out = leave_one_out(read_as[recipe.stemming], recipe, partial(_named, on_step, name))
        table[name] = summary(left_out)
    return table, left_out


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--bundle", required=True, type=click.Path(path_type=Path, exists=True), help="Where the card goes.")
def command(data: tuple[Path, ...], bundle: Path) -> None:
    """Print the ablation table of DATA, and write plots and MODEL_CARD.md beside the bundle trained on it."""
    console = Console(width=180)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        try:
            rows: list[Row] = []
            for path in progress.track(files(data), description="reading"):
                rows += read(path)
            taught = teachable(rows)
        except (CorpusError, ValueError) as error:
            raise click.ClickException(str(error)) from error
        tables, answers = {}, {}
        for lang, examples in taught.items():
            folds = max(len({example.source for example in examples if example.label}), 2)
            task = progress.add_task(lang, total=len(ABLATION) * folds)
            step = _step(progress, task, lang)
            tables[lang], answers[lang] = ablation(examples, step)
        rows = held_out(rows)
        task = progress.add_task("the bundle on held-out rows", total=sum(1 + bool(r.title) for r in rows))
        classifier = Classifier.load(bundle)
        figures = evaluate(classifier, rows, lambda done: progress.advance(task, done))
        plots = draw_plots(answers, bundle)
    for lang, table in tables.items():
        console.print(f"\n[bold]{lang}[/]: means over outlets left out; macro-F1 over the labels an outlet has")
        console.print(markdown(table))
    card = model_card(bundle, classifier, {lang: markdown(table) for lang, table in tables.items()}, figures, plots)
    (bundle / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    console.print(f"\nwrote {bundle / 'MODEL_CARD.md'} and {', '.join(plots)}")


def _named(on_step: Callable[[str], None], recipe: str, outlet: str) -> None:
    on_step(f"{recipe}: {outlet}")


def _step(progress: Progress, task: Any, lang: str) -> Callable[[str], None]:
    return lambda name: progress.update(task, advance=1, description=f"{lang}: {name}")


def markdown(table: dict[str, dict[str, float]]) -> str:
    """The table as Markdown."""
    lines = ["| step | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(f"{figures[key]:.3f}".lstrip("0") for key in COLUMNS) + " |"
        for name, figures in table.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    command()
