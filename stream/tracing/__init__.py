"""Where an article has been, told to OpenTelemetry: spans, where an OTLP endpoint is configured, and nothing elsewhere.

OpenTelemetry's own environment variables say where to and how (docs/configuration.md). Without an endpoint none of its
packages is imported; they are the extra `otel`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stream.errors import SettingError
from stream.tracing.spans import BatchSpan, BatchSpans, RequestSpan, Tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BatchSpan", "BatchSpans", "RequestSpan", "Tracing", "open_tracing"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"


def open_tracing(service: str, environ: Mapping[str, str] = os.environ) -> Tracing:
    """The tracing of a process; `service` is its `service.name`, unless the environment has one.

    Raises `SettingError` when there is an endpoint, and what it takes to send to it is not there.
    """
    endpoint = next((name for name in ENDPOINTS if environ.get(name)), None)
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if endpoint is None or off:
        return Tracing()
    # The first that is set holds: what else the environment's programs send may go another way.
    protocol = next((name for name in PROTOCOLS if environ.get(name)), None)
    if protocol is not None and environ[protocol] != PROTOCOL:
        raise SettingError(
            f"{protocol} is {environ[protocol]}, and Ajil speaks {PROTOCOL}, to port 4318 of most collectors"
        )
    try:
        from stream.tracing.otel import OtelTracing
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise SettingError(f"{endpoint} is set, which needs OpenTelemetry: pip install 'ajil[otel]'") from None
    return OtelTracing(service)
