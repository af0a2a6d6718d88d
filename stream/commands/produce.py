"""`ajil produce`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.records import Headers

_PAGES = {".html": b"text/html", ".htm": b"text/html", ".txt": b"text/plain"}


@click.command()
@click.argument("files", type=click.File("rb"), nargs=-1, required=True, metavar="FILE...|-")
@click.option("--topic", help="Where to, instead of AJIL_TOPIC_RAW.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=30,
    show_default=True,
    help="Seconds Kafka has for each record.",
)
def command(files: tuple[BinaryIO, ...], topic: str | None, timeout: float) -> None:
    """Send articles to the raw topic; `-` is standard input.

    A .html or .txt FILE is one page. Anything else is JSON Lines: each line one article, sent as it is, its `id` as the
    record's key. Ends when Kafka has acknowledged every record.

    Exit codes: 0 all acknowledged, 2 a file cannot be read, 3 no broker or a record was refused, 4 no such topic.
    """
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from stream.kafka import metadata, require_topics
    from stream.records import Output
    from stream.sender import Sender
    from stream.settings import load_settings

    settings = load_settings()
    topic = topic or settings.topic_raw
    require_topics(metadata(settings), [topic])
    sender = Sender(settings, timeout)
    columns = (TextColumn("{task.completed:,.0f} acknowledged of {task.fields[sent]:,} sent"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("", total=None, sent=0)

        def show() -> None:
            progress.update(task, completed=sender.acknowledged, sent=sender.sent)

        try:
            for key, value, headers in _records(files):
                sender.send(Output(topic, key, value, headers))
                show()
            sender.finish(show)
        finally:
            click.echo(f"{sender.acknowledged} of {sender.sent} records acknowledged by Kafka on {topic}", err=True)


def _records(files: tuple[BinaryIO, ...]) -> Iterator[tuple[bytes | None, bytes, Headers]]:
    for file in files:
        page = _PAGES.get(os.path.splitext(file.name)[1].lower())
        if page:
            yield None, file.read(), [("content-type", page)]
            continue
        for line in file:
            if line.strip():
                yield _key(line), line.strip(b"\r\n"), [("content-type", b"application/json")]


def _key(line: bytes) -> bytes | None:
    """The article's id, so that the versions of one article stay in order. A line that is no article has none."""
    import msgspec

    try:
        told = msgspec.json.decode(line, type=dict[str, msgspec.Raw]).get("id")
        key = None if told is None else msgspec.json.decode(told)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return str(key).encode() if isinstance(key, str | int) and key != "" else None
