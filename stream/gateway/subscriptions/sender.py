"""What every kind of destination can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.gateway.subscriptions.file import Destination
    from stream.records import Alert

__all__ = ["Failed", "Refused", "Sender", "open_sender"]


class Failed(Exception):
    """The destination did not take the message and may take it later; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Exception):
    """The destination does not want this message, and will not want it later."""


class Sender(Protocol):
    async def send(self, alerts: Sequence[Alert]) -> None:
        """Deliver one message about one or more alerts. Raises `Failed` or `Refused`; never waits without end."""

    async def close(self) -> None: ...


def open_sender(destination: Destination) -> Sender:
    """The sender for a destination of the file."""
    if destination.secret is not None:
        from stream.gateway.subscriptions.webhook import WebhookSender

        return WebhookSender(destination)
    from stream.gateway.subscriptions.services import AppriseSender

    return AppriseSender(destination)
