"""Apache Kafka's jars, from Maven Central through `jgo`: neither Maven nor a JDK is needed for that."""

from __future__ import annotations

import functools
import logging
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jgo

if TYPE_CHECKING:
    from jgo.maven import Artifact

__all__ = ["VERSION", "KafkaServerError", "kafka_jars"]

VERSION = "4.3.1"
# Kafka logs through SLF4J 1.7, but its artifact brings no backend: without one it fails in silence.
COORDINATES = f"org.apache.kafka:kafka_2.13:{VERSION}+org.slf4j:slf4j-simple:1.7.36"
DOWNLOAD_ATTEMPTS = 4


class KafkaServerError(Exception):
    """The broker could not be fetched, started or stopped; the message says why, with the tail of its log."""


@functools.cache
def kafka_jars() -> str:
    """Return Kafka's class path; the first call on a machine downloads 44 MB to Maven's local repository."""
    # jgo reports on its work through logging; what matters comes as an exception.
    logging.getLogger("jgo").setLevel(logging.ERROR)
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            return ":".join(str(fetch(artifact)) for artifact in jgo.resolve(COORDINATES))
        except Exception as error:  # the network's, Maven Central's and jgo's own errors have no common class
            if attempt == DOWNLOAD_ATTEMPTS:
                raise KafkaServerError(
                    f"cannot get Kafka {VERSION} from Maven Central after {attempt} attempts: {error}; "
                    "it is needed once, check the network and try again"
                ) from error
            time.sleep(2**attempt)
    raise AssertionError("unreachable")


def fetch(artifact: Artifact) -> Path:
    path = Path(artifact.resolve())
    if not zipfile.is_zipfile(path):
        # An interrupted download stays in the repository and would pass for the whole file ever after.
        path.unlink()
        raise OSError(f"{path.name} was incomplete")
    return path
