"""`ajil feed`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from stream.feed.entries import Article
    from stream.feed.source import Feed, Polled
    from stream.settings import Settings


def _urls(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    from yarl import URL

    for value in values:
        try:
            wrong = URL(value).scheme not in ("http", "https") or not URL(value).host
        except ValueError:
            wrong = True
        if wrong:
            raise click.BadParameter(f"{value!r} is no address such as https://example.org/rss")
    return values


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...", callback=_urls)
@click.option(
    "--interval",
    type=click.FloatRange(min=60, max=86_400),
    default=300,
    show_default=True,
    help="Seconds between two requests for one feed; longer where the feed asks for it.",
)
@click.option("--once", is_flag=True, help="Read each feed one time and end.")
@click.option("--topic", help="Where to, instead of AJIL_TOPIC_RAW.")
def command(urls: tuple[str, ...], interval: float, once: bool, topic: str | None) -> None:
    """Read RSS and Atom feeds and send their entries to the raw topic, until Ctrl-C.

    An entry is sent when it is new or has changed; its id is its guid, else its link. What a feed has at the start is
    sent once with its own time, so that old news does not alert. Feeds are asked with ETag and Last-Modified; a feed
    that fails is told, asked less often, and stops no other.

    Exit codes: 0 all read (--once), 1 a feed could not be read (--once), 3 no broker or it refused, 4 no such topic,
    130 ended by Ctrl-C.
    """
    import asyncio

    from rich.console import Console

    from stream.kafka import metadata, require_topics
    from stream.settings import load_settings

    settings = load_settings()
    topic = topic or settings.topic_raw
    require_topics(metadata(settings), [topic])
    if asyncio.run(_run(settings, topic, urls, interval, once, Console(stderr=True))):
        sys.exit(1)


async def _run(
    settings: Settings, topic: str, urls: tuple[str, ...], interval: float, once: bool, console: Console
) -> int:
    """Returns how many polls failed."""
    import asyncio

    import msgspec
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError as ClientError

    from stream.errors import KafkaError
    from stream.feed.follow import follow
    from stream.kafka import asyncio_config

    producer = AIOKafkaProducer(
        **asyncio_config(settings),
        acks="all",
        enable_idempotence=True,
        compression_type="gzip",
        max_request_size=settings.max_record_bytes,
    )
    headers = [("content-type", b"application/json")]

    async def send(articles: list[Article]) -> None:
        try:
            placed = [
                await producer.send(
                    topic,
                    msgspec.json.encode(article),
                    key=article.id.encode("utf-8", "replace") if article.id else None,
                    headers=headers,
                )
                for article in articles
            ]
            await asyncio.gather(*placed)
        except ClientError as error:
            raise KafkaError(f"Kafka did not take the articles: {error}") from None

    try:
        await producer.start()
        with _Screen(console, len(set(urls))) as screen:
            await follow(urls, send, screen, interval=interval, once=once)
        return screen.failures
    except ClientError as error:
        raise KafkaError(f"Kafka cannot be used: {error}") from None
    finally:
        await producer.stop()


class _Screen:
    """A line for each poll that brought something or failed, and on a terminal a line of progress below them."""

    def __init__(self, console: Console, feeds: int) -> None:
        from rich.live import Live
        from rich.text import Text

        self.failures = 0
        self._sent = 0
        self._feeds = feeds
        self._next: dict[int, float] = {}
        self._text = Text
        self._console = console
        self._live = Live(console=console, get_renderable=self._line, refresh_per_second=1, transient=True)

    def __enter__(self) -> _Screen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._tell(f"{self._sent} articles sent")

    def polled(self, feed: Feed, polled: Polled, wait: float | None) -> None:
        self._plan(feed, wait)
        self._sent += polled.sent
        if polled.sent:
            self._tell(f"{feed.url}: {polled.sent} of {polled.entries} entries sent")

    def failed(self, feed: Feed, why: str, wait: float | None) -> None:
        self._plan(feed, wait)
        self.failures += 1
        again = f"; asked again in {wait / 60:.0f} min" if wait else ""
        self._tell(f"{feed.url}: {why}{again}")

    def _plan(self, feed: Feed, wait: float | None) -> None:
        self._next[id(feed)] = time.monotonic() + (wait or 0)

    def _tell(self, line: str) -> None:
        # What a server says may hold anything; a terminal is shown what can be printed.
        shown = "".join(c if c.isprintable() else " " for c in line)
        self._console.print(self._text(shown), soft_wrap=True)

    def _line(self) -> Text:
        wait = max(0.0, min(self._next.values(), default=0.0) - time.monotonic())
        then = f"next request in {wait:.0f} s" if self._next else "asking"
        return self._text(f"{self._feeds} feeds, {self._sent} articles sent, {then}")
