"""`ajil subscriptions`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stream.gateway.subscriptions.file import Destination
    from stream.gateway.subscriptions.undelivered import GivenUp


@click.group()
def command() -> None:
    """Who is sent which alerts, and where: the file that AJIL_SUBSCRIPTIONS names (docs/subscriptions.md)."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a subscriptions file, the secrets it names included. Sends nothing.

    Exit codes: 0 all well, 1 something is wrong (each on a line), 2 the file cannot be read.
    """
    from stream.gateway.subscriptions.file import read

    found = read(file)
    for problem in found.problems:
        click.echo(f"{file}: {problem}", err=True)
    if found.problems:
        sys.exit(1)
    for destination in found.destinations.values():
        click.echo(f"{destination.name}  {destination.service}  {_wants(destination)}")


@command.command()
@click.argument("name")
@click.option("--since", metavar="TIME", help="Only what was given up since 2026-01-02T03:04:05Z, or 90m, 36h, 7d ago.")
@click.option("--dry-run", is_flag=True, help="Tell what would be sent; send nothing.")
def replay(name: str, since: str | None, dry_run: bool) -> None:
    """Deliver again what a destination did not take.

    NAME is a subscription or one of its destinations (SUBSCRIPTION.DESTINATION). Its alerts on AJIL_TOPIC_UNDELIVERED
    go out in their order, whatever the filters and quiet hours, with the webhook-id they had; it ends at the first that
    fails. Alerts stay on the topic: a repeated replay sends them again, unless --since leaves them out.

    Exit codes: 0 all delivered, 1 some were not, 2 there is no such subscription or the file is invalid, 3 Kafka cannot
    be reached or refused, 4 the topic is missing.
    """
    import asyncio

    from stream.errors import SettingError
    from stream.gateway.subscriptions.file import load
    from stream.gateway.subscriptions.undelivered import given_up
    from stream.replay import parse_since
    from stream.settings import load_settings

    settings = load_settings()
    if settings.subscriptions is None:
        raise SettingError("AJIL_SUBSCRIPTIONS is not set: it names the subscriptions file")
    wanted = {
        destination.name: destination
        for destination in load(settings.subscriptions).destinations.values()
        if name in (destination.name, destination.name.partition(".")[0])
    }
    if not wanted:
        raise SettingError(f"{settings.subscriptions}: there is no subscription or destination {name!r}")
    chosen: dict[tuple[str, str, int], GivenUp] = {}
    for one in given_up(settings, parse_since(since, datetime.now(UTC)) if since else None):
        if one.destination in wanted:
            chosen.setdefault((one.destination, one.alert.alert_id, one.alert.revision), one)
    # By the time they were given up: the topic's partitions are read side by side.
    in_order = sorted(chosen.values(), key=lambda one: one.time)
    if dry_run:
        for one in in_order:
            told = f"{one.destination}  {one.alert.alert_id}/{one.alert.revision}  {one.time:%Y-%m-%dT%H:%M:%SZ}"
            click.echo(f"{told}  {one.reason}")
        click.echo(f"{len(chosen)} alerts would be sent", err=True)
        return
    failed = 0
    for destination in wanted.values():
        waiting = [one for one in in_order if one.destination == destination.name]
        if waiting:
            failed += asyncio.run(_send(destination, waiting))
    if failed:
        sys.exit(1)


async def _send(destination: Destination, waiting: list[GivenUp]) -> int:
    """Returns how many were not delivered."""
    from stream.gateway.subscriptions.sender import Failed, Refused, open_sender

    sender = open_sender(destination)
    delivered = 0
    try:
        for one in waiting:
            try:
                await sender.send([one.alert])
                delivered += 1
            except Refused as error:
                click.echo(f"{destination.name}: {one.alert.alert_id} was refused: {error}", err=True)
            except Failed as error:
                click.echo(f"{destination.name}: {error}", err=True)
                break
    finally:
        await sender.close()
    click.echo(f"{destination.name}: {delivered} of {len(waiting)} alerts delivered", err=True)
    return len(waiting) - delivered


def _wants(destination: Destination) -> str:
    """The filters in a few words."""
    filters = destination.filters
    told = [
        f"{field} {'|'.join(map(str, value)) if isinstance(value, tuple) else value}"
        for field in filters.__struct_fields__
        if (value := getattr(filters, field)) and value != getattr(type(filters)(), field)
    ]
    return ", ".join(told) or "every story"
