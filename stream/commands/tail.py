"""`ajil tail`."""

from __future__ import annotations

import sys
from itertools import islice

import click

from stream.settings import load_settings


@click.command()
@click.argument("topic")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest record instead of the next one.")
@click.option("--no-follow", is_flag=True, help="End at what is there now (implies --from-beginning).")
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many records.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object for each record: place, time, key, headers, value.",
)
def command(topic: str, from_beginning: bool, no_follow: bool, count: int | None, as_json: bool) -> None:
    """Print what comes onto TOPIC until Ctrl-C, without joining a group or committing.

    TOPIC is a name, or raw, enriched, rejected, signals, stories, alerts or feedback for the topic of that setting.

    Exit codes: 0 done, 3 Kafka cannot be reached or refused, 4 no such topic, 130 ended by Ctrl-C.
    """
    from stream.kafka import messages
    from stream.show import as_json_line, as_text

    settings = load_settings()
    name = getattr(settings, f"topic_{topic}", topic) if topic in _SHORT else topic
    show = as_json_line if as_json else as_text
    found = messages(settings, name, from_beginning=from_beginning or no_follow, follow=not no_follow)
    for message in islice(found, count):
        sys.stdout.write(show(message) + "\n")
        sys.stdout.flush()


_SHORT = ("raw", "enriched", "rejected", "signals", "stories", "alerts", "feedback")
