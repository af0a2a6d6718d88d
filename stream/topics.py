"""The topics Ajil needs: their names, sizes and policies, and how to create them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from stream.errors import KafkaError
from stream.kafka import explain

if TYPE_CHECKING:
    from stream.settings import Settings

__all__ = ["NeededTopic", "create", "needed"]

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
