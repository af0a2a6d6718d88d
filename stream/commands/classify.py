"""`ajil classify`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import click

from stream.errors import Rejection
from stream.records import Headers, Place, Record, Rejected, encode, event_id

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 256
"""Lines classified at once when they come from a file; a pipe is answered as its lines come."""


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--text", is_flag=True, help="FILE is one plain-text or HTML page, not JSON Lines.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a line was rejected.")
def command(file: BinaryIO, text: bool, strict: bool) -> None:
    """Classify articles from FILE, or standard input, without Kafka.

    Each line is a JSON object with at least one of title, body, text, html; blank lines are passed over. Each line of
    the output is, in the same order, the enriched record, or a rejection with its reason. Freshness is judged against
    now, because there is no Kafka timestamp: an article that was published more than two hours ago is stale.

    Exit codes: 0 done, 1 a line was rejected (with --strict), 2 a setting or FILE is wrong, 5 the model was refused.
    """
    from stream.classify import ClassifyStage, load_model
    from stream.settings import load_settings

    settings = load_settings()
    stage = ClassifyStage(load_model(settings), settings)
    records = _page(file) if text else _lines(file)
    out = click.get_binary_stream("stdout")
    rejected = 0
    # A person or a program that feeds a pipe line by line waits for each answer.
    size = BATCH if file.seekable() else 1
    while batch := list(islice(records, size)):
        for record, result in zip(batch, stage.results(batch), strict=True):
            if isinstance(result, Rejection):
                rejected += 1
                out.write(encode(_rejected(record, result)) + b"\n")
            else:
                out.write(encode(result) + b"\n")
        out.flush()
    if strict and rejected:
        raise click.exceptions.Exit(1)


def _lines(file: BinaryIO) -> Iterator[Record]:
    headers: Headers = [("content-type", b"application/json")]
    for at, line in enumerate(file):
        if line.strip():
            yield _record(file, at, line.rstrip(b"\r\n"), headers)


def _page(file: BinaryIO) -> Iterator[Record]:
    page = file.read()
    is_html = page.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
    yield _record(file, 0, page, [("content-type", b"text/html" if is_html else b"text/plain")])


def _record(file: BinaryIO, at: int, value: bytes, headers: Headers) -> Record:
    return Record(Place(file.name, 0, at), datetime.now(UTC), None, value, headers)


def _rejected(record: Record, rejection: Rejection) -> Rejected:
    return Rejected(
        event_id=event_id(record.place),
        reason=rejection.reason.value,
        message=str(rejection),
        stage=rejection.stage,
        line=record.place.offset + 1,
    )
