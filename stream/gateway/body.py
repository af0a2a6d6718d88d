"""A request's body, decompressed and whole."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from stream.gateway.problems import Problem

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["BODY_SECONDS", "read_body"]

BODY_SECONDS = 30.0
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}  # RFC 9110: deflate is the zlib format


async def read_body(request: web.Request, limit: int) -> bytes:
    """At most `limit` bytes once decompressed. Raises `Problem` (400, 408, 413, 415).

    The server must leave bodies compressed: aiohttp itself takes a gzip that ends half way for the whole.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity" and encoding not in _WINDOWS:
        raise _refused(415, "the content-encoding is not gzip or deflate", {"Accept-Encoding": "gzip, deflate"})
    if (request.content_length or 0) > limit:
        raise _too_long(limit)
    unpack = None if encoding == "identity" else zlib.decompressobj(_WINDOWS[encoding])
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                # One byte over the limit says as much as a gigabyte.
                body += chunk if unpack is None else unpack.decompress(chunk, limit + 1 - len(body))
                if len(body) > limit:
                    raise _too_long(limit)
    except TimeoutError:
        raise Problem(408, f"the body did not come within {BODY_SECONDS:.0f} s") from None
    except zlib.error as error:
        raise _refused(400, f"the body is not {encoding}: {error}") from None
    if unpack is not None and not unpack.eof:
        raise _refused(400, f"the {encoding} body ends early: {len(body)} bytes came out of it")
    if unpack is not None and unpack.unused_data:
        raise _refused(400, f"something follows the {encoding} body")
    return bytes(body)


def _too_long(limit: int) -> Problem:
    return _refused(413, f"the request is longer than {limit} bytes")


def _refused(status: int, detail: str, headers: dict[str, str] | None = None) -> Problem:
    # The rest of the body may be unread, so the connection cannot be used for another request.
    return Problem(status, detail, headers={**(headers or {}), "Connection": "close"})
