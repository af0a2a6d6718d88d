"""`ajil furniture`: the lines that an outlet repeats on every page -> a profile the settings can name."""

from __future__ import annotations

from pathlib import Path

import click

from stream.errors import SettingError


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Profile to write.")
def command(data: tuple[Path, ...], out: Path) -> None:
    """Learn page furniture from DATA: files or folders of .jsonl, .jsonl.gz or .csv with `source` and `body`.

    Writes the short lines that at least 20 documents and 1% of the documents of one source share, by source, as JSON.
    Read it before you use it: what stands there is dropped from every article of that source.
    """
    from rich.console import Console
    from rich.progress import Progress

    from models.corpus import CorpusError, files, read
    from models.recurring import learn_profile

    try:
        paths = files(data)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            profile = learn_profile(row for path in progress.track(paths, description="reading") for row in read(path))
        profile.write(out)
    except (CorpusError, OSError) as error:
        raise SettingError(str(error)) from error
    for source, lines in profile.sources.items():
        click.echo(f"{source}: {len(lines)} lines")
    if not profile.sources:
        click.echo("no line recurs often enough; the profile is empty")
