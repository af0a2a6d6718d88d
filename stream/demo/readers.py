"""Readers of the gateway's alerts, so that its work for them can be seen: a desk by webhook, and an open page."""

from __future__ import annotations

import base64
import http.client
import secrets
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Desk", "OpenStream"]

AGAIN_SECONDS = 0.5
TIMEOUT = 60.0
"""Four times as long as the gateway's stream is ever silent."""


class Desk:
    """Takes alerts by webhook on a free port of 127.0.0.1; `subscriptions` is the file that has them sent there."""

    subscriptions: Path

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Taker)
        self._folder = tempfile.TemporaryDirectory(prefix="ajil-demo-")
        folder = Path(self._folder.name)
        (folder / "secret").write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(), encoding="utf-8")
        self.subscriptions = folder / "subscriptions.toml"
        self.subscriptions.write_text(
            "[subscriptions.demo.destinations.desk]\n"
            f'webhook = "http://127.0.0.1:{self._server.server_port}/"\n'
            'secret_file = "secret"\n'
            "allow_private = true\n",
            encoding="utf-8",
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="desk")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._folder.cleanup()


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The demo's screen shows the alerts."""


class OpenStream:
    """One open alert stream, as a page that somebody left open; it comes when the gateway is there."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopping = threading.Event()
        # It ends with the gateway, which is stopped after it.
        self._thread = threading.Thread(target=self._read, name="open-stream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()

    def _read(self) -> None:
        while not self._stopping.wait(AGAIN_SECONDS):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
            try:
                connection.request("GET", "/v1/alerts/stream")
                answer = connection.getresponse()
                while answer.readline():
                    pass
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()
