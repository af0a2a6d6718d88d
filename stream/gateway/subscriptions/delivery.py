"""The loop of one destination: read, choose, send, commit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import structlog

from stream.gateway.subscriptions.filters import Matcher
from stream.gateway.subscriptions.schedule import slot
from stream.gateway.subscriptions.sender import Failed, Refused
from stream.tracing.traceparent import trace_of_alert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.gateway.subscriptions.circuit import Circuit
    from stream.gateway.subscriptions.file import Destination
    from stream.gateway.subscriptions.inbox import Arrived, Inbox
    from stream.gateway.subscriptions.metrics import SubscriptionMetrics
    from stream.gateway.subscriptions.sender import Sender
    from stream.gateway.subscriptions.undelivered import Undelivered
    from stream.records import Alert

__all__ = ["Delivery", "Item", "digest_of"]

log = structlog.get_logger(__name__)

MAX_UNSENT = 200
"""Alerts that wait in memory for one destination, and so the most in one digest. What comes after waits in Kafka."""
IDLE_SECONDS = 1.0
LIVE = timedelta(seconds=5)
"""Alerts no older than this are read as they come: on a busy topic there is always one more."""


class Item(NamedTuple):
    """An alert to be sent at `due`. `first`: the destination knows nothing of the story so far."""

    arrived: Arrived
    due: datetime
    first: bool

    @property
    def held(self) -> bool:
        """Whether it goes out with the others of its slot."""
        return self.due > self.arrived.time


class Delivery:
    """One destination's. `turn` does, in this order:

    1. read alerts, and keep those that are wanted with the time they are due;
    2. while the circuit lets it, send what is due, in order, one message at a time;
    3. after each message that was taken or given up, commit.

    So a crash repeats the message in hand at most, under the same id, and a destination that is down only reads less.
    """

    def __init__(
        self,
        destination: Destination,
        inbox: Inbox,
        sender: Sender,
        undelivered: Undelivered,
        metrics: SubscriptionMetrics,
        circuit: Circuit,
    ) -> None:
        self._destination = destination
        self._matcher = Matcher(destination.filters)
        self._inbox = inbox
        self._sender = sender
        self._undelivered = undelivered
        self._metrics = metrics
        self._circuit = circuit
        self._unsent: list[Item] = []
        self._stopping = asyncio.Event()
        self._log = log.bind(destination=destination.name)
        metrics.circuit_open.labels(destination.name).set(0)

    def stop(self) -> None:
        """Let `run` return after the message in hand."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; raises aiokafka's `KafkaError` when Kafka is away, and can be called again."""
        self._unsent.clear()
        await self._inbox.start()
        while not self._stopping.is_set():
            await self.turn()

    async def turn(self) -> None:
        arrived = await self._read()
        for one in arrived:
            self._consider(one)
        # A digest is complete when nothing older is waiting to be read, or when it is full.
        live = datetime.now(UTC) - LIVE
        whole = all(one.time > live for one in arrived) or len(self._unsent) >= MAX_UNSENT
        while not self._stopping.is_set() and (group := self._next(whole)):
            if not await self._attempt(group):
                break
            await self._inbox.commit()
        if not arrived or any(share.done - share.committed > 100 for share in self._inbox.shares.values()):
            await self._inbox.commit()

    async def _read(self) -> list[Arrived]:
        wait = IDLE_SECONDS
        if self._unsent and (pause := self._circuit.wait):
            wait = min(wait, pause)
        self._unsent = [item for item in self._unsent if not item.arrived.share.lost]
        if len(self._unsent) >= MAX_UNSENT:
            # Not reading is the back-pressure; the membership is kept by heartbeats meanwhile.
            await asyncio.sleep(wait)
            return []
        return await self._inbox.read(wait)

    def _consider(self, arrived: Arrived) -> None:
        alert, share = arrived.alert, arrived.share
        told = share.was_told(alert.alert_id)
        if not self._matcher.wants(alert, told):
            return
        share.tell(alert.alert_id)
        if arrived.known:
            return
        due = slot(arrived.time, datetime.now(UTC), self._destination.digest, self._destination.quiet)
        self._unsent.append(Item(arrived, due, first=not told))
        share.unsent[arrived.record.offset] = None

    def _next(self, whole: bool) -> list[Item]:
        """The message to send next; none while nothing is due. One share's alerts leave in their order: an alert is
        never due before its predecessors."""
        unsent = [item for item in self._unsent if not item.arrived.share.lost]
        now = datetime.now(UTC)
        quiet = self._destination.quiet
        if not unsent or (quiet and quiet.until(now)):
            return []
        first = min(unsent, key=lambda item: item.due)
        if first.due > now:
            return []
        if not first.held:
            return [first]
        return [item for item in unsent if item.held and item.due == first.due] if whole else []

    async def _attempt(self, group: list[Item]) -> bool:
        """Whether the message is done with. Raises aiokafka's `KafkaError` when it cannot be given up now."""
        if self._circuit.wait:
            return False
        if alerts := digest_of(group):
            try:
                await self._sender.send(alerts)
            except Refused as error:
                self._circuit.succeeded()
                await self._give_up(group, "refused", str(error))
            except Failed as error:
                self._failed(error)
                late = (datetime.now(UTC) - group[0].due).total_seconds() > self._destination.give_up_after
                if not (late and self._circuit.is_open):
                    return False
                await self._give_up(group, "given_up", str(error))
                if error.retry_after is None:
                    # It may have been this message that failed; the next one is not to age behind it.
                    self._circuit.try_now()
            else:
                self._delivered(alerts)
        self._metrics.circuit_open.labels(self._destination.name).set(self._circuit.is_open)
        for item in group:
            del item.arrived.share.unsent[item.arrived.record.offset]
        done = set(map(id, group))
        self._unsent = [item for item in self._unsent if id(item) not in done]
        return True

    def _delivered(self, alerts: Sequence[Alert]) -> None:
        if self._circuit.is_open:
            self._log.info("the destination takes alerts again")
        self._circuit.succeeded()
        self._count("delivered")
        now = datetime.now(UTC)
        for alert in alerts:
            age = (now - alert.alerted_at).total_seconds()
            trace = trace_of_alert(alert) if alert is alerts[0] else None
            exemplar = {"trace_id": trace} if trace else None
            self._metrics.age.labels(self._destination.service).observe(max(0.0, age), exemplar)

    def _failed(self, error: Failed) -> None:
        was_open = self._circuit.is_open
        pause = self._circuit.failed(error.retry_after)
        self._count("failed")
        self._metrics.circuit_open.labels(self._destination.name).set(self._circuit.is_open)
        if not was_open:  # an open circuit was told when it opened
            told = "the destination keeps failing" if self._circuit.is_open else "not delivered, will be tried again"
            self._log.warning(told, error=str(error), again_in_seconds=round(pause, 1))

    async def _give_up(self, group: list[Item], reason: str, message: str) -> None:
        for item in group:
            await self._undelivered.add(item.arrived.record, self._destination.name, reason, message)
            self._count("undelivered")
            alert = item.arrived.alert
            trace = trace_of_alert(alert)
            told = {"trace_id": trace} if trace else {}
            self._log.warning("an alert was given up", alert_id=alert.alert_id, **told, error=message)

    def _count(self, result: str) -> None:
        self._metrics.deliveries.labels(self._destination.name, self._destination.service, result).inc()


def digest_of(group: Sequence[Item]) -> list[Alert]:
    """The newest revision of each alert in the group; none of an alert that was opened and retracted within it."""
    newest: dict[str, tuple[Alert, bool]] = {}
    for item in group:
        alert = item.arrived.alert
        _, first = newest.pop(alert.alert_id, (None, item.first))
        newest[alert.alert_id] = alert, first
    return [alert for alert, first in newest.values() if not (first and alert.kind == "retracted")]
