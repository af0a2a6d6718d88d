"""Errors as RFC 9457 tells them: `application/problem+json`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MAX_ERRORS", "Problem", "response"]

MAX_ERRORS = 100
"""Items of one request whose errors are listed."""


class Problem(Exception):
    """A request that is refused: `status` and `detail` for its sender, `errors` for the parts of what was sent."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        # A header may hold bytes that are no text; they come as surrogates, which no answer can carry.
        super().__init__(detail.encode("utf-8", "replace").decode())
        self.status = status
        self.headers = dict(headers or {})
        self.errors = errors


def response(problem: Problem) -> web.Response:
    """The problem as an answer.

    >>> response(Problem(404, "no such story")).body
    b'{"type":"about:blank","title":"Not Found","status":404,"detail":"no such story"}'
    """
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": str(problem),
    }
    if problem.errors is not None:
        told["errors"] = list(problem.errors[:MAX_ERRORS])
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(told),
        headers=problem.headers,
        content_type="application/problem+json",
    )
