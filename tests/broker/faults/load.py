"""What is fed: seeded articles with sequence numbers, and among them every kind of record that is no article."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from tests.kafka_client import MEGABYTE, Record, consume_all

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["POISON", "RAISING", "Feeder", "Item", "Place", "seeded"]

KEYS = 50
"""Different keys of ordinary articles: enough for every partition, few enough that each has an order to be lost."""
POISON_SHARE = 0.01
HEAVY = 3
"""Of each poison of megabytes, no more than so many in a run."""

RAISING = "the model raises on this"
"""A title for the aimed worker's model."""

SENTENCES = {
    "en": [
        "The council met on Monday evening and voted on the budget for roads and schools.",
        "Engineers said the new bridge would open to traffic before the end of the summer.",
        "The home side scored twice in the second half and kept its place at the top of the table.",
        "Doctors at the regional hospital asked for more nurses during the winter months.",
    ],
    "ar": [
        "ناقش المجلس البلدي في جلسته المسائية خطة لإصلاح الطرق وبناء مدرسة جديدة.",
        "قال المهندسون إن الجسر الجديد سيفتح أمام المركبات قبل نهاية الصيف.",
        "سجل الفريق المضيف هدفين في الشوط الثاني وحافظ على صدارة الترتيب.",
    ],
    "fr": [
        "Le conseil municipal a voté lundi soir le budget des routes et des écoles.",
        "Les ingénieurs annoncent que le nouveau pont ouvrira avant la fin de l'été.",
    ],
}

Place = tuple[int, int]
"""Partition and offset in the raw topic."""

HEADERS = (("traceparent", b"00-1"), ("odd", b"\xff\x00"), ("twice", b"1"), ("twice", None))


class Item(NamedTuple):
    """One record to send, its article's id (None where it has none), and why it must be rejected, if it must."""

    record: Record
    id: str | None
    reason: str | None = None


# name -> value and expected reason; a value of None is Kafka's null.
POISON: dict[str, tuple[bytes | None, str]] = {
    "null": (None, "empty"),
    "empty": (b"", "empty"),
    "white space": (b" \r\n ", "empty"),
    "invalid UTF-8": (b'{"title": "\xff\xfe"}', "undecodable"),
    "invalid JSON": (b'{"title": ', "invalid_json"),
    "array": (b'[{"title": "a"}]', "not_an_object"),
    "no text": (b'{"url": "https://example.org/7"}', "no_text"),
    "wrong type": (b'{"title": {"a": 1}}', "invalid_field"),
    "long id": (json.dumps({"id": "7" * 600, "title": "a"}).encode(), "invalid_field"),
    "deep nesting": (b'{"title": "a", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "invalid_json"),
    "ten megabytes": (b'{"title": "a", "body": "' + b"x" * 10_000_000 + b'"}', "too_large"),
    "output too large": (
        json.dumps({"title": "A long address", "url": "https://example.org/" + "x" * 1_200_000}).encode(),
        "output_too_large",
    ),
}
FLOODS = {"bidi": "\u202e\u2066" * 20_000, "marks": "ع" + "\u0651\u064e" * 40_000, "nul": "\x00" * 20_000}


def seeded(count: int, seed: int, *, raising: bool = False) -> Iterator[Item]:
    """`count` items, the same for the same seed: 1% are no articles or odd ones, each kind in its turn.

    `raising`: one of the kinds is an article on which the aimed worker's model raises.
    """
    rng = random.Random(seed)
    kinds = [*POISON, *FLOODS, "long key", *(["raising"] if raising else [])]
    heavy = {name for name, (value, _) in POISON.items() if len(value or b"") > 100_000}
    used = dict.fromkeys(kinds, 0)
    every = int(1 / POISON_SHARE)
    # However short the run, every kind must come.
    every = min(every, max(2, count // (len(kinds) + 1)))
    turn = 0
    for number in range(count):
        key: bytes | None = f"k{rng.randrange(KEYS)}".encode()
        if number % every != every // 2:
            yield _article(number, key, rng)
            continue
        kind = kinds[turn % len(kinds)]
        turn += 1
        if kind in heavy and used[kind] >= HEAVY:
            kind = "invalid JSON"
        used[kind] += 1
        if kind == "long key":
            yield _article(number, b"\xff" * 20_000, rng)
        elif kind == "raising":
            article = _article(number, key, rng, title=RAISING)
            yield article._replace(id=None, reason="model_error")
        elif kind in FLOODS:
            yield _article(number, key, rng, title=FLOODS[kind] + "A title")
        else:
            value, reason = POISON[kind]
            # A null key with a null value, a key that is no text, a long one, one that other articles have.
            key = rng.choice([None, b"\xff\xfe key", b"\x00" * 20_000, key]) if value is not None else None
            yield Item(Record(value, key, rng.choice([HEADERS, ()])), None, reason)


def _article(number: int, key: bytes | None, rng: random.Random, **fields: object) -> Item:
    lang = rng.choices(list(SENTENCES), [5, 4, 1])[0]
    sentences = rng.choices(SENTENCES[lang], k=4)
    told = {
        "id": str(number),
        "title": f"{sentences[0]} {number}",
        "body": " ".join(sentences),
        "source": "example.org",
    }
    value = json.dumps(told | fields, ensure_ascii=False).encode()
    return Item(Record(value, key, (("traceparent", b"00-2"),)), str(number))


class Feeder(threading.Thread):
    """Sends items at a steady rate (a second), whatever happens to the broker; `placed` says where each one went.

    A producer that is idempotent and never gives up: what Kafka accepted is known, and in order.
    """

    def __init__(self, address: str, topic: str, items: list[Item], rate: float) -> None:
        super().__init__(name="feeder", daemon=True)
        self.placed: dict[Place, Item] = {}
        self.unplaced: list[tuple[int, Item]] = []
        """Partition and item. A broker that comes back acknowledges what it had already, and does not say where."""
        self.refused: list[KafkaError] = []
        self.flowing = threading.Event()
        """Cleared to hold the feed back."""
        self.flowing.set()
        self._address, self._topic, self._items, self._rate = address, topic, items, rate
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "message.max.bytes": 20 * MEGABYTE,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )

    @property
    def left(self) -> int:
        return len(self._items) - len(self.placed) - len(self.unplaced) - len(self.refused)

    def run(self) -> None:
        due = time.monotonic()
        for item in self._items:
            if not self.flowing.is_set():
                self._producer.flush()
                self.flowing.wait()
                due = time.monotonic()
            due += 1 / self._rate
            while (early := due - time.monotonic()) > 0:
                self._producer.poll(min(early, 0.1))
            self._send(item)
        while self.left:
            self._producer.flush(1)
        if self.unplaced:
            self.look_up()

    def look_up(self) -> None:
        """Find where the unplaced ones lie: of equal records, the first that is not placed yet."""
        for record in sorted(consume_all(self._address, self._topic), key=lambda record: record.offset):
            place = record.partition, record.offset
            found = next((u for u in self.unplaced if u[0] == place[0] and u[1].record.value == record.value), None)
            if found and place not in self.placed:
                self.placed[place] = found[1]
                self.unplaced.remove(found)

    def _send(self, item: Item) -> None:
        def report(error: KafkaError | None, message: Message) -> None:
            if error:
                self.refused.append(error)
            elif message.offset() is None:
                self.unplaced.append((message.partition(), item))
            else:
                self.placed[message.partition(), message.offset()] = item

        record = item.record
        while True:
            try:
                self._producer.produce(
                    self._topic, value=record.value, key=record.key, headers=list(record.headers), on_delivery=report
                )
            except BufferError:
                self._producer.poll(0.5)
            else:
                return
