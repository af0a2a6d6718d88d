"""A small newsroom's day in a loop: something for every panel to show."""

from __future__ import annotations

import itertools
import json
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from confluent_kafka import Producer

from stream.demo.articles import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stream.records import Headers
    from stream.settings import Settings

__all__ = ["Traffic"]

ROUND_SECONDS = 0.5
ARTICLES = 6
"""Good articles of one round, in the order of the demo's: Arabic, English and French among them."""
REJECTED_EVERY = 4
"""Rounds between two records that are no articles: under the 5 % at which an alert would fire."""
FLOOD = 12
"""Records that are no articles in a round of a flood."""
STORM = 8
STORM_EVERY = 8
"""Breaking stories that one outlet tells at once, and rounds between two such storms: the outlet's limit in these tests
lets four out, and two more a minute."""
FALSE_EVERY = 32
"""Rounds between two breaking articles that an editor says are not: under the fifth at which an alert would fire."""
TIMEOUT = 2.0


class Traffic:
    """Articles by Kafka and by HTTP, feedback, one reader of the alert stream, mistakes of all of them.

    Each in a thread of its own: a gateway that does not answer must not hold up what goes to Kafka.
    """

    def __init__(self, settings: Settings, url: str, subscriptions: Path) -> None:
        self.flowing = threading.Event()
        """Cleared to send no articles at all."""
        self.flowing.set()
        self.flood = threading.Event()
        """Set to send more records that are no articles than articles."""
        self.wolf = threading.Event()
        """Cleared, the outlet that puts "breaking" on everything falls silent."""
        self.wolf.set()
        self.editing = threading.Lock()
        """Held by who changes the subscriptions file; the traffic leaves it alone meanwhile."""
        self.title: str | None = None
        """The title of one article to send."""
        self._settings, self._url, self._subscriptions = settings, url, subscriptions
        self._stopped = threading.Event()
        self._stories = itertools.count()
        self._opened: str | None = None
        """An article of the newest story that was told to its end."""
        # Never gives up: what a broker that is away misses comes when it is back.
        self._producer = Producer(
            {"bootstrap.servers": settings.brokers, "message.timeout.ms": 0, "linger.ms": 5, "log_level": 0}
        )
        loops: list[Callable[[], Iterator[None]]] = [self._articles, self._http, self._readers]
        self._threads = [
            threading.Thread(target=self._run, args=(loop(),), name=loop.__name__, daemon=True) for loop in loops
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._producer.purge()

    def _run(self, rounds: Iterator[None]) -> None:
        while not self._stopped.wait(ROUND_SECONDS):
            next(rounds)

    def _articles(self) -> Iterator[None]:
        articles = load()
        good = itertools.cycle(article for article in articles if not article.expect.rejected)
        bad = itertools.cycle(article for article in articles if article.expect.rejected)
        for number in itertools.count():
            if self.flowing.is_set():
                count = FLOOD if self.flood.is_set() else int(number % REJECTED_EVERY == 0)
                for article in [*itertools.islice(good, ARTICLES), *itertools.islice(bad, count)]:
                    self._produce(article.value(datetime.now(UTC)), article.kafka_headers())
                # Three outlets tell a story, so that it is opened, updated and confirmed.
                if number % 3 == 0:
                    story = next(self._stories)
                article = _story(story, f"outlet{story}-{number % 3}.example")
                self._produce(article)
                if number % 3 == 2:
                    self._opened = json.loads(article)["id"]
                if self.wolf.is_set() and number % STORM_EVERY == 0:
                    for _ in range(STORM):
                        self._produce(_story(next(self._stories), "storm.example"))
            if self.title:
                self._produce(json.dumps({"title": self.title}).encode())
                self.title = None
            if number % 8 == 0:
                # No alert: what somebody else's program may write onto the gateway's topics.
                self._producer.produce(self._settings.topic_alerts, b"?")
                self._producer.produce(self._settings.topic_stories, b"?", b"?")
            self._producer.poll(0)
            yield

    def _http(self) -> Iterator[None]:
        for number in itertools.count():
            article = {"id": f"http-{number}", "title": f"The council votes on road {number}", "source": "web.example"}
            if self.flowing.is_set():
                for _ in range(2):  # the second one is known already
                    self._post("/v1/articles", article)
            if number % 4 == 0:
                self._post("/v1/articles", {"title": 7})
                # Of one that its worker has had time to answer.
                self._post("/v1/feedback", {"id": f"http-{number - 4}", "topic": "politics", "breaking": False})
                self._get("/nowhere")
                self._edit(number)
            if number % FALSE_EVERY == 0 and self._opened:
                self._post("/v1/feedback", {"id": self._opened, "breaking": False})
            yield

    def _edit(self, number: int) -> None:
        if self.editing.acquire(blocking=False):
            text = self._subscriptions.read_text(encoding="utf-8")
            self._subscriptions.write_text(f"{text.partition('# ')[0]}# {number}\n", encoding="utf-8")
            self.editing.release()

    def _readers(self) -> Iterator[None]:
        """One that stays, until it is cut off; beside it, some that come back: to what is in memory, and to before."""
        position = ""
        while True:
            try:
                with self._stream("/v1/alerts/stream") as stream:
                    position = self._position(stream) or position
                    for line in stream:
                        if line.startswith(b"id: "):
                            self._resume(f"/v1/alerts/stream?after={position}")
                            self._resume(f"/v1/alerts/stream?after={'.'.join('0' * len(position.split('.')))}")
                            position = line[4:].strip().decode()
                        if line == b"\n":
                            yield
            except OSError:
                yield

    def _resume(self, path: str) -> None:
        with self._stream(path) as stream:
            self._position(stream)

    def _stream(self, path: str):  # type: ignore[no-untyped-def]
        return urllib.request.urlopen(self._url + path, timeout=TIMEOUT)

    def _position(self, stream) -> str:  # type: ignore[no-untyped-def]
        return next((line[4:].strip().decode() for line in stream if line.startswith(b"id: ")), "")

    def _produce(self, value: bytes, headers: Headers = ()) -> None:
        self._producer.produce(self._settings.topic_raw, value, headers=list(headers))

    def _post(self, path: str, body: object) -> None:
        headers = {"content-type": "application/json"}
        self._ask(urllib.request.Request(self._url + path, json.dumps(body).encode(), headers))

    def _get(self, path: str) -> None:
        self._ask(urllib.request.Request(self._url + path))

    def _ask(self, request: urllib.request.Request) -> None:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            error.close()  # some are meant to be refused
        except OSError:
            pass  # a gateway that is frozen or gone is what is tested


def _story(number: int, outlet: str) -> bytes:
    """A breaking article whose words no other story has."""
    words = [f"{letter}name{number}" for letter in "abcdefgh"]
    told = {
        "id": f"{outlet}-{number}",
        "source": outlet,
        "title": f"BREAKING: {' '.join(words[:4])} reported",
        "body": f"The {' '.join(words)} were reported tonight, and officials said that they would speak of it.",
        "published_at": datetime.now(UTC).isoformat(),
        "lang": "en",
    }
    return json.dumps(told).encode()
