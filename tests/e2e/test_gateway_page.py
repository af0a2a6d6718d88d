"""The live page over the real gateway and a real Kafka."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from stream.records import Feedback, encode, read
from tests.e2e.gateway import alert, story
from tests.kafka_client import Record, consume_all, create_topics, produce
from tests.kafka_server import KafkaServer
from tests.ports import HOST, free_ports
from tests.worker_process import environment, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.async_api import Page

    from stream.records import Alert, Story
    from tests.kafka_client import Topics

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


class GatewayProcess:
    """`ajil gateway` on topics of its own; it can be stopped, and started again where it was."""

    def __init__(self, kafka: KafkaServer, folder: Path) -> None:
        self.kafka = kafka
        self.topics: Topics = create_topics(kafka.address)
        self.port = free_ports(1)[0]
        self.log = folder / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli", "gateway"],
                env=environment(self.kafka.address, self.topics, gateway_port=self.port, gateway_host=HOST),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(f"the gateway is ready ({self.log})", self._ready)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def publish(self, *records: Alert | Story) -> None:
        for record in records:
            topic = self.topics.alerts if hasattr(record, "kind") else self.topics.stories
            produce(self.kafka.address, topic, [Record(encode(record), key=(record.story_id or "").encode())])

    def feedback(self) -> list[Feedback]:
        return [read(record.value or b"", Feedback) for record in consume_all(self.kafka.address, self.topics.feedback)]


@pytest.fixture
def served(kafka: KafkaServer, tmp_path: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(kafka, tmp_path)
    gateway.start()
    yield gateway
    gateway.stop()


async def test_from_kafka_to_the_page_and_back(page: Page, served: GatewayProcess) -> None:
    flash = alert("Barge strikes the bridge at Salt River", ago=60)
    await asyncio.to_thread(served.publish, flash, story(flash))
    await page.goto(served.url)
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await expect(page.locator(".item")).to_have_count(1)

    confirmed = alert("Barge strikes the bridge at Salt River", "confirmed")
    await asyncio.to_thread(served.publish, story(confirmed), confirmed)
    await expect(page.locator(".item")).to_have_attribute("data-kind", "confirmed")
    await page.locator(".headline").click()
    await expect(page.locator(".articles li")).to_have_count(1)
    await expect(page.locator(".details .wrong")).to_have_count(0)

    await page.get_by_role("button", name="Not breaking").click()
    await page.get_by_role("button", name="Withdraw the alert").click()
    await expect(page.locator(".said")).to_contain_text("Sent")
    (withdrawn,) = await asyncio.to_thread(served.feedback)
    assert (withdrawn.alert_id, withdrawn.withdraw) == (flash.alert_id, True)

    await page.get_by_role("button", name="Wrong topic").click()
    await page.get_by_label("Right topic").select_option("economy")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".said")).to_contain_text("Economy")
    assert "economy" in [one.topic for one in await asyncio.to_thread(served.feedback)]

    await page.get_by_role("link", name="Stories").click()
    await expect(page.locator(".item")).to_have_attribute("data-kind", "confirmed")


async def test_a_gateway_that_restarts_loses_and_repeats_nothing(page: Page, served: GatewayProcess) -> None:
    await asyncio.to_thread(served.publish, *(alert(f"Before {number}", ago=60) for number in range(5)))
    await page.goto(served.url)
    await expect(page.locator(".item")).to_have_count(5)
    await asyncio.to_thread(served.stop)
    await asyncio.to_thread(served.publish, *(alert(f"Meanwhile {number}") for number in range(20)))
    await asyncio.to_thread(served.start)
    await asyncio.to_thread(served.publish, *(alert(f"After {number}") for number in range(5)))
    await expect(page.locator(".item")).to_have_count(30, timeout=30_000)
    titles = await page.locator(".headline").all_text_contents()
    assert len(set(titles)) == 30
