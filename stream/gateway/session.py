"""`/v1/session`: what the caller may do, and a cookie that stands for a browser's token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from stream.gateway.access import COOKIE
from stream.gateway.problems import Problem
from stream.records import encode

if TYPE_CHECKING:
    from stream.gateway.access import Access
    from stream.gateway.tokens import Caller

__all__ = ["Session", "SessionDesk"]


class Session(msgspec.Struct, frozen=True):
    """The caller: `name` is the token's, null without one."""

    name: str | None
    scopes: list[str]


class SessionDesk:
    def __init__(self, access: Access) -> None:
        self._access = access

    async def get(self, request: web.Request) -> web.Response:
        return _answer(self._access.caller(request))

    async def post(self, request: web.Request) -> web.Response:
        """Exchange the token of the Authorization header for a cookie."""
        caller = self._access.caller(request)
        if "Authorization" not in request.headers:  # a cookie does not renew itself
            raise Problem(401, "send Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"})
        response = _answer(caller)
        self._access.open_session(request, response, caller)
        return response

    async def delete(self, request: web.Request) -> web.Response:
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/")
        return response


def _answer(caller: Caller) -> web.Response:
    body = encode(Session(caller.name, sorted(caller.scopes)))
    return web.Response(body=body, content_type="application/json")
