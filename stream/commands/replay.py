"""`ajil replay`."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime

import click

from stream.errors import Reason
from stream.settings import load_settings


@click.command()
@click.option(
    "--reason",
    "reasons",
    type=click.Choice([reason.value for reason in Reason]),
    multiple=True,
    help="Only this reason; may be repeated.",
)
@click.option("--since", metavar="TIME", help="Only what was rejected since 2026-01-02T03:04:05Z, or 90m, 36h, 7d ago.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many records, the oldest first.")
@click.option("--dry-run", is_flag=True, help="Tell what would be sent; send nothing.")
def command(reasons: tuple[str, ...], since: str | None, limit: int | None, dry_run: bool) -> None:
    """Send rejected records back to the topic they came from, as they were.

    They keep their event id, so that a consumer which keeps ids sees each article once, and their age, so that old news
    does not alert. Of several rejections of one event the newest goes back. Rejected records stay where they are; one
    that is rejected again counts one more attempt. A replay may be repeated: it sends the same events again.

    Exit codes: 0 all sent, 2 an option is wrong, 3 Kafka cannot be reached or refused, 4 a topic is missing.
    """
    from rich.console import Console
    from rich.progress import Progress

    from stream.kafka import as_record, messages, metadata, require_topics
    from stream.replay import Choice, parse_since, restored
    from stream.sender import Sender

    settings = load_settings()
    choice = Choice(frozenset(reasons), parse_since(since, datetime.now(UTC)) if since else None)
    # Twice over the topic: which ones first, because all their bytes would not fit into memory.
    for message in messages(settings, settings.topic_rejected, from_beginning=True, follow=False):
        choice.consider(as_record(message))
    chosen = choice.places(limit)
    topics = Counter(chosen.values())
    for topic, count in sorted(topics.items()):
        click.echo(f"{topic}  {count} records{' would be sent back' if dry_run else ''}", err=True)
    if choice.foreign:
        click.echo(f"left out: {choice.foreign} records that do not say where they came from", err=True)
    if dry_run or not chosen:
        click.echo(f"{len(chosen)} records {'would be sent back' if dry_run else 'to send back'}", err=True)
        return
    require_topics(metadata(settings), topics)
    sender = Sender(settings, timeout=30)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("replaying", total=len(chosen))
        for message in messages(settings, settings.topic_rejected, from_beginning=True, follow=False):
            record = as_record(message)
            output = restored(record) if record.place in chosen else None
            if output is not None:
                sender.send(output)
                progress.update(task, completed=sender.acknowledged)
        sender.finish(lambda: progress.update(task, completed=sender.acknowledged))
    click.echo(f"{sender.acknowledged} records sent back", err=True)
