"""The subscriptions alone in a process of their own, until SIGTERM: `python -m tests.subscriptions_process`."""

from __future__ import annotations

import asyncio
import signal

from stream import logs
from stream.catalogue import Catalogue
from stream.gateway.subscriptions import Subscriptions
from stream.gateway.subscriptions.circuit import Backoff
from stream.settings import load_settings


async def main() -> None:
    settings = load_settings()
    logs.configure(settings)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    subscriptions = Subscriptions(settings, Catalogue(), Backoff(0.05, 0.2))
    await subscriptions.start()
    await stop.wait()
    await subscriptions.stop()


if __name__ == "__main__":
    asyncio.run(main())
