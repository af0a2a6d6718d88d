"""Every way Ajil says no.

::

    AjilError                       a person can act on it; `exit_code` is what the command returns
    ├── SettingError        2       a setting, option or file given by the user is wrong
    ├── KafkaError          3       Kafka refused or could not do what was asked
    │   ├── BrokerUnreachable  3    no broker answered
    │   └── TopicMissing       4    a topic does not exist
    └── StoppedUnclean      6       the worker stopped by signal, but could not finish the batch in hand

    Rejection                       one record cannot become an article; never escapes the classify stage

A bundle that is refused raises `models.bundle.BundleError`; the command line returns 5 for it.
Exit code 1 is kept for "ran to the end and found something wrong" (`--strict`) and for our own bugs.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "EXIT_BUNDLE",
    "AjilError",
    "BrokerUnreachable",
    "KafkaError",
    "Reason",
    "Rejection",
    "SettingError",
    "StoppedUnclean",
    "TopicMissing",
]

EXIT_BUNDLE = 5


class AjilError(Exception):
    """Base of the errors that end a command with one line and an exit code."""

    exit_code = 1


class SettingError(AjilError):
    """A setting, option or input file is wrong; the message names it, its value and what is allowed."""

    exit_code = 2


class KafkaError(AjilError):
    """Kafka refused, or could not do, what was asked of it."""

    exit_code = 3


class BrokerUnreachable(KafkaError):
    """No broker answered at the addresses of `AJIL_BROKERS`."""


class TopicMissing(KafkaError):
    """A topic that is needed does not exist."""

    exit_code = 4


class StoppedUnclean(AjilError):
    """The stop deadline passed with a batch in hand; it was not committed and will be read again."""

    exit_code = 6


class Reason(StrEnum):
    """Why a record was rejected: the value of `__connect.errors.exception.class.name` and of the metric's label."""

    EMPTY = "empty"
    """The value is null, or nothing but white space."""
    TOO_LARGE = "too_large"
    """The value is longer than `AJIL_MAX_ARTICLE_BYTES`."""
    UNDECODABLE = "undecodable"
    """The bytes are not text in the charset of the content-type header, or in UTF-8 without one."""
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    """The content-type header names something that is neither JSON, HTML nor text, or an unknown charset."""
    INVALID_JSON = "invalid_json"
    """The value announces JSON and is not."""
    NOT_AN_OBJECT = "not_an_object"
    """The value is JSON, but an array or a scalar: one record holds one article."""
    INVALID_FIELD = "invalid_field"
    """A field that Ajil reads has the wrong type."""
    SCHEMA_VERSION = "schema_version"
    """The article says that it is of a later schema than this Ajil reads."""
    NO_TEXT = "no_text"
    """There is no title, body, text or html to read, or no text can be found in the HTML."""
    CRASHED = "crashed"
    """The worker died each time it had this record in hand alone (docs/delivery.md)."""
    MODEL_ERROR = "model_error"
    """The model raised on this article."""
    INTERNAL = "internal"
    """Ajil itself failed on this record: a bug, and the record is what shows it."""
    OUTPUT_TOO_LARGE = "output_too_large"
    """The enriched record would not fit into its topic."""


class Rejection(Exception):
    """A record that cannot become an article.

    `reason` is one of `Reason`; `stage` the step that said no (decode, classify, encode);
    the message says what was wrong without quoting the article.
    """

    def __init__(self, reason: Reason, message: str, *, stage: str = "decode") -> None:
        super().__init__(message)
        self.reason = reason
        self.stage = stage
