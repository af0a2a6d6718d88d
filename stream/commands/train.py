"""`ajil train`: labelled articles -> a bundle that `ajil worker` serves."""

from __future__ import annotations

from pathlib import Path

import click

from stream.errors import SettingError


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle to write.")
def command(data: tuple[Path, ...], out: Path) -> None:
    """Train a bundle from DATA: files or folders of .jsonl, .jsonl.gz or .csv with labelled articles.

    A row has its text in `title` and `body` (or `text`), its label in `topic` or `label`, and optionally `lang`,
    `source` (the outlet: more outlets make a better model) and `split` (only `train` is learnt from; the rest is left
    for `ajil evaluate`). Any label set will do. Every language in the rows gets a model.

    The same rows and library versions give the same bundle, bit for bit.
    """
    from rich.console import Console
    from rich.progress import Progress

    from models.bundle import BundleError
    from models.corpus import CorpusError, files, read
    from models.train import train

    console = Console(stderr=True)
    try:
        paths = files(data)
        with Progress(console=console) as progress:
            task = progress.add_task("reading", total=len(paths))
            rows = []
            for path in paths:
                rows += read(path)
                progress.advance(task)
            task = progress.add_task("training", total=1)
            bundle = train(rows, on_step=lambda name, share: progress.update(task, completed=share, description=name))
        bundle.write(out)
    except (CorpusError, BundleError, ValueError) as error:
        raise SettingError(str(error)) from error
    for lang, known in bundle.manifest.languages.items():
        click.echo(f"{lang} {known.version} {' '.join(known.labels)}")
    click.echo(f"sha256 {bundle.sha256}")
