"""`ajil gateway`."""

from __future__ import annotations

import click


@click.command()
def command() -> None:
    """Serve HTTP until SIGTERM or Ctrl-C: articles in, alerts, stories and the live page out.

    Listens on AJIL_GATEWAY_HOST:AJIL_GATEWAY_PORT; the live page is at /, the interface at /openapi.json, health at
    /healthz and /readyz, metrics at /metrics. Anything else than loopback needs a tokens file
    (AJIL_GATEWAY_TOKENS_FILE). While Kafka is away it waits, says so, and answers 503 to what needs Kafka.

    Exit codes: 0 stopped in order, 2 a setting is wrong or the port is taken, 3 Kafka lost what was read from it,
    6 stopped before every request was answered.
    """
    import asyncio

    from stream import logs
    from stream.gateway.server import serve
    from stream.settings import load_settings

    settings = load_settings()
    logs.configure(settings)
    asyncio.run(serve(settings))
