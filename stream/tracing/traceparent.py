"""The `traceparent` header of W3C Trace Context (https://www.w3.org/TR/trace-context/), read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from stream.records import header, trace_headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.records import Alert, Headers

__all__ = ["TraceContext", "read_traceparent", "sampled_trace", "trace_of_alert", "trace_of_headers"]

# Later versions may have more fields; version ff and ids of zeros alone are invalid.
_FORM = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


class TraceContext(NamedTuple):
    """Ids in lower-case hexadecimal, 32 and 16 digits. `sampled`: whether the caller has kept its part of the trace."""

    trace_id: str
    span_id: str
    sampled: bool


def read_traceparent(value: str | None) -> TraceContext | None:
    """What the header says; None where it is missing or not valid.

    >>> read_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    TraceContext(trace_id='0af7651916cd43dd8448eb211c80319c', span_id='b7ad6b7169203331', sampled=True)
    >>> read_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01")
    """
    found = _FORM.fullmatch(value or "")
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    return TraceContext(found["trace"], found["span"], bool(int(found["flags"], 16) & 1))


def trace_of_headers(headers: Headers) -> TraceContext | None:
    """The trace that a Kafka record belongs to."""
    return read_traceparent(header(trace_headers(headers), "traceparent")) if headers else None


def trace_of_alert(alert: Alert) -> str | None:
    """The trace to look at for an alert: that of the last article listed which has one that is sampled."""
    return sampled_trace(read_traceparent(article.traceparent) for article in reversed(alert.articles))


def sampled_trace(contexts: Iterable[TraceContext | None]) -> str | None:
    """The first trace id that leads somewhere."""
    return next((context.trace_id for context in contexts if context and context.sampled), None)
