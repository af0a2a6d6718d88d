"""One frozen settings object: `AJIL_*` environment variables over a TOML file over defaults.

The TOML file is the one `AJIL_CONFIG` names; its keys are the field names below (`brokers = "kafka:9092"`).
A secret may be given by the environment (`AJIL_SASL_PASSWORD`) or, better, by a file that holds nothing else
(`AJIL_SASL_PASSWORD_FILE`); no secret is read from the TOML file, printed or logged.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

import msgspec
from msgspec import Meta

from stream.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AGENTS", "Settings", "environment_names", "load_settings", "unknown_names"]

PREFIX = "AJIL_"
CONFIG = "AJIL_CONFIG"
AGENTS = ("classify", "alerts", "feedback")
SECRETS = frozenset({"sasl_password", "ssl_key_password"})

Seconds = Annotated[float, Meta(ge=1, le=86_400)]
Rate = Annotated[float, Meta(gt=0, le=60_000)]
Count = Annotated[int, Meta(gt=0)]
# Kafka's own rule for topic names.
TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}\Z")]
Filled = Annotated[str, Meta(min_length=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a deployment decides. Sizes are bytes, times are seconds; docs/configuration.md says more on each."""

    brokers: Filled = "127.0.0.1:9092"
    group: Filled = "ajil"
    instance_id: str | None = None
    """The worker's slot, its alone and the same after a restart (a StatefulSet's pod name). It becomes Kafka's
    `group.instance.id`, so that a restart gets its partitions back at once, and a part of the transactional id."""
    delivery: Literal["at_least_once", "exactly_once"] = "at_least_once"
    """Of the classify agent; exactly_once is for readers in read_committed. Alerts are always exactly once."""

    group_protocol: Literal["classic", "consumer"] = "classic"
    """consumer is KIP-848, for brokers from 4.0: the broker assigns, and a rebalance stops nobody else."""
    assignor: Literal["range", "cooperative-sticky"] = "range"
    """Of the classic protocol."""

    topic_raw: TopicName = "news.articles.raw"
    topic_enriched: TopicName = "news.articles.enriched"
    topic_rejected: TopicName = "news.articles.rejected"
    topic_signals: TopicName = "news.signals"
    topic_stories: TopicName = "news.stories"
    topic_alerts: TopicName = "news.alerts"
    topic_feedback: TopicName = "news.feedback"
    topic_undelivered: TopicName = "news.alerts.undelivered"
    topic_partitions: Count = 4
    topic_replication: Count = 1

    model: Path | None = None
    """A bundle folder made by `ajil train`; none means the shipped bundle."""
    model_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None
    """The sha256 of the bundle's manifest.json that may be served, and no other."""
    furniture: Path | None = None
    """A profile made by `ajil furniture`: lines that recur on the pages of one source, which are not read."""

    subscriptions: Path | None = None
    """The TOML file that says who is sent which alerts, and where; read by the gateway. docs/subscriptions.md."""

    batch_size: Annotated[int, Meta(gt=0, le=10_000)] = 500
    """Records in one batch: more bring throughput, fewer bring latency and fewer repeats after a crash."""
    alerts_per_source_per_minute: Rate = 30.0
    """Storm control: alerts of one outlet. What is over is held back and told in a summary."""
    alerts_per_minute: Rate = 120.0
    """Storm control: alerts of all known outlets together; outlets seen for less than an hour share half of it."""
    max_article_bytes: Annotated[int, Meta(ge=1000, le=100 << 20)] = 4 << 20
    """A longer raw record is rejected unread. Whole scraped pages are rarely over 2 MB."""
    max_record_bytes: Annotated[int, Meta(ge=100_000, le=500 << 20)] = 12 << 20
    """The largest raw record that the topics are created for; the rejected topic takes a third more."""
    max_output_bytes: Annotated[int, Meta(ge=10_000, le=100 << 20)] = 1_000_000
    """The largest enriched record or signal: Kafka's default `max.message.bytes` less its framing."""
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "gzip"
    """Of what the worker produces. Every Kafka client reads gzip without a further package."""

    session_timeout: Annotated[float, Meta(ge=1, le=1800)] = 45.0
    """A member that is silent so long loses its partitions; 45 s rides out a cut of 40 s without a repeat."""
    max_poll_interval: Seconds = 300.0
    """A batch that takes longer counts as stuck: liveness fails, and Kafka gives its partitions away."""
    stop_deadline: Seconds = 20.0
    """From SIGTERM to exit, the batch in hand included."""

    http_host: Filled = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """Metrics and health of a worker; 0 takes any free port and logs it."""

    gateway_host: Filled = "127.0.0.1"
    gateway_port: Annotated[int, Meta(ge=0, le=65535)] = 8090
    """Where `ajil gateway` listens; any other address than loopback needs a tokens file."""
    gateway_tokens_file: Path | None = None
    """Lines NAME:SCOPES:TOKEN: who may publish, read and give feedback. None: everybody, on loopback only."""
    gateway_public_read: bool = False
    """With a tokens file: reading needs no token."""
    gateway_origins: str | None = None
    """Origins of other sites' pages that may use the gateway (CORS), with commas."""
    gateway_hosts: str | None = None
    """Host names that the gateway answers to, with commas; on loopback those of loopback are always among them."""
    gateway_certificate_file: Path | None = None
    gateway_key_file: Path | None = None
    """TLS of the gateway's own server."""
    gateway_max_request_bytes: Annotated[int, Meta(ge=1000, le=500 << 20)] = 16 << 20
    gateway_rate: Annotated[float, Meta(gt=0, le=1_000_000)] = 500.0
    """Articles and feedback a second from one token or address."""
    gateway_produce_timeout: Seconds = 10.0
    """How long a request waits for Kafka before it is answered 503."""
    gateway_history: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    """Alerts kept in memory: what is listed, and how far a reader may fall behind or resume without reading Kafka."""
    gateway_stories: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    gateway_subscribers: Annotated[int, Meta(ge=1, le=100_000)] = 5_000
    """Open alert streams."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    """auto: text on a terminal, JSON elsewhere."""

    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_ca_file: Path | None = None
    ssl_certificate_file: Path | None = None
    ssl_key_file: Path | None = None
    ssl_key_password: str | None = None

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.masked().items())})"

    def masked(self) -> dict[str, Any]:
        """Field name -> value, fit to be printed: secrets that are set become `********`.

        >>> Settings(sasl_password="hush").masked()["sasl_password"]
        '********'
        """
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return values | {name: "********" for name in SECRETS if values[name] is not None}


def environment_names() -> list[str]:
    """Every environment variable that Ajil reads, `AJIL_CONFIG` and the `_FILE` forms of secrets included."""
    fields = [PREFIX + name.upper() for name in Settings.__struct_fields__]
    return [CONFIG, *fields, *sorted(f"{PREFIX}{name.upper()}_FILE" for name in SECRETS)]


def unknown_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """`AJIL_*` variables that mean nothing to Ajil, each with the nearest name that does.

    They are told, not refused: Kubernetes puts variables of its own into a pod (`AJIL_SERVICE_HOST`).

    >>> unknown_names({"AJIL_BROKER": "kafka:9092", "PATH": "/bin"})
    ['AJIL_BROKER is not a setting (did you mean AJIL_BROKERS?)']
    """
    known = environment_names()
    told = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            told.append(f"{name} is not a setting" + (f" (did you mean {near[0]}?)" if near else ""))
    return told


def load_settings(environ: Mapping[str, str] = os.environ, **options: Any) -> Settings:
    """Settings from the environment, its TOML file and `options` (command-line values; None means not given).

    Raises `SettingError` that names the setting, where it came from and what is allowed.

    >>> load_settings({"AJIL_BATCH_SIZE": "50"}).batch_size
    50
    """
    values: dict[str, tuple[Any, str]] = {}
    if path := environ.get(CONFIG):
        values |= {name: (value, f"in {path}") for name, value in _read_toml(Path(path)).items()}
    for name in Settings.__struct_fields__:
        variable = PREFIX + name.upper()
        # An empty variable is "not set": that is what `${AJIL_X:-}` in a compose file means.
        if environ.get(variable):
            values[name] = (environ[variable], f"from {variable}")
        if name in SECRETS and environ.get(f"{variable}_FILE"):
            values[name] = (_read_secret(f"{variable}_FILE", environ), f"from {variable}_FILE")
    values |= {name: (value, "from the command line") for name, value in options.items() if value is not None}
    settings = Settings(**{name: _convert(name, *value) for name, value in values.items()})
    _check_together(settings)
    return settings


def _convert(name: str, value: Any, where: str) -> Any:
    try:
        # strict=False reads "50" as 50 where the field is a number: the environment only has strings.
        return msgspec.convert(value, _TYPES[name], strict=False, dec_hook=lambda kind, given: kind(given))
    except msgspec.ValidationError as error:
        shown = "********" if name in SECRETS else repr(value)
        choices = ", ".join(getattr(_TYPES[name], "__args__", ())) if get_origin(_TYPES[name]) is Literal else ""
        expected = f"Expected one of {choices}" if choices else str(error)
        raise SettingError(f"{name} = {shown} ({where}) is not allowed: {expected}") from None


_TYPES = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"cannot read the settings file {path} ({CONFIG}): {error}") from None
    for name in values:
        if name in SECRETS:
            raise SettingError(f"{path}: {name} is a secret: give it by {PREFIX}{name.upper()}_FILE instead")
        if name not in _TYPES:
            near = difflib.get_close_matches(name, _TYPES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingError(f"{path}: {name} is not a setting{hint}")
    return values


def _read_secret(variable: str, environ: Mapping[str, str]) -> str:
    try:
        secret = Path(environ[variable]).read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"cannot read the secret file that {variable} names: {error}") from None
    if not secret:
        raise SettingError(f"the secret file that {variable} names is empty")
    return secret


def _check_together(settings: Settings) -> None:
    if settings.security_protocol.startswith("sasl") and not (settings.sasl_username and settings.sasl_password):
        raise SettingError(
            f"security_protocol is {settings.security_protocol}, which needs AJIL_SASL_USERNAME "
            "and AJIL_SASL_PASSWORD_FILE"
        )
    if (settings.ssl_certificate_file is None) != (settings.ssl_key_file is None):
        raise SettingError("ssl_certificate_file and ssl_key_file go together: give both or neither")
    if (settings.gateway_certificate_file is None) != (settings.gateway_key_file is None):
        raise SettingError("gateway_certificate_file and gateway_key_file go together: give both or neither")
    files = ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file")
    for name in (*files, "gateway_tokens_file", "gateway_certificate_file", "gateway_key_file"):
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            raise SettingError(f"{name} = {str(path)!r} is not a file")
    topics = [getattr(settings, name) for name in settings.__struct_fields__ if _is_topic(name)]
    if len(set(topics)) < len(topics):
        raise SettingError(f"two topics have one name: {', '.join(sorted(topics))}")


def _is_topic(name: str) -> bool:
    return name.startswith("topic_") and name not in ("topic_partitions", "topic_replication")
