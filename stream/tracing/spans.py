"""What an agent and the gateway tell of their work. Here they tell it to nobody; `OtelTracing` listens."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from stream.records import Alert, Headers, Record

__all__ = ["BatchSpan", "BatchSpans", "RequestSpan", "Tracing"]

_NO_SPAN = nullcontext()


class BatchSpan:
    """Of one batch: its stages and alerts, then `end`. Calls follow one another, but may come from different threads.
    None of them waits, fails or keeps anything."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A stage, as long as the `with` block."""
        return _NO_SPAN

    def alert(self, alert: Alert, topic: str, headers: Headers) -> Headers:
        """An alert is about to be published. `headers` are the trace headers of the article that made it; returns
        those that the alert's record carries: of the same trace."""
        return headers

    def end(self, *, done: bool) -> None:
        """The batch is committed; or not `done`, and read again."""


class BatchSpans:
    """Of one agent, which has one batch in hand, and at most one more on its way to Kafka."""

    def begin(self, records: Sequence[Record]) -> BatchSpan:
        """The agent is handed these records."""
        return _NO_BATCH


_NO_BATCH = BatchSpan()


class RequestSpan:
    """Of an HTTP request: `headers` are the trace headers that records made of it carry."""

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.status = 500
        """To be set to that of the answer."""


class Tracing:
    """Of one process."""

    def batches(self, topic: str, group: str) -> BatchSpans:
        """The spans of the agent that reads `topic` as a member of `group`."""
        return BatchSpans()

    @contextmanager
    def request(self, method: str, route: str, headers: Headers) -> Iterator[RequestSpan]:
        """A request, as long as the `with` block; `headers` are the caller's trace headers."""
        yield RequestSpan(headers)

    def close(self, seconds: float) -> None:
        """Send what has not been sent, for so long at most."""
