"""Generated Arabic articles of about 250 words and 3 kB, always the same."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import numpy as np

from models.bundle import SHIPPED, Bundle
from models.export import terms_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["articles"]

BODIES = 4096
WORDS = 250
_SENTENCE, _PARAGRAPH = 14, 4
_BEFORE, _AFTER = ("", "", "", "ال", "و"), ("", "", "", "ات", "ها")


def articles(count: int, prefix: str = "a") -> Iterator[tuple[str, bytes]]:
    """(id, JSON) of so many articles; their texts repeat after `BODIES`, their ids do not."""
    bodies = list(_bodies(min(count, BODIES)))
    for number in range(count):
        body = bodies[number % len(bodies)]
        article = {
            "id": f"{prefix}{number:07}",
            "url": f"https://wire.example/{number}",
            "source": "wire.example",
            "title": " ".join(body.split(maxsplit=9)[:9]),
            "body": body,
            "lang": "ar",
            "published_at": "2026-01-05T08:00:00Z",
        }
        yield article["id"], json.dumps(article, ensure_ascii=False).encode()


def _bodies(count: int) -> Iterator[str]:
    """Terms of the Arabic model, as frequent as they were in what it learned from, with light affixes now and then."""
    bundle = Bundle.read(SHIPPED)
    arrays = bundle.load(bundle.manifest.languages["ar"].part)
    names = terms_of(arrays)
    arabic = [at for at, name in enumerate(names) if all("\u0620" <= c <= "\u06ff" or c == " " for c in name)]
    share = np.exp(-np.asarray(arrays.rows["idf"])[arabic])
    totals = np.cumsum(share).tolist()
    chance = random.Random(250)  # noqa: S311
    for _ in range(count):
        found: list[str] = []
        while len(found) < WORDS:
            for at in chance.choices(arabic, cum_weights=totals, k=50):
                found += names[at].split()
        written = [chance.choice(_BEFORE) + word + chance.choice(_AFTER) for word in found[:WORDS]]
        sentences = [" ".join(written[at : at + _SENTENCE]) + "." for at in range(0, WORDS, _SENTENCE)]
        yield "\n".join(" ".join(sentences[at : at + _PARAGRAPH]) for at in range(0, len(sentences), _PARAGRAPH))
