"""The wiring: settings in, an HTTP server with its Kafka clients out."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import ssl
import time
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from stream.errors import SettingError, StoppedUnclean
from stream.gateway.access import Access
from stream.gateway.alerts import Alerts
from stream.gateway.feedback import FeedbackDesk
from stream.gateway.ingest import MAX_ARTICLES, ROUTE, Ingest
from stream.gateway.limits import RateLimit
from stream.gateway.metrics import GatewayMetrics
from stream.gateway.openapi import document
from stream.gateway.problems import Problem, response
from stream.gateway.producer import Producer
from stream.gateway.reader import Archive, TopicReader
from stream.gateway.session import SessionDesk
from stream.gateway.site import Site
from stream.gateway.stories import Stories
from stream.gateway.subscriptions import Subscriptions
from stream.tracing import Tracing, open_tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.web_protocol import RequestHandler

    from stream.settings import Settings

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["Gateway", "serve"]

BURST_SECONDS = 10
"""A client may send as much at once as in so many seconds, and always one full request."""
FLUSH_SECONDS = 2.0
BACKLOG = 1024
"""Connections that wait to be accepted: after a restart every reader comes back at once."""
KEEP_ALIVE_SECONDS = 75.0
"""An idle connection is closed after it: longer than proxies keep theirs, so that they never use one just closed."""
SILENT_SECONDS = 30.0
"""A connection that has sent no request is closed after it, or after twice as long."""

log = structlog.get_logger(__name__)


class Gateway:
    """All parts of one gateway: `app` answers requests, `run` keeps what it shows up to date.

    Raises `SettingError`.
    """

    def __init__(self, settings: Settings, producer: Producer | None = None, tracing: Tracing | None = None) -> None:
        self._in_hand = 0
        self._heard: set[object] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.metrics = metrics = GatewayMetrics()
        self.access = access = Access(settings)
        self.producer = producer or Producer(settings, metrics)
        self.alerts = Alerts(settings, access, Archive(settings), metrics)
        self.stories = Stories(settings, access, metrics)
        self.subscriptions = Subscriptions(settings, metrics.catalogue) if settings.subscriptions else None
        rate = RateLimit(settings.gateway_rate, max(BURST_SECONDS * settings.gateway_rate, MAX_ARTICLES))
        ingest = Ingest(settings, access, rate, self.producer, metrics, tracing or Tracing())
        feedback = FeedbackDesk(settings, access, rate, self.producer, metrics)
        session = SessionDesk(access)
        site = Site()
        self.app = web.Application(middlewares=[self._answer])
        self.app.on_response_prepare.append(access.add_headers)
        self.app.add_routes(
            [
                web.post(ROUTE, ingest.post),
                web.get("/v1/alerts", self.alerts.recent),
                web.get("/v1/alerts/stream", self.alerts.stream, allow_head=False),
                web.get("/v1/alerts.atom", self.alerts.atom),
                web.get("/v1/stories", self.stories.latest),
                web.get("/v1/stories/{story_id}", self.stories.get),
                web.post("/v1/feedback", feedback.post),
                web.get("/v1/session", session.get),
                web.post("/v1/session", session.post),
                web.delete("/v1/session", session.delete),
                web.get("/openapi.json", _serve_document),
                web.get("/healthz", self._serve_health),
                web.get("/readyz", self._serve_readiness),
                web.get("/metrics", self._serve_metrics),
                web.get("/", site.index),
                web.get("/static/{name}", site.static),
            ]
        )
        self._readers = [
            TopicReader(
                settings,
                settings.topic_alerts,
                metrics,
                tail=settings.gateway_history,
                start=self.alerts.history.start,
                take=self.alerts.take,
                loaded=self.alerts.loaded,
            ),
            TopicReader(
                settings,
                settings.topic_stories,
                metrics,
                tail=None,
                start=lambda partition, offset: None,
                take=self.stories.take,
                loaded=self.stories.loaded,
            ),
        ]

    async def run(self) -> None:
        """Read alerts and stories, and keep streams alive, until cancelled. Raises `KafkaError` (ours)."""
        self.producer.start()
        async with asyncio.TaskGroup() as tasks:
            for reader in self._readers:
                tasks.create_task(reader.run())
            tasks.create_task(self.alerts.fanout.beat())

    async def close_silent(self, server: web.Server, seconds: float = SILENT_SECONDS) -> None:
        """Close connections that send no request, until cancelled: aiohttp would let strangers keep them for ever."""
        known: set[RequestHandler] = set()
        while True:
            await asyncio.sleep(seconds)
            open_ = set(server.connections)
            self._heard &= open_
            for connection in known & open_ - self._heard:
                connection.force_close()
            known = open_

    async def finish(self, seconds: float) -> bool:
        """Wait until no request is in hand; whether that was in time.

        aiohttp's own shutdown reads nothing more, so a request whose body is still coming would be cut off.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            # What is left there was not acknowledged to anybody.
            await self.producer.close(FLUSH_SECONDS)
        return True

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors as problems, and every request counted."""
        resource_ = request.match_info.route.resource
        route = resource_.canonical if resource_ else "none"
        began = time.perf_counter()
        status = 500
        self._in_hand += 1
        self._idle.clear()
        self._heard.add(request.protocol)
        try:
            answered = await self._handle(request, handler)
            status = answered.status
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self._idle.set()
            method = request.method if resource_ else "none"
            self.metrics.requests.labels(route, method, str(status)).inc()
            if not route.endswith("/stream"):
                self.metrics.duration.labels(route).observe(time.perf_counter() - began)
        return answered

    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self.access.check(request)
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                return web.Response(status=204)
            return await handler(request)
        except Problem as problem:
            return response(problem)
        except web.HTTPException as error:
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return response(Problem(error.status, error.reason, headers=allow))
        except (web.RequestPayloadError, ConnectionResetError):
            return response(Problem(400, "the body broke off", headers={"Connection": "close"}))
        except Exception:
            log.exception("a request failed", method=request.method, path=request.path)
            return response(Problem(500, "the gateway failed on this request; its log says how"))

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.metrics.registry), headers={"Content-Type": content_type})

    async def _serve_health(self, _: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def _serve_readiness(self, _: web.Request) -> web.Response:
        """Ready: all has been read once, and Kafka takes articles."""
        parts = {
            "producer": self.producer.ready,
            "alerts": self.alerts.loaded.is_set(),
            "stories": self.stories.loaded.is_set(),
        }
        return web.json_response(
            {"ok": all(parts.values()), "parts": parts}, status=200 if all(parts.values()) else 503
        )


async def _serve_document(_: web.Request) -> web.Response:
    return web.Response(body=msgspec.json.encode(document()), content_type="application/json")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; a second one ends the process at once.

    Raises `SettingError`, `StoppedUnclean` when a request could not be finished in time, and `KafkaError`.
    """
    tls = _tls(settings)
    tracing = open_tracing("ajil-gateway")
    gateway = Gateway(settings, tracing=tracing)
    _allow_connections(settings.gateway_subscribers)
    stop = asyncio.Event()

    def stop_or_exit() -> None:
        if stop.is_set():
            os._exit(StoppedUnclean.exit_code)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_or_exit)

    runner = web.AppRunner(
        gateway.app,
        access_log=None,
        handle_signals=False,
        auto_decompress=False,  # stream/gateway/body.py does it
        shutdown_timeout=1.0,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
    )
    await runner.setup()
    assert runner.server is not None
    closing = asyncio.create_task(gateway.close_silent(runner.server))
    running: asyncio.Task[None] | None = None
    try:
        site = await _listen(runner, settings, tls)
        running = asyncio.create_task(gateway.run())
        if gateway.subscriptions:
            await gateway.subscriptions.start()
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        stopping.cancel()
        await site.stop()
        gateway.alerts.fanout.stop()
        finished = await gateway.finish(settings.stop_deadline)
    finally:
        closing.cancel()
        ending = [gateway.subscriptions.stop()] if gateway.subscriptions else []
        await asyncio.gather(runner.cleanup(), *ending)
        if running:
            running.cancel()
            await asyncio.wait({running})
        await asyncio.to_thread(tracing.close, FLUSH_SECONDS)
    if not running.cancelled() and (error := running.exception()):
        raise error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    if not finished:
        raise StoppedUnclean("stopped before every request was answered")


async def _listen(runner: web.AppRunner, settings: Settings, tls: ssl.SSLContext | None) -> web.TCPSite:
    host, port = settings.gateway_host, settings.gateway_port
    site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=BACKLOG, reuse_address=True)
    try:
        await site.start()
    except (OSError, socket.gaierror) as error:
        raise SettingError(
            f"cannot listen on {host}:{port} (AJIL_GATEWAY_HOST, AJIL_GATEWAY_PORT): {error.strerror or error}"
        ) from None
    bound = runner.addresses[0][1]
    shown = f"[{host}]" if ":" in host else host
    log.info("serving", url=f"{'https' if tls else 'http'}://{shown}:{bound}/")
    return site


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.gateway_certificate_file is None or settings.gateway_key_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.gateway_certificate_file, settings.gateway_key_file, password="")
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{settings.gateway_certificate_file} and {settings.gateway_key_file} (AJIL_GATEWAY_CERTIFICATE_FILE, "
            f"AJIL_GATEWAY_KEY_FILE) are no certificate and its key: {error}"
        ) from None
    return context


def _allow_connections(subscribers: int) -> None:
    """Raise the limit of open files as far as the system lets us: it is 1,024 in many shells and containers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = subscribers + 1024
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("the limit of open files is too low for all streams", allowed=allowed, wanted=wanted)
