"""The topics Ajil needs: their names, sizes and policies, and how to create them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from stream.errors import KafkaError
from stream.kafka import explain

if TYPE_CHECKING:
    from confluent_kafka.admin import ClusterMetadata

    from stream.settings import Settings

__all__ = ["NeededTopic", "create", "differences", "needed"]

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
            # The alerts agent reads it whole when it starts, and the segment that is written to is never compacted.
            {
                "cleanup.policy": "compact,delete",
                "retention.ms": month,
                "segment.bytes": str(32 << 20),
                "min.cleanable.dirty.ratio": "0.1",
            },
        ),
        NeededTopic(settings.topic_alerts, "one alert for each breaking story", {"retention.ms": month}),
        NeededTopic(settings.topic_feedback, "what editors say of articles and alerts", {"retention.ms": month}),
        NeededTopic(
            settings.topic_undelivered,
            "alerts that a destination did not take",
            # The alert, which may fill a message of Kafka's default size, plus the headers that say why.
            {"retention.ms": month, "max.message.bytes": str(2 << 20)},
        ),
    ]


def differences(admin: AdminClient, cluster: ClusterMetadata, settings: Settings) -> list[str]:
    """One sentence for each way in which the topics that exist are not what Ajil would create, and how to mend it.

    More partitions or replicas than Ajil would create are no difference. Raises `KafkaError` when Kafka does not let
    this user see the configuration.
    """
    there = [topic for topic in needed(settings) if topic.name in cluster.topics]
    resources = {topic.name: ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in there}
    asked = admin.describe_configs(list(resources.values()), request_timeout=10) if resources else {}
    told = []
    for topic in there:
        partitions = cluster.topics[topic.name].partitions
        replicas = min((len(partition.replicas) for partition in partitions.values()), default=0)
        if len(partitions) < settings.topic_partitions:
            told.append(
                f"{topic.name} has {len(partitions)} partitions, not {settings.topic_partitions}: add them with "
                "kafka-topics.sh --alter (keys then move to other partitions), or lower AJIL_TOPIC_PARTITIONS"
            )
        if replicas < settings.topic_replication:
            told.append(
                f"{topic.name} has {replicas} replicas, not {settings.topic_replication}: reassign it with "
                "kafka-reassign-partitions.sh, or lower AJIL_TOPIC_REPLICATION"
            )
        try:
            config = asked[resources[topic.name]].result()
        except KafkaException as error:
            raise KafkaError(f"cannot see the configuration of {topic.name}: {explain(error)}") from None
        for name, wanted in topic.config.items():
            found = config[name].value if name in config else None
            if not _serves(name, found, wanted):
                told.append(
                    f"{topic.name} has {name}={found}, not {wanted}: kafka-configs.sh --alter --topic {topic.name} "
                    f"--add-config {name}=[{wanted}]"
                )
    return told


_SMALLER_IS_BETTER = {"segment.bytes", "min.cleanable.dirty.ratio"}


def _serves(name: str, found: str | None, wanted: str) -> bool:
    """Whether a topic's value does as well as the one Ajil would set: more room, a longer life, earlier compaction.

    >>> _serves("retention.ms", "-1", "1000"), _serves("min.cleanable.dirty.ratio", "0.5", "0.1")
    (True, False)
    """
    if found is None:
        return False
    if name == "cleanup.policy":
        return set(wanted.split(",")) == set(found.split(",")) or found == "compact"
    if name in _SMALLER_IS_BETTER:
        return float(found) <= float(wanted)
    return int(found) >= int(wanted) or (name == "retention.ms" and int(found) == -1)


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
