"""Kafka client settings from `Settings`, and the few administrative calls that commands share."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka import KafkaError as ClientError
from confluent_kafka.admin import AdminClient, ClusterMetadata, OffsetSpec

from stream.errors import BrokerUnreachable, KafkaError, TopicMissing
from stream.records import Place, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from stream.settings import Settings

__all__ = [
    "as_record",
    "asyncio_config",
    "client_config",
    "consumer_config",
    "explain",
    "messages",
    "metadata",
    "producer_config",
    "read_headers",
    "require_topics",
    "transaction_config",
]

TRANSACTION_SECONDS = 15
"""A frozen worker's open transaction holds up read_committed readers for so long, and for the 10 s in which a broker
looks for such ones by default. That is well within the session timeout of 45 s: when others get the worker's
partitions, nothing is left to wait for. A batch of the 24 MB that a consumer fetches ahead fits in at 2 MB/s; on a
slower network `TransactionalPublisher` takes more time."""

# Read errors that pass by themselves, or do not matter to a reader without a group.
# (`KafkaError.retriable` says no to all: the client builds it from a bare code.)
_PASSING = {
    ClientError._TRANSPORT,
    ClientError._ALL_BROKERS_DOWN,
    ClientError._TIMED_OUT,
    ClientError._RESOLVE,
    ClientError.NOT_LEADER_FOR_PARTITION,
    ClientError.LEADER_NOT_AVAILABLE,
    ClientError.UNKNOWN_LEADER_EPOCH,
    ClientError.FENCED_LEADER_EPOCH,
    ClientError.OFFSET_NOT_AVAILABLE,
    # The client asks for the coordinator of the group it is named after. It reads as well without.
    ClientError.GROUP_AUTHORIZATION_FAILED,
}


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner, and `murmur2_random`, which is ours, puts a key into.

    >>> [partition_of(key, 1000) for key in (b"ar", b"en", b"kafka")]
    [347, 879, 580]
    """
    from aiokafka.partitioner import murmur2  # late: a command that reads no stories need not load it

    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def client_config(settings: Settings) -> dict[str, Any]:
    """What every librdkafka client of ours is given: addresses, security, patience."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.brokers,
        "client.id": "ajil",
        "security.protocol": settings.security_protocol,
        # A broker that comes back is found within a second; librdkafka's own limit is ten.
        "reconnect.backoff.max.ms": 1000,
        # Requests are small and follow each other: they should not wait for the answer to the one before.
        "socket.nagle.disable": True,
        "logger": logging.getLogger("librdkafka"),
    }
    if settings.security_protocol.startswith("sasl"):
        config |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username,
            "sasl.password": settings.sasl_password,
        }
    if settings.security_protocol.endswith("ssl"):
        config |= {
            name: str(value)
            for name, value in {
                "ssl.ca.location": settings.ssl_ca_file,
                "ssl.certificate.location": settings.ssl_certificate_file,
                "ssl.key.location": settings.ssl_key_file,
                "ssl.key.password": settings.ssl_key_password,
            }.items()
            if value is not None
        }
    return config


def asyncio_config(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client of ours is given: addresses and security."""
    config: dict[str, Any] = {
        "bootstrap_servers": settings.brokers.split(","),
        "client_id": "ajil",
        "security_protocol": settings.security_protocol.upper(),
    }
    if settings.security_protocol.startswith("sasl"):
        config |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    if settings.security_protocol.endswith("ssl"):
        config["ssl_context"] = context = ssl.create_default_context(cafile=settings.ssl_ca_file)
        if settings.ssl_certificate_file is not None:
            context.load_cert_chain(settings.ssl_certificate_file, settings.ssl_key_file, settings.ssl_key_password)
    return config


def consumer_config(settings: Settings, group: str) -> dict[str, Any]:
    """For a member of `group` that commits by itself, after delivery."""
    config = client_config(settings) | {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # "latest" would skip what was produced before the first start.
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "max.poll.interval.ms": int(max(settings.max_poll_interval, settings.session_timeout) * 1000),
        "fetch.message.max.bytes": settings.max_record_bytes,
        "fetch.max.bytes": max(settings.max_record_bytes, 1 << 20),  # librdkafka's own 50 MB hold a slow link up
        # A record larger than the limit is still fetched (Kafka guarantees progress), so the limit bounds memory only.
        "queued.max.messages.kbytes": 2 * settings.max_record_bytes // 1024,
    }
    if settings.group_protocol == "consumer":
        config["group.protocol"] = "consumer"  # session time-out, heartbeats and assignment are the broker's then
    else:
        config |= {
            # range by default. With cooperative-sticky, librdkafka 2.14 does not leave the group when a member without
            # partitions closes, and a commit waits behind a JoinGroup on the same connection: others then stand still
            # for the session time-out. An eager rebalance costs us little: it happens between two batches.
            "partition.assignment.strategy": settings.assignor,
            "session.timeout.ms": int(settings.session_timeout * 1000),
            # A tenth, so that a slow network or a stall of a few seconds never costs the membership.
            "heartbeat.interval.ms": int(settings.session_timeout * 100),
        }
        if settings.instance_id:
            # Not with KIP-848: a killed member's id is held until its session has ended, and who comes back with it
            # is shut out for good. A rebalance is cheap there.
            config["group.instance.id"] = f"{settings.instance_id}.{group}"
    return config


def producer_config(settings: Settings) -> dict[str, Any]:
    """For output that must not be lost: acknowledged by all replicas, in order, without duplicates from retries."""
    return client_config(settings) | {
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": settings.compression,
        # gzip's usual level 6 saves a fifth of the bytes, and costs five times the CPU: more than scoring does.
        **({"compression.level": 1} if settings.compression == "gzip" else {}),
        "linger.ms": 5,
        # No time-out: a record waits for its broker, and the batch it belongs to is not committed meanwhile.
        "message.timeout.ms": 0,
        "queue.buffering.max.kbytes": 4 * settings.max_record_bytes // 1024,
        # A rejected record is the raw one plus headers.
        "message.max.bytes": settings.max_record_bytes * 4 // 3 + 65536,
        # The Java client's, so that a key lands where any other producer would put it.
        "partitioner": "murmur2_random",
    }


def transaction_config(name: str, seconds: int) -> dict[str, Any]:
    """For a producer in transactions, on top of `producer_config`; `name` is its alone, and outlives the process."""
    return {
        "transactional.id": name,
        "transaction.timeout.ms": seconds * 1000,
        "message.timeout.ms": seconds * 1000,  # librdkafka wants it no longer than the transaction
        # A broker that is still at the end of the last transaction refuses the next one for a millisecond or two.
        # librdkafka waits 100 ms by default; each wait is twice the one before.
        "retry.backoff.ms": 2,
    }


def metadata(settings: Settings, *, timeout: float = 10.0, admin: AdminClient | None = None) -> ClusterMetadata:
    """What the cluster says of itself. Raises `BrokerUnreachable` after `timeout` seconds."""
    try:
        return (admin or AdminClient(client_config(settings))).list_topics(timeout=timeout)
    except KafkaException as error:
        raise BrokerUnreachable(
            f"no Kafka broker answered at {settings.brokers} within {timeout:.0f} s "
            f"(AJIL_BROKERS, AJIL_SECURITY_PROTOCOL): {explain(error)}"
        ) from None


def require_topics(cluster: ClusterMetadata, topics: Iterable[str]) -> None:
    """Raises `TopicMissing` unless all `topics` exist."""
    missing = sorted(set(topics) - set(cluster.topics))
    if missing:
        raise TopicMissing(
            f"not in Kafka, or not for this user to see: {', '.join(missing)}; "
            "`ajil topics --create` creates those that AJIL_TOPIC_* name"
        )


def explain(error: KafkaException | ClientError | KafkaError) -> str:
    """The client's words for what went wrong, in one line.

    >>> explain(KafkaException(ClientError(ClientError._ALL_BROKERS_DOWN)))
    'Local: All broker connections are down (_ALL_BROKERS_DOWN)'
    """
    cause = error.args[0] if isinstance(error, KafkaException) else error
    return f"{cause.str()} ({cause.name()})" if isinstance(cause, ClientError) else str(cause)


def messages(
    settings: Settings, topic: str, *, from_beginning: bool, follow: bool, alive: Callable[[], None] = lambda: None
) -> Iterator[Message]:
    """What lies on a topic, without a group: endlessly, or (`follow=False`) up to where it ends now. Where that is in a
    transaction which has not ended, its end is waited for: what it wrote may be committed already.

    `alive` is called between polls; what it raises ends the reading.

    Raises `BrokerUnreachable`, `TopicMissing`, or `KafkaError` when Kafka refuses.
    """
    admin = AdminClient(client_config(settings))
    cluster = metadata(settings, admin=admin)
    require_topics(cluster, [topic])
    consumer = Consumer(
        client_config(settings)
        # The client wants a group's name; partitions are assigned by hand, so none is joined and nothing committed.
        | {"group.id": "ajil.reader", "enable.auto.commit": False, "isolation.level": "read_committed"}
        | {"enable.partition.eof": not follow, "fetch.message.max.bytes": settings.max_record_bytes}
    )
    places = [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in cluster.topics[topic].partitions]
    try:
        ends = {} if follow and from_beginning else _ends(admin, places)
        if not from_beginning:
            # Asked for now: the client would ask at its first poll, and what came meanwhile would be passed over.
            places = [TopicPartition(topic, partition, end) for partition, end in ends.items()]
        consumer.assign(places)
        while follow or ends:
            alive()
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None:
                yield message
            elif error.code() == ClientError._PARTITION_EOF:
                # In read_committed it comes at the oldest transaction that has not ended, and again behind it.
                if message.offset() >= ends.get(message.partition(), 0):
                    ends.pop(message.partition(), None)
            elif error.code() not in _PASSING:
                raise KafkaError(f"cannot read {topic}: {explain(error)}")
    finally:
        consumer.close()


def _ends(admin: AdminClient, places: list[TopicPartition]) -> dict[int, int]:
    """Partition -> where its log ends, open transactions included: to a consumer in read_committed it ends before."""
    asked = admin.list_offsets({place: OffsetSpec.latest() for place in places}, request_timeout=10)
    try:
        return {place.partition: int(found.result().offset) for place, found in asked.items()}
    except KafkaException as error:
        raise BrokerUnreachable(f"cannot tell where {places[0].topic} ends: {explain(error)}") from None


# For a name that is not UTF-8 the client returns a result and leaves an exception set. Python 3.11's specialised method
# calls do not look for that, and it would come up in some innocent call later on; a call through here does look.
read_headers = methodcaller("headers")


def as_record(message: Message, deaths: int = 0) -> Record:
    """What the client read, with everything it may raise about odd bytes already raised."""
    place = Place(message.topic(), message.partition(), message.offset())
    try:
        headers, unreadable = read_headers(message) or [], None
    except Exception as error:  # the client raises SystemError, its cause within
        headers, unreadable = [], f"the headers cannot be read, and are lost: {error.__cause__ or error}"[:300]
    return Record(place, _time(message), message.key(), message.value(), headers, unreadable, deaths)


def _time(message: Message) -> datetime:
    """The record's timestamp; where it has none, or one that no calendar knows, the time of reading."""
    kind, milliseconds = message.timestamp()
    if kind != TIMESTAMP_NOT_AVAILABLE and milliseconds > 0:
        try:
            return datetime.fromtimestamp(milliseconds / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            pass
    return datetime.now(UTC)
