"""`ajil evaluate`: what a bundle is worth on labelled articles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stream.errors import EXIT_BUNDLE, SettingError


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(bundle: Path, data: tuple[Path, ...], as_json: bool) -> None:
    """Print the figures of BUNDLE on DATA (files or folders, in the formats of `ajil train`).

    Rows whose `split` is `train` are left away, unless there are no others. Macro-F1 is over the labels that an
    outlet has. Figures on outlets that the bundle was trained on flatter; those of outlets it never saw count, and the
    bundle keeps them from its training.
    """
    import json

    from rich.console import Console
    from rich.progress import Progress

    from models.bundle import BundleError
    from models.classifier import Classifier
    from models.corpus import CorpusError, files, read
    from models.evaluate import evaluate, held_out

    with Progress(console=Console(stderr=True), transient=True) as progress:
        try:
            classifier = Classifier.load(bundle)
            paths = files(data)
            task = progress.add_task("reading", total=len(paths))
            rows = []
            for path in paths:
                rows += read(path)
                progress.advance(task)
        except BundleError as error:
            raise click.exceptions.Exit(_refused(error)) from error
        except CorpusError as error:
            raise SettingError(str(error)) from error
        rows = held_out(rows)
        task = progress.add_task("classifying", total=sum(1 + bool(r.label and r.title) for r in rows))
        figures = evaluate(classifier, rows, lambda done: progress.advance(task, done))
    figures["left_out"] = classifier.left_out()
    click.echo(json.dumps(figures, indent=1, ensure_ascii=False) if as_json else _table(figures))


def _refused(error: Exception) -> int:
    click.echo(str(error), err=True)
    return EXIT_BUNDLE


def _table(figures: dict[str, Any]) -> str:
    lines = [f"{'':34}{'macro-F1':>9}{'accuracy':>9}{'at 80%':>8}{'cal.err.':>9}{'answered':>9}{'right':>7}"]
    lines.append("outlets left out of training")
    for lang, views in figures["left_out"].items():
        for view, outlets in views.items():
            lines += [_line(f"  {lang} {outlet} {view}", found) for outlet, found in outlets.items()]
    lines.append("this data")
    for lang, outlets in figures["topics"].items():
        for outlet, views in outlets.items():
            lines += [_line(f"  {lang} {outlet} {view}", found) for view, found in views.items()]
    lines.append("flagged as breaking")
    lines += [
        f"  {name:42}{found['flagged']:>7} of {found['rows']} ({found['share']:.2%})"
        for name, found in figures["breaking"].items()
    ]
    return "\n".join(lines)


def _line(name: str, found: dict[str, float]) -> str:
    columns = (("macro_f1", 9), ("accuracy", 9), ("at_80", 8), ("calibration_error", 9), ("answered", 9), ("right", 7))
    return f"{name[:33]:34}" + "".join(
        f"{found[key]:>{width}.3f}" if key in found else " " * width for key, width in columns
    )
