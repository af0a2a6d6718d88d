"""The topics Ajil needs: their names, sizes and policies, and how to create them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from stream.errors import KafkaError
from stream.kafka import explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.settings import Settings

__all__ = ["NeededTopic", "create", "needed", "too_small"]

DAY_MS = 24 * 3600 * 1000


class NeededTopic(NamedTuple):
    """A topic as Ajil would create it; `config` has Kafka's own names."""

    name: str
    purpose: str
    config: dict[str, str]


def needed(settings: Settings) -> list[NeededTopic]:
    """Every topic of the data flow, from input to output."""
    raw = settings.max_record_bytes
    week, month = str(7 * DAY_MS), str(30 * DAY_MS)
    output = {"retention.ms": week}
    return [
        NeededTopic(settings.topic_raw, "articles as they come", {"retention.ms": week, "max.message.bytes": str(raw)}),
        NeededTopic(settings.topic_enriched, "articles with topic and breaking decision", output),
        NeededTopic(
            settings.topic_rejected,
            "records that are no articles, byte for byte",
            # The raw record plus the headers that say why; kept long enough for a person to come back to it.
            {"retention.ms": month, "max.message.bytes": str(raw * 4 // 3 + 65536)},
        ),
        NeededTopic(settings.topic_signals, "what the alerts agent reads", output),
        NeededTopic(
            settings.topic_stories,
            "the newest state of each story",
            {"cleanup.policy": "compact,delete", "retention.ms": month},
        ),
        NeededTopic(settings.topic_alerts, "one alert for each breaking story", {"retention.ms": month}),
    ]


def too_small(admin: AdminClient, settings: Settings, names: Sequence[str]) -> list[str]:
    """One sentence for each of the topics `names` that would refuse the largest record Ajil may write to it.

    Empty when Kafka does not let this user see the configuration.
    """
    wanted = {
        topic.name: int(topic.config["max.message.bytes"])
        for topic in needed(settings)
        if topic.name in names and "max.message.bytes" in topic.config
    }
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in wanted]
    told = []
    for resource, future in admin.describe_configs(resources, request_timeout=5).items() if resources else ():
        try:
            allowed = int(future.result()["max.message.bytes"].value)
        except (KafkaException, KeyError, TypeError, ValueError):
            continue
        if allowed < wanted[resource.name]:
            told.append(
                f"the topic {resource.name} takes records of {allowed} bytes, Ajil may write {wanted[resource.name]}: "
                "raise its max.message.bytes, or lower AJIL_MAX_RECORD_BYTES"
            )
    return told


def create(admin: AdminClient, settings: Settings, names: set[str]) -> None:
    """Create those of `needed` that `names` lists. Raises `KafkaError`; one that appears meanwhile is no error."""
    topics = [
        NewTopic(
            topic.name,
            num_partitions=settings.topic_partitions,
            replication_factor=settings.topic_replication,
            config=topic.config,
        )
        for topic in needed(settings)
        if topic.name in names
    ]
    for name, future in admin.create_topics(topics).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != ClientError.TOPIC_ALREADY_EXISTS:
                raise KafkaError(f"cannot create the topic {name}: {explain(error)}") from None
