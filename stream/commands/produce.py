"""`ajil produce`."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

import click

from stream.errors import KafkaError

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
    from confluent_kafka import KafkaError as ClientError
    from confluent_kafka import KafkaException, Message, Producer
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from stream.kafka import explain, metadata, producer_config, require_topics
    from stream.settings import load_settings

    settings = load_settings()
    # The client's asides (a coordinator that is still loading) are not for the user of a command.
    logging.getLogger("librdkafka").setLevel(logging.ERROR)
    topic = topic or settings.topic_raw
    require_topics(metadata(settings), [topic])
    producer = Producer(producer_config(settings) | {"message.timeout.ms": int(timeout * 1000)})
    sent = acknowledged = 0
    refused: list[ClientError] = []

    def report(error: ClientError | None, _: Message) -> None:
        nonlocal acknowledged
        if error is None:
            acknowledged += 1
        else:
            refused.append(error)

    columns = (
        TextColumn("{task.completed:,.0f} acknowledged of {task.fields[sent]:,} sent"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("", total=None, sent=0)
        for key, value, headers in _records(files):
            while True:
                try:
                    producer.produce(topic, value=value, key=key, headers=headers, on_delivery=report)
                    break
                except BufferError:
                    producer.poll(0.1)
                except KafkaException as error:
                    refused.append(error.args[0])
                    break
            sent += 1
            producer.poll(0)
            progress.update(task, completed=acknowledged, sent=sent)
        while producer.flush(0.2):
            progress.update(task, completed=acknowledged, sent=sent)
    click.echo(f"{acknowledged} of {sent} records acknowledged by Kafka on {topic}", err=True)
    if refused:
        raise KafkaError(f"{len(refused)} of {sent} records were refused, the first with: {explain(refused[0])}")


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
