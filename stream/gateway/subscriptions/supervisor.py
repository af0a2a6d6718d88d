"""All subscriptions of a gateway: started together, stopped together, changed when their file changes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from aiokafka.errors import KafkaError

from stream.errors import SettingError
from stream.gateway.subscriptions.circuit import Backoff, Circuit
from stream.gateway.subscriptions.delivery import Delivery
from stream.gateway.subscriptions.file import load, read
from stream.gateway.subscriptions.inbox import Inbox
from stream.gateway.subscriptions.metrics import SubscriptionMetrics
from stream.gateway.subscriptions.sender import open_sender
from stream.gateway.subscriptions.undelivered import Undelivered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from stream.catalogue import Catalogue
    from stream.gateway.subscriptions.file import Destination, SubscriptionsFile
    from stream.settings import Settings

__all__ = ["Subscriptions"]

log = structlog.get_logger(__name__)

RELOAD_SECONDS = 2.0
STOP_SECONDS = 5.0
"""For the message in hand; after that it is repeated by the next start."""
RETRY_SECONDS = 5.0


class Subscriptions:
    """Reads the file at once: raises `SettingError` when it is invalid.

    Each destination has a task, a consumer group (`GROUP.subscription.NAME`) and a sender of its own, so that none
    waits for another. A changed file is applied to the destinations that it changes; an invalid one is refused, and the
    old one stays in force.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, backoff: Backoff = Backoff()) -> None:  # noqa: B008
        assert settings.subscriptions is not None
        self._settings = settings
        self._metrics = SubscriptionMetrics(catalogue)
        self._backoff = backoff
        self._path = settings.subscriptions
        self._file = load(self._path)
        self._seen = _stamps(self._file.files)
        self._undelivered: Undelivered | None = None
        self._running: dict[str, _Running] = {}
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start every destination; each waits for Kafka by itself."""
        self._undelivered = Undelivered(self._settings)
        for destination in self._file.destinations.values():
            self._run(destination)
        self._watcher = asyncio.create_task(self._watch())
        log.info("subscriptions started", file=str(self._path), destinations=len(self._running))

    async def stop(self) -> None:
        """Finish the messages in hand, within `STOP_SECONDS`, and leave the groups."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        await asyncio.gather(*(running.stop() for running in self._running.values()))
        if self._undelivered is not None:
            await self._undelivered.close()

    def _run(self, destination: Destination) -> None:
        assert self._undelivered is not None
        self._running[destination.name] = _Running(
            destination, self._settings, self._undelivered, self._metrics, self._backoff
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            stamps = await asyncio.to_thread(_stamps, self._seen)
            if stamps == self._seen:
                continue
            self._seen = stamps
            try:
                new = await asyncio.to_thread(read, self._path)
            except SettingError as error:
                self._refuse(str(error))
                continue
            # What is named anew is watched though the file be refused: the secret may be written after it.
            self._seen = _stamps(new.files) | {file: stamp for file, stamp in stamps.items() if file in new.files}
            if new.problems:
                self._refuse(f"{self._path}: {new.problems[0]}")
            else:
                await self._apply(new)

    def _refuse(self, error: str) -> None:
        self._metrics.reloads.labels("refused").inc()
        log.error("the changed subscriptions are refused, the old ones stay in force", error=error)

    async def _apply(self, new: SubscriptionsFile) -> None:
        old = self._file.destinations
        gone = [name for name, destination in old.items() if new.destinations.get(name) != destination]
        await asyncio.gather(*(self._running.pop(name).stop() for name in gone))
        for name in old.keys() - new.destinations.keys():
            self._metrics.circuit_open.remove(name)
        self._file = new
        fresh = [destination for name, destination in new.destinations.items() if name not in self._running]
        for destination in fresh:
            self._run(destination)
        self._metrics.reloads.labels("applied").inc()
        log.info("subscriptions reloaded", stopped=sorted(gone), started=sorted(one.name for one in fresh))


class _Running:
    """One destination's task, started again whenever it ends before it should."""

    def __init__(
        self,
        destination: Destination,
        settings: Settings,
        undelivered: Undelivered,
        metrics: SubscriptionMetrics,
        backoff: Backoff,
    ) -> None:
        self._destination = destination
        self._settings = settings
        self._undelivered = undelivered
        self._metrics = metrics
        self._circuit = Circuit(backoff)
        self._sender = open_sender(destination)
        self._delivery: Delivery | None = None
        self._stopping = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._stopping = True
        if self._delivery is not None:
            self._delivery.stop()
        await asyncio.wait([self._task], timeout=STOP_SECONDS)
        self._task.cancel()
        await asyncio.wait([self._task], timeout=STOP_SECONDS)
        await self._sender.close()

    async def _run(self) -> None:
        told = log.bind(destination=self._destination.name)
        while not self._stopping:
            inbox = Inbox(self._settings, f"{self._settings.group}.subscription.{self._destination.name}")
            self._delivery = Delivery(
                self._destination, inbox, self._sender, self._undelivered, self._metrics, self._circuit
            )
            try:
                await self._delivery.run()
            except (KafkaError, OSError) as error:
                told.warning("waiting for Kafka", error=str(error) or type(error).__name__)
            except Exception:
                told.exception("a destination's loop failed; it starts again")
            finally:
                # A coordinator that does not answer may keep its member: the session time-out tells it then.
                with suppress(KafkaError, OSError):
                    async with asyncio.timeout(STOP_SECONDS):
                        await inbox.stop()
            if not self._stopping:
                await asyncio.sleep(RETRY_SECONDS)


def _stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int, int] | None]:
    """What changes when a file is written or replaced; None for one that is not there."""
    stamps: dict[Path, tuple[int, int, int] | None] = {}
    for file in files:
        try:
            found = file.stat()
        except OSError:
            stamps[file] = None
        else:
            stamps[file] = found.st_ino, found.st_size, found.st_mtime_ns
    return stamps
