"""Who may do what, and which foreign pages: tokens, sessions, the Host and Origin of a request, CORS."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from stream.errors import SettingError
from stream.gateway.problems import Problem
from stream.gateway.tokens import SCOPES, Caller, Tokens

if TYPE_CHECKING:
    from stream.gateway.tokens import Scope
    from stream.settings import Settings

__all__ = ["Access", "is_loopback"]

COOKIE = "ajil-session"
SESSION_SECONDS = 30 * 24 * 3600
_SAFE = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "ajil",
}


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own and no other's.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("desk.localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Access:
    """Raises `SettingError` when the settings would let strangers write."""

    def __init__(self, settings: Settings) -> None:
        self._loopback = is_loopback(settings.gateway_host)
        if settings.gateway_tokens_file is None and not self._loopback:
            raise SettingError(
                f"the gateway would listen on {settings.gateway_host} for everybody to write: name a tokens file "
                "(AJIL_GATEWAY_TOKENS_FILE), or listen on 127.0.0.1"
            )
        self._tokens = Tokens.read(settings.gateway_tokens_file) if settings.gateway_tokens_file else None
        self._anonymous = frozenset({"read"} if settings.gateway_public_read else ())
        self._origins = {origin.rstrip("/") for origin in _listed(settings.gateway_origins)}
        self._hosts = set(_listed(settings.gateway_hosts))
        self._tls = settings.gateway_certificate_file is not None

    def check(self, request: web.Request) -> None:
        """Refuse foreign hosts (DNS rebinding) and what foreign pages send (CSRF). Raises `Problem`."""
        # Not `request.host`: where there is none (HTTP/1.0) it asks the name server.
        told = request.headers.get(hdrs.HOST, "")
        host = _host(told)
        if self._loopback or self._hosts:
            known = host in self._hosts or (self._loopback and host is not None and is_loopback(host))
            if not known:
                raise Problem(421, "this gateway does not answer to that host name (AJIL_GATEWAY_HOSTS)")
        elif told and host is None:
            raise Problem(400, "the Host header is no host and port")
        if request.method in _SAFE:
            return
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None:
            foreign = origin not in self._origins and origin.partition("://")[2].lower() != told.lower()
        else:
            foreign = request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
        if foreign:
            raise Problem(403, "pages of other origins may not send this (AJIL_GATEWAY_ORIGINS)")

    def caller(self, request: web.Request) -> Caller:
        """Whoever the token or the cookie says. Raises `Problem` (401) for a token that is not known."""
        if self._tokens is None:
            return Caller(None, SCOPES)
        told = request.headers.get(hdrs.AUTHORIZATION)
        if told is not None:
            kind, _, token = told.partition(" ")
            caller = self._tokens.caller(token.strip()) if kind.lower() == "bearer" else None
            if caller is None:
                raise _unauthorized("the token is not known; send Authorization: Bearer TOKEN")
            return caller
        cookie = request.cookies.get(COOKIE)
        found = self._tokens.caller_of_cookie(cookie, time.time()) if cookie else None
        return found or Caller(None, self._anonymous)

    def require(self, request: web.Request, scope: Scope) -> Caller:
        """The caller, who has the scope. Raises `Problem` (401, 403)."""
        caller = self.caller(request)
        if scope in caller.scopes:
            return caller
        if caller.name is None:
            raise _unauthorized("this needs a token: send Authorization: Bearer TOKEN")
        raise Problem(403, f"the token {caller.name} has no scope {scope}")

    def client(self, request: web.Request, caller: Caller) -> str:
        """Whom the rate limit counts."""
        return f"token {caller.name}" if caller.name else f"address {request.remote}"

    def open_session(self, request: web.Request, response: web.Response, caller: Caller) -> None:
        if self._tokens is None or caller.name is None:
            return
        until = int(time.time()) + SESSION_SECONDS
        secure = self._tls or request.headers.get("X-Forwarded-Proto") == "https"
        response.set_cookie(
            COOKIE,
            self._tokens.cookie(caller.name, until),
            max_age=SESSION_SECONDS,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=secure,
        )

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Security headers for every answer, and CORS for the origins that are named."""
        response.headers["Server"] = "ajil"
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if self._tls:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if self._origins:
            response.headers.add("Vary", "Origin")
            origin = request.headers.get(hdrs.ORIGIN)
            if origin in self._origins:
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Expose-Headers"] = "Retry-After, ETag"
                if request.method == "OPTIONS":
                    response.headers["Access-Control-Allow-Methods"] = "GET, POST"
                    response.headers["Access-Control-Allow-Headers"] = (
                        "Authorization, Content-Type, Last-Event-ID, traceparent, tracestate"
                    )
                    response.headers["Access-Control-Max-Age"] = "600"


def _unauthorized(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})


def _listed(text: str | None) -> list[str]:
    return [part.strip().lower() for part in (text or "").split(",") if part.strip()]


def _host(told: str) -> str | None:
    """The host name in a Host header, without its port; None where it is none.

    >>> _host("[::1]:8090"), _host("Desk.example.org:80"), _host("desk.example.org:port")
    ('::1', 'desk.example.org', None)
    """
    try:
        parts = urlsplit(f"//{told}")
        _ = parts.port  # checks it
        return parts.hostname
    except ValueError:
        return None
