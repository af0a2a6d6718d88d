"""`ajil lag`."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each group instead of a table.")
def command(as_json: bool) -> None:
    """Show how far the classify and the alerts agents are behind, partition by partition.

    Records: from the committed offset to the end. Seconds: the age of the oldest record that is not read yet. A group
    that no worker has joined is `dead` or `empty`.

    Exit codes: 0 done, 2 a setting is wrong, 3 Kafka cannot be reached or refused, 4 a topic is missing.
    """
    import msgspec
    from confluent_kafka.admin import AdminClient

    from stream.kafka import client_config, metadata
    from stream.lag import measure
    from stream.settings import load_settings

    settings = load_settings()
    admin = AdminClient(client_config(settings))
    cluster = metadata(settings, admin=admin)
    groups = {settings.group: settings.topic_raw, f"{settings.group}.alerts": settings.topic_signals}
    for group, topic in groups.items():
        told = measure(settings, admin, cluster, group, topic)
        if as_json:
            fields = told._asdict() | {"partitions": [partition._asdict() for partition in told.partitions]}
            click.echo(msgspec.json.encode(fields).decode())
            continue
        total = sum(partition.records for partition in told.partitions)
        click.echo(f"{group}: {told.state}, {told.members} members, {total} records behind on {topic}")
        click.echo("  partition  committed        end    records    seconds  member")
        for partition, committed, end, records, seconds, member in told.partitions:
            age = "-" if seconds is None else f"{seconds:.1f}"
            start = "-" if committed is None else committed
            click.echo(f"  {partition:>9}  {start:>9}  {end:>9}  {records:>9}  {age:>9}  {member or '-'}")
