"""One HTTP server for all that is told in a test: Alertmanager's notifications, and Ajil's own webhooks."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

__all__ = ["Notice", "Receiver"]


class Notice(NamedTuple):
    """One alert of one notification of Alertmanager's; `at` is a time of `time.time`."""

    at: float
    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Receiver:
    """Takes a POST to any path on a free port of 127.0.0.1 and answers 200, or what `statuses` has for its path.

    What comes to `/alertmanager/RECEIVER` is kept in `notices`.
    """

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.statuses: dict[str, int] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path.startswith("/alertmanager/"):
                    receiver._notice(self.path.removeprefix("/alertmanager/"), json.loads(body))
                self.send_response(receiver.statuses.get(self.path, 200))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not on the test's output."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that was killed in the middle of a request is what these tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def told(self, alertname: str, status: str, since: float, **labels: str) -> list[Notice]:
        """Notices of this alert that came after `since` (`time.time`)."""
        wanted = {"alertname": alertname, **labels}.items()
        return [one for one in self.notices if one.at > since and one.status == status and wanted <= one.labels.items()]

    def _notice(self, receiver: str, message: dict[str, Any]) -> None:
        now = time.time()
        for alert in message["alerts"]:
            self.notices.append(Notice(now, receiver, alert["status"], alert["labels"], alert["annotations"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
