"""The worker's HTTP server: `/metrics`, `/health/live` and `/health/ready`.

Live means progress: each agent's Kafka thread has polled, published or retried within `AJIL_MAX_POLL_INTERVAL`.
Ready means that each agent's group has told it which partitions it has (be it none) and that it is not stopping.
"""

from __future__ import annotations

import json
import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from mode import Service
from prometheus_client.exposition import choose_encoder

from stream.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.metrics import Metrics
    from stream.settings import Settings
    from stream.source import Source

__all__ = ["HealthServer"]

log = structlog.get_logger(__name__)


class HealthServer(Service):
    """Starts before the agents and stops after them. Raises `SettingError` when the port cannot be had."""

    abstract = False

    logger = logging.getLogger("mode.health")

    def __init__(self, settings: Settings, metrics: Metrics, sources: Sequence[Source], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._metrics = metrics
        self._sources = sources
        for source in sources:
            metrics.be_ready(source.agent, partial(getattr, source, "ready"))
        # Bound at once, so that a port in use ends the command with one line before anything has started.
        self._socket = _bind(settings)
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/health/live", self._serve_live)
        app.router.add_get("/health/ready", self._serve_ready)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        host, port, *_ = self._socket.getsockname()
        log.info("serving metrics and health", url=f"http://{host}:{port}/metrics")

    async def on_stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._socket.close()

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})

    async def _serve_live(self, _: web.Request) -> web.Response:
        limit = self._settings.max_poll_interval
        return _answer({source.agent: source.idle_seconds <= limit for source in self._sources})

    async def _serve_ready(self, _: web.Request) -> web.Response:
        essential = [source for source in self._sources if source.essential]
        return _answer({source.agent: source.ready for source in essential or self._sources})


def _bind(settings: Settings) -> socket.socket:
    host, port = settings.http_host, settings.http_port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise SettingError(
            f"cannot listen on {host}:{port} (AJIL_HTTP_HOST, AJIL_HTTP_PORT): {error.strerror or error}"
        ) from None
    return bound


def _answer(agents: dict[str, bool]) -> web.Response:
    """200 when every agent is well, else 503; the body says which is not."""
    return web.Response(
        status=200 if all(agents.values()) else 503,
        text=json.dumps({"ok": all(agents.values()), "agents": agents}),
        content_type="application/json",
    )
