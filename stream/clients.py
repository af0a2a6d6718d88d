"""The clients of one agent: what they must find in Kafka, and how they are made."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata

from stream.errors import KafkaError
from stream.kafka import client_config, consumer_config, metadata, producer_config, require_topics, transaction_config
from stream.topics import differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from confluent_kafka import KafkaError as ClientError

    from stream.settings import Settings

__all__ = ["Clients"]

log = structlog.get_logger(__name__)


class Clients:
    """Of a member of `group`. With a stable `AJIL_INSTANCE_ID`, a restarted worker's transactional producer ends its
    predecessor's open transaction at once; without, Kafka does so when its time is over."""

    _telling = threading.Lock()
    """Never released: all agents of a process have the same topics, and the first that finds Kafka tells of them."""

    def __init__(self, settings: Settings, group: str, *, transactional: bool) -> None:
        self.group = group
        self.transactional = transactional
        self._settings = settings
        self._slot = settings.instance_id or uuid.uuid4().hex

    def check(self, topics: Iterable[str]) -> None:
        """Raises `BrokerUnreachable` or `TopicMissing`; logs what else is not as it should be with our topics."""
        admin = AdminClient(client_config(self._settings))
        try:
            cluster = metadata(self._settings, timeout=2, admin=admin)
            require_topics(cluster, topics)
        finally:
            admin.poll(0)  # the client's own words, such as a TLS handshake that failed, come out here
        if self._telling.acquire(blocking=False):
            # Beside the start: a broker that cannot answer (the embedded one) would hold it up.
            threading.Thread(target=self._tell_differences, args=(admin, cluster), daemon=True).start()

    def _tell_differences(self, admin: AdminClient, cluster: ClusterMetadata) -> None:
        """A topic that refuses large records, say, is better told at the start than met by the first one."""
        try:
            for told in differences(admin, cluster, self._settings):
                log.warning("a topic is not as `ajil topics --create` makes it", difference=told)
        except KafkaError as error:
            log.info("topics not checked", reason=str(error))

    def consumer(self, on_error: Callable[[ClientError], None]) -> Consumer:
        # Where nothing but transaction markers follows the last record, nothing waits: only a partition's end says so.
        more = {"enable.partition.eof": True, "error_cb": on_error}
        return Consumer(consumer_config(self._settings, self.group) | more)

    def producer(self, on_error: Callable[[ClientError], None], transaction_seconds: int) -> Producer:
        config = producer_config(self._settings) | {"error_cb": on_error}
        if self.transactional:
            config |= transaction_config(f"{self.group}@{self._slot}", transaction_seconds)
        return Producer(config)
