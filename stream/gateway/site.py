"""The live page's files, read at start and served from memory."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from stream.gateway.problems import Problem

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["PAGE", "Site"]

PAGE = files("stream.gateway") / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class _File(NamedTuple):
    plain: bytes
    packed: bytes
    media: str
    tag: str


class Site:
    """index.html at `/`, every file at `/static/NAME`."""

    def __init__(self, folder: Traversable = PAGE) -> None:
        self._files = {item.name: _read(item) for item in folder.iterdir() if item.is_file()} if folder.is_dir() else {}

    async def index(self, request: web.Request) -> web.Response:
        return self._serve(request, "index.html")

    async def static(self, request: web.Request) -> web.Response:
        return self._serve(request, request.match_info["name"])

    def _serve(self, request: web.Request, name: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            raise Problem(404, "no such file of the page")
        headers = {
            "ETag": f'"{file.tag}"',
            # Asked for anew each time, so that page and gateway are of one version; a 304 costs nothing.
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": POLICY,
        }
        if any(known.value in (file.tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = file.media
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=file.packed, headers=headers | {"Content-Encoding": "gzip"})
        return web.Response(body=file.plain, headers=headers)


def _read(item: Traversable) -> _File:
    plain = item.read_bytes()
    media = mimetypes.guess_type(item.name)[0] or "application/octet-stream"
    if media.startswith("text/") or media.endswith(("javascript", "json", "xml")):
        media += "; charset=utf-8"
    return _File(plain, gzip.compress(plain, 9, mtime=0), media, hashlib.sha256(plain).hexdigest()[:32])
