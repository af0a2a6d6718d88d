"""`ajil topics`."""

from __future__ import annotations

import click

from stream.errors import TopicMissing


@click.command()
@click.option("--create", is_flag=True, help="Create the topics that are missing; change nothing that exists.")
@click.option("--check", is_flag=True, help="Tell what differs from what --create makes, and how to mend it.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    help="Seconds to wait for a broker.",
)
def command(create: bool, check: bool, wait: float) -> None:
    """Show the topics Ajil needs and whether they exist.

    Names come from AJIL_TOPIC_*, sizes from AJIL_TOPIC_PARTITIONS, AJIL_TOPIC_REPLICATION and AJIL_MAX_RECORD_BYTES.
    Exit codes: 0 all exist, 1 one differs (with --check), 3 no broker, 4 a topic is missing.
    """
    from confluent_kafka.admin import AdminClient

    from stream import topics
    from stream.kafka import client_config, metadata
    from stream.settings import load_settings

    settings = load_settings()
    admin = AdminClient(client_config(settings))
    cluster = metadata(settings, timeout=wait, admin=admin)
    wanted = topics.needed(settings)
    missing = {topic.name for topic in wanted} - set(cluster.topics)
    if create and missing:
        topics.create(admin, settings, missing)
        cluster = metadata(settings, timeout=wait, admin=admin)
    width = max(len(topic.name) for topic in wanted)
    for topic in wanted:
        if topic.name in missing:
            state = "created" if create else "missing"
        else:
            state = f"{len(cluster.topics[topic.name].partitions)} partitions"
        click.echo(f"{topic.name:<{width}}  {state:<14}  {topic.purpose}")
    if missing and not create:
        raise TopicMissing(f"missing: {', '.join(sorted(missing))}; `ajil topics --create` creates them")
    if check and (told := topics.differences(admin, cluster, settings)):
        for difference in told:
            click.echo(difference, err=True)
        raise click.exceptions.Exit(1)
