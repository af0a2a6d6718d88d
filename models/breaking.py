"""Is it breaking? One decision with its reasons: marker, urgency, style, freshness."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

__all__ = ["WINDOW", "Breaking", "decide", "freshness", "has_marker"]

WINDOW = timedelta(hours=2)
"""Published longer than this before its Kafka record, an article is stale: wires repeat a flash for about
an hour."""

_CLOCK_SKEW = timedelta(minutes=15)  # producers' clocks run ahead; more than this is a wrong date, not a fresh one

_SHORT = 60  # words; a tag or a bare line in a longer text belongs to the page, not to the news


class Breaking(NamedTuple):
    """`score` 0 to 1; `reasons` of marker, urgency, alert_style; `freshness` fresh, stale or unknown.

    A stale article keeps its reasons and is not breaking.
    """

    flag: bool
    score: float
    reasons: list[str]
    freshness: str


_INVISIBLE = re.compile(
    "[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0f\ufeff]"
)

_SEPARATOR = r"(?:\s*[^\w\s]|\s*\n|\s*$)"
# An outlet's name, one to three words, then a separator of its own.
_OUTLET = r"(?:[^\W\d_][\w.]*(?:[ ][\w.]+){0,2}\s*[|:\-–—]\s*)?"

_MARKERS = {
    "ar": r"(?:خبر[ ])?عاجل(?:\W{1,5}عاجل){0,5}",
    "en": r"(?:BREAKING(?:[ ]NEWS)?|JUST[ ]IN|URGENT|NEWS[ ]?FLASH)",
    "fr": r"(?:URGENT|ALERTE(?:[ ]INFO)?|FLASH(?:[ ]INFO)?|DERNI[EÈ]RE[ ](?:MINUTE|HEURE))",
}
_HEADS = {
    lang: re.compile(rf"[^\w\n]{{0,20}}{_OUTLET}[^\w\n]{{0,5}}{marker}(?!\w){_SEPARATOR}", re.IGNORECASE)
    for lang, marker in _MARKERS.items()
}
_TAGS = {
    "ar": re.compile(r"#(?:\w{1,30}_)?عاجل(?!\w)"),
    "en": re.compile(r"#breaking(?:news)?(?!\w)", re.IGNORECASE),
    "fr": re.compile(r"#(?:urgent|alerteinfo)(?!\w)", re.IGNORECASE),
}


def has_marker(head: str, body: str, lang: str) -> bool:
    """Whether an article of language `lang` is marked as a flash.

    `head` is its title, or the first line where it has none. The marker must stand at the head, before a
    separator; or as a hashtag in a text of 60 words or fewer.

    >>> has_marker("عـاجـل | انفجار قرب المطار", "", "ar"), has_marker("خطة عاجلة لدعم القمح", "", "ar")
    (True, False)
    >>> has_marker("BREAKING: fire at a port", "", "en"), has_marker("Breaking a record at last", "", "en")
    (True, False)
    """
    if lang not in _HEADS:
        return False
    short = len(body[: 20 * _SHORT].split()) <= _SHORT and len(body) <= 20 * _SHORT
    line = _INVISIBLE.sub("", head[:600].strip())
    match = _HEADS[lang].match(line)
    # A head that is nothing but the marker marks a short text; over a long one it is the page's furniture.
    if match and (short or match.end() < len(line)):
        return True
    return short and bool(_TAGS[lang].search(_INVISIBLE.sub("", f"{head[:600]}\n{body}")))


def freshness(published_at: datetime | None, received_at: datetime | None, window: timedelta = WINDOW) -> str:
    """`fresh`, `stale` or `unknown`: publication against the Kafka record's own time, never against now."""
    if published_at is None or received_at is None:
        return "unknown"
    age = received_at - published_at
    if age < -_CLOCK_SKEW:
        return "unknown"
    return "fresh" if age <= window else "stale"


def decide(*, marker: bool, urgency: int | None, style: float | None, style_threshold: float, fresh: str) -> Breaking:
    """One decision from what is known; any one reason is enough unless the article is stale.

    `style` is the alert-style score of the title or first line (0 to 1), None where there is no model for it.

    >>> decide(marker=True, urgency=None, style=None, style_threshold=1.0, fresh="stale")
    Breaking(flag=False, score=1.0, reasons=['marker'], freshness='stale')
    """
    reasons = []
    if marker:
        reasons.append("marker")
    if urgency in (1, 2):
        reasons.append("urgency")
    if style is not None and style >= style_threshold:
        reasons.append("alert_style")
    score = 1.0 if marker else 0.9 if "urgency" in reasons else style or 0.0
    return Breaking(bool(reasons) and fresh != "stale", score, reasons, fresh)
