"""ntfy, Slack, Telegram, e-mail and a hundred more, through Apprise (https://github.com/caronc/apprise)."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from stream.gateway.subscriptions.message import text
from stream.gateway.subscriptions.sender import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.gateway.subscriptions.file import Destination
    from stream.records import Alert

__all__ = ["AppriseSender", "silence"]


def silence() -> None:
    """Keep Apprise and its HTTP client out of the log: their addresses carry tokens."""
    apprise = logging.getLogger("apprise")
    apprise.propagate = False
    apprise.setLevel(logging.WARNING)
    for name in ("urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class AppriseSender:
    """One URL, in a thread of its own: Apprise blocks, and one slow service must not delay another."""

    def __init__(self, destination: Destination) -> None:
        import apprise

        silence()
        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Ajil", async_mode=False))
        self._apprise.add(destination.url)
        self._secrets = [part for part in re.split(r"[^\w.-]+", destination.url) if len(part) >= 5]
        self._timeout = destination.timeout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="apprise")

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Raises `Failed`. After a time-out the message may have been sent all the same: it is then repeated."""
        calls = asyncio.get_running_loop().run_in_executor(self._thread, self._notify, alerts)
        try:
            async with asyncio.timeout(self._timeout):
                complaint = await calls
        except TimeoutError:
            raise Failed(f"no answer within {self._timeout} s") from None
        if complaint is not None:
            raise Failed(self._masked(complaint))

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _notify(self, alerts: Sequence[Alert]) -> str | None:
        """None when the service took it, else what Apprise said."""
        urgent = any(alert.kind in ("opened", "confirmed") for alert in alerts)
        told = text(alerts)
        logger = logging.getLogger("apprise")
        complaints = _Complaints()
        logger.addHandler(complaints)
        try:
            taken = self._apprise.notify(
                title=told.title, body=told.body, notify_type="warning" if urgent else "info", body_format="text"
            )
        finally:
            logger.removeHandler(complaints)
        return None if taken else complaints.last or "the service did not take it"

    def _masked(self, complaint: str) -> str:
        for part in self._secrets:
            complaint = complaint.replace(part, "***")
        return complaint[:300]


class _Complaints(logging.Handler):
    """The last warning of this thread: the logger is that of all threads."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = " ".join(record.getMessage().split())
