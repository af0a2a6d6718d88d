"""The demo's articles: articles.jsonl, one in each line, written for this project.

A line is an object. `key` (of the Kafka record), `note` (why it is here) and `expect` (see `Expectation`) are
always there; `headers` are the record's. Its value is one of

- `article`: an object, sent as JSON. `published_ago` (seconds) dates it back from the moment it is sent;
  without it the article has no date.
- `text`: sent as it stands, in `charset` (UTF-8 if not given).
- `base64`: bytes that are no text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from stream.errors import Reason

if TYPE_CHECKING:
    from stream.records import EnrichedArticle, Headers

__all__ = ["DemoArticle", "Expectation", "load"]


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader would say of the article. Where the model errs, this stays and the demo says so."""

    topic: str | None = None
    reason: str | None = None
    """Why there is no topic (`topic.reason` of the enriched record)."""
    may_abstain: bool = False
    """No topic is a fair answer too: a sentence or two, or a topic that the language's model doesn't know."""
    breaking: bool = False
    freshness: str | None = None
    rejected: Reason | None = None

    def missed(self, outcome: EnrichedArticle | Reason) -> str | None:
        """How the outcome differs, or None if it is as expected.

        >>> Expectation(rejected=Reason.EMPTY).missed(Reason.EMPTY)
        >>> Expectation(topic="sport").missed(Reason.NO_TEXT)
        'rejected: no_text; expected topic sport'
        """
        if isinstance(outcome, Reason):
            expected = f"rejected: {self.rejected}" if self.rejected else f"topic {self.topic}"
            return None if outcome == self.rejected else f"rejected: {outcome}; expected {expected}"
        if self.rejected:
            return f"classified; expected rejected: {self.rejected}"
        topic, breaking = outcome.topic, outcome.breaking
        if topic.label != self.topic and not (topic.label is None and self.may_abstain):
            return f"topic {topic.label or f'none ({topic.reason})'}; expected {self.topic or 'none'}"
        if self.reason is not None and topic.reason != self.reason:
            return f"no topic because {topic.reason}; expected {self.reason}"
        if breaking.flag != self.breaking:
            return "breaking; expected not" if breaking.flag else "not breaking; expected breaking"
        if self.freshness is not None and breaking.freshness != self.freshness:
            return f"{breaking.freshness}; expected {self.freshness}"
        return None


class DemoArticle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of articles.jsonl."""

    key: str
    note: str
    expect: Expectation
    headers: dict[str, str] = {}
    article: dict[str, Any] | None = None
    published_ago: float | None = None
    text: str | None = None
    charset: str = "utf-8"
    base64: bytes | None = None

    def value(self, now: datetime) -> bytes:
        """The value of the Kafka record when it is sent at `now` (aware).

        >>> sample = {"key": "k", "note": "", "expect": {}, "article": {"title": "A"}, "published_ago": 60}
        >>> msgspec.convert(sample, DemoArticle).value(datetime(2026, 1, 1, tzinfo=UTC))
        b'{"title":"A","published_at":"2025-12-31T23:59:00Z"}'
        """
        if self.article is not None:
            date = {}
            if self.published_ago is not None:
                date["published_at"] = (now - timedelta(seconds=self.published_ago)).astimezone(UTC)
            return msgspec.json.encode(self.article | date)
        if self.text is not None:
            return self.text.encode(self.charset)
        assert self.base64 is not None, f"{self.key} has no article, text or base64"
        return self.base64

    def kafka_headers(self) -> Headers:
        """The headers of the Kafka record."""
        return [(name, value.encode()) for name, value in self.headers.items()]


def load() -> list[DemoArticle]:
    """The articles, in the order in which the demo feeds them."""
    lines = (resources.files("stream.demo") / "articles.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=DemoArticle) for line in lines]
