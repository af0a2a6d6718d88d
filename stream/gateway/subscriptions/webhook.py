"""Webhooks as Standard Webhooks (https://www.standardwebhooks.com) has them: signed, small, not redirected."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
from standardwebhooks import Webhook
from yarl import URL

from stream.gateway.subscriptions.addresses import Forbidden, Resolver
from stream.gateway.subscriptions.message import envelope
from stream.gateway.subscriptions.sender import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.gateway.subscriptions.file import Destination
    from stream.records import Alert

__all__ = ["WebhookSender", "retry_after"]

REFUSED = {400, 413, 415, 422}
"""The receiver is there and does not want this message; asking again would not change that. Any other status that is
not 2xx may change: a wrong address or secret is mended by a person, and no alert is lost meanwhile."""
MAX_ANSWER = 1 << 16


class WebhookSender:
    """One receiver, over its own connections. `resolver` guards it, unless private addresses are allowed."""

    def __init__(self, destination: Destination, resolver: Resolver | None = None) -> None:
        assert destination.secret is not None
        self._url = URL(destination.url)
        self._webhook = Webhook(destination.secret)
        self._timeout = aiohttp.ClientTimeout(total=destination.timeout)
        self._guard = None if destination.allow_private else resolver or Resolver()
        self._session: aiohttp.ClientSession | None = None

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Raises `Refused` or `Failed`."""
        told = envelope(alerts)
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "ajil",
            "webhook-id": told.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(told.id, now, told.body.decode()),
        }
        try:
            async with self._open().post(
                self._url, data=told.body, headers=headers, allow_redirects=False, timeout=self._timeout
            ) as answer:
                await answer.content.read(MAX_ANSWER)  # a connection whose answer was read can be used again
                _check(answer)
        except TimeoutError:
            raise Failed(f"no answer within {self._timeout.total:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Failed(_why(error)) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._guard is not None:
            await self._guard.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Without a cache, every new connection is checked again.
            connector = aiohttp.TCPConnector(resolver=self._guard, use_dns_cache=False, limit=1)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _check(answer: aiohttp.ClientResponse) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    if status in REFUSED:
        raise Refused(f"the receiver answered {status}")
    if 300 <= status < 400:
        raise Failed(f"the receiver answered {status}: redirects are not followed, name the final address")
    raise Failed(f"the receiver answered {status}", retry_after(answer.headers.get("Retry-After"), datetime.now(UTC)))


def retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds that an HTTP Retry-After header asks for, as a number or a date.

    >>> retry_after("120", datetime(2026, 1, 2, tzinfo=UTC))
    120.0
    >>> retry_after("Fri, 02 Jan 2026 00:00:30 GMT", datetime(2026, 1, 2, tzinfo=UTC))
    30.0
    """
    if header is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", header):
        return float(header)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _why(error: Exception) -> str:
    """The error without the path of the address, which may be a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Forbidden):
            return f"{cause} (allow_private = true allows it)"
        cause = getattr(cause, "os_error", None) or cause.__cause__
    return f"{type(error).__name__}: {error}"[:200] if isinstance(error, OSError) else type(error).__name__
