"""Structured logs on stderr: JSON, or text on a terminal. They name articles and places, never the text."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from stream.settings import Settings

__all__ = ["RateLimit", "configure"]


class RateLimit(logging.Filter):
    """Lets one message of each kind through in `seconds`: Kafka clients repeat themselves while a broker is away.

    A kind is the logger's name and the message with its digits taken out; at most 100 kinds are kept. What is
    critical always passes.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.CRITICAL:
            return True
        kind = record.name, "".join(c for c in record.getMessage()[:300] if not c.isdigit())
        now = time.monotonic()
        if now - self._last.get(kind, -self._seconds) < self._seconds:
            return False
        if len(self._last) >= 100:
            self._last.clear()
        self._last[kind] = now
        return True


def configure(settings: Settings) -> None:
    """Send every logger of the process through one formatter."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # Faust leaves its loggers at DEBUG, which costs a tenth of the CPU even when nothing is printed.
    for name in ("faust", "mode", "aiokafka", "asyncio", "trafilatura", "htmldate", "charset_normalizer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    librdkafka = logging.getLogger("librdkafka")
    librdkafka.setLevel(logging.WARNING)
    librdkafka.filters[:] = [RateLimit()]
