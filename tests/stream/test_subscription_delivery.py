"""The loop of one destination, with a fake Kafka and a fake destination."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from stream.catalogue import Catalogue
from stream.gateway.subscriptions.circuit import Backoff, Circuit
from stream.gateway.subscriptions.delivery import MAX_UNSENT, Delivery
from stream.gateway.subscriptions.file import Destination
from stream.gateway.subscriptions.filters import Filters
from stream.gateway.subscriptions.inbox import Arrived, Share
from stream.gateway.subscriptions.metrics import SubscriptionMetrics
from stream.gateway.subscriptions.schedule import Quiet
from stream.gateway.subscriptions.sender import Failed, Refused
from stream.records import ArticleRef
from tests.alerts import alert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.records import Alert

LONG_AGO = datetime(2026, 1, 5, 12, 1, tzinfo=UTC)


class FakeInbox:
    """Hands out `batches`, then nothing; `committed` is what a restart would resume from."""

    def __init__(self) -> None:
        self.share = Share(SimpleNamespace(partition=0), 0, 0, 0)  # type: ignore[arg-type]
        self.shares = {0: self.share}
        self.batches: list[list[Arrived]] = []
        self.committed = 0
        self._next = 0

    def batch(self, *alerts: Alert, at: datetime = LONG_AGO, known: bool = False) -> None:
        batch = []
        for one in alerts:
            record = SimpleNamespace(offset=self._next)
            batch.append(Arrived(one, record, at, self.share, known))  # type: ignore[arg-type]
            self._next += 1
        self.batches.append(batch)

    async def read(self, seconds: float) -> list[Arrived]:
        batch = self.batches.pop(0) if self.batches else []
        if batch:
            self.share.position = batch[-1].record.offset + 1
        return batch

    async def commit(self) -> None:
        self.committed = self.share.done


class FakeSender:
    """Raises what `errors` holds, one for each attempt, then takes everything into `sent`."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.errors: list[Exception] = []

    async def send(self, alerts: Sequence[Alert]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append([f"{one.alert_id}/{one.revision}" for one in alerts])


class FakeUndelivered:
    def __init__(self) -> None:
        self.added: list[tuple[int, str]] = []

    async def add(self, record: Any, destination: str, reason: str, message: str) -> None:
        self.added.append((record.offset, reason))


class Desk:
    """A delivery and its fakes; its circuit never waits."""

    def __init__(self, **fields: Any) -> None:
        told = {"name": "desk.hook", "service": "webhook", "url": "", "secret": None, "allow_private": False}
        told |= {"timeout": 5, "give_up_after": 10**9, "filters": Filters(), "quiet": None, "digest": None}
        self.inbox, self.sender, self.undelivered = FakeInbox(), FakeSender(), FakeUndelivered()
        self.catalogue = Catalogue()
        self.delivery = Delivery(
            Destination(**told | fields),
            self.inbox,  # type: ignore[arg-type]
            self.sender,
            self.undelivered,  # type: ignore[arg-type]
            SubscriptionMetrics(self.catalogue),
            Circuit(Backoff(0, 0)),
        )

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.delivery.turn()


async def test_each_alert_is_a_message_and_committed_after_it() -> None:
    desk = Desk()
    desk.inbox.batch(alert("a"), alert("b"))
    desk.sender.errors = [Failed("not now")]
    await desk.turns(1)
    assert (desk.sender.sent, desk.inbox.committed) == ([], 0)
    await desk.turns(1)
    assert (desk.sender.sent, desk.inbox.committed) == ([["en-a/1"], ["en-b/1"]], 2)


async def test_the_age_of_a_message_carries_the_trace_of_its_first_alert() -> None:
    desk = Desk()
    article = ArticleRef(
        id="1",
        event_id="e",
        source="one.example",
        url=None,
        title="t",
        published_at=None,
        ingested_at=LONG_AGO,
        breaking=True,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    desk.inbox.batch(alert("a", articles=[article]))
    await desk.turns(1)
    (found,) = (
        sample.exemplar
        for family in desk.catalogue.registry.collect()
        for sample in family.samples
        if sample.name == "ajil_delivery_age_seconds_bucket" and sample.exemplar
    )
    assert found.labels == {"trace_id": "0af7651916cd43dd8448eb211c80319c"}


async def test_a_digest_leaves_on_time_though_alerts_keep_coming() -> None:
    desk = Desk(digest=900)
    desk.inbox.batch(alert("a"), alert("b"))
    desk.inbox.batch(alert("c", kind="updated", revision=2), at=datetime.now(UTC))
    await desk.turns(2)
    assert desk.sender.sent == [["en-a/1", "en-b/1"]]


async def test_a_digest_waits_until_all_of_its_slot_were_read() -> None:
    desk = Desk(digest=900)
    desk.inbox.batch(alert("a"), alert("b"))
    desk.inbox.batch(alert("c"))
    desk.inbox.batch(alert("d"), at=LONG_AGO + timedelta(hours=1))
    await desk.turns(3)
    assert (desk.sender.sent, desk.inbox.committed) == ([], 0)
    await desk.turns(1)
    assert desk.sender.sent == [["en-a/1", "en-b/1", "en-c/1"], ["en-d/1"]]
    assert desk.inbox.committed == 4


async def test_nothing_is_sent_or_committed_in_quiet_hours() -> None:
    now = datetime.now(UTC)
    clock = [f"{now + timedelta(hours=hours):%H:%M}" for hours in (-1, 2)]
    desk = Desk(quiet=Quiet(start=clock[0], end=clock[1], zone="UTC"))
    desk.inbox.batch(alert("a"), at=now)
    await desk.turns(3)
    assert (desk.sender.sent, desk.inbox.committed) == ([], 0)


async def test_what_waits_in_memory_is_bounded() -> None:
    desk = Desk()
    desk.sender.errors = [Failed("down")] * 10_000
    for _ in range(MAX_UNSENT // 50 + 3):
        desk.inbox.batch(*(alert(n) for n in range(50)))
    await desk.turns(MAX_UNSENT // 50 + 2)
    assert len(desk.inbox.batches) == 3


async def test_what_is_too_old_is_given_up_only_when_the_destination_keeps_failing() -> None:
    desk = Desk(give_up_after=60)
    desk.inbox.batch(alert("a"), alert("b"))
    desk.sender.errors = [Failed("down")] * 5
    await desk.turns(4)
    assert desk.undelivered.added == []
    await desk.turns(1)
    assert desk.undelivered.added == [(0, "given_up")]
    assert (desk.sender.sent, desk.inbox.committed) == ([["en-b/1"]], 2)
    assert desk.catalogue.registry.get_sample_value("ajil_destination_circuit_open", {"destination": "desk.hook"}) == 0


async def test_what_is_refused_is_given_up_at_once() -> None:
    desk = Desk()
    desk.inbox.batch(alert("a"), alert("b"))
    desk.sender.errors = [Refused("no")]
    await desk.turns(1)
    assert desk.undelivered.added == [(0, "refused")]
    assert desk.sender.sent == [["en-b/1"]]


async def test_what_is_not_wanted_is_passed_over_and_committed() -> None:
    desk = Desk(filters=Filters(languages=("ar",)))
    desk.inbox.batch(alert("a"), alert("b"))
    await desk.turns(2)
    assert (desk.sender.sent, desk.inbox.committed) == ([], 2)


async def test_a_partition_that_was_taken_away_is_left_to_its_new_owner() -> None:
    desk = Desk()
    desk.inbox.batch(alert("a"))
    desk.sender.errors = [Failed("down")]
    await desk.turns(1)
    desk.inbox.share.lost = True
    await desk.turns(2)
    assert desk.sender.sent == []


@pytest.mark.parametrize(("known", "sent"), [(True, [["en-a/2"]]), (False, [["en-a/1"], ["en-a/2"]])])
async def test_what_was_sent_before_a_restart_is_remembered_not_repeated(known: bool, sent: list[list[str]]) -> None:
    desk = Desk(filters=Filters(topics=("sport",)))
    desk.inbox.batch(alert("a", topic="sport"), known=known)
    desk.inbox.batch(alert("a", kind="retracted", revision=2, topic=None))
    await desk.turns(3)
    assert desk.sender.sent == sent
