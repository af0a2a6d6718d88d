"""Signals of known stories, some of them sent again."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime

from stream.records import Breaking, Signal, StoryTerm, encode
from tests.broker.faults.load import Item
from tests.kafka_client import Record

__all__ = ["told"]

LANGUAGES = ("ar", "en", "fr")
"""Signals are keyed by language."""
FEWEST, MOST = 3, 12
"""Articles of one story."""
AT_ONCE = 40
"""Stories that are told at the same time, the articles of each in their order."""
REPEATED = 0.03
"""The share of signals that come again: the classify agent delivers at least once by default."""
QUIET = 0.2
"""The share of a story's later articles that are not breaking themselves."""


def told(count: int, seed: int) -> list[Item]:
    """`count` signals; an item's id is STORY-NUMBER, both counted from 0. A story's first article is breaking."""
    rng = random.Random(seed)
    live: list[list[Item]] = []
    items: list[Item] = []
    stories = 0
    while len(items) < count:
        if len(live) < AT_ONCE:
            live.append(_story(stories, seed, rng))
            stories += 1
        story = rng.choice(live)
        items.append(story.pop(0))
        if not story:
            live.remove(story)
        if rng.random() < REPEATED:
            items.append(rng.choice(items[-200:]))
    return items[:count]


def _story(number: int, seed: int, rng: random.Random) -> list[Item]:
    lang = rng.choice(LANGUAGES)
    # Names that no other story has: what belongs together is beyond doubt.
    names = [f"name{number}{letter}" for letter in "abcdefgh"]
    return [_signal(f"{number}-{n}", n, lang, names, seed, rng) for n in range(rng.randint(FEWEST, MOST))]


def _signal(id_: str, number: int, lang: str, names: list[str], seed: int, rng: random.Random) -> Item:
    breaking = number == 0 or rng.random() > QUIET
    now = datetime.now(UTC)
    signal = Signal(
        event_id=hashlib.sha256(f"{seed}\n{id_}".encode()).hexdigest(),
        id=id_,
        url=None,
        source=f"outlet{rng.randrange(30)}.example",
        title=" ".join(names),
        lang=lang,
        published_at=None,
        ingested_at=now,
        topic="politics",
        breaking=Breaking(breaking, float(breaking), ["marker"] if breaking else [], "fresh"),
        terms=[StoryTerm(name, name, 0.05, 1e-6) for name in rng.sample(names, 6)],
    )
    return Item(Record(encode(signal), lang.encode()), id_)
