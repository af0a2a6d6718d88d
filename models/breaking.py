"""Is it breaking? One decision with its reasons: marker, urgency, style, freshness."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.explain import Term

__all__ = ["SHORT", "WINDOW", "Breaking", "decide", "freshness", "has_marker", "is_short"]

WINDOW = timedelta(hours=2)
"""Published longer than this before its Kafka record, an article is stale: wires repeat a flash for about
an hour."""

_HEAD = 600  # characters

_CLOCK_SKEW = timedelta(minutes=15)  # producers' clocks run ahead; more than this is a wrong date, not a fresh one

SHORT = 60
"""Words: in a longer text a tag or a bare line belongs to the page, not to the news."""


class Breaking(NamedTuple):
    """`score` 0 to 1; `reasons` of marker, urgency, alert_style; `freshness` fresh, stale or unknown.

    A stale article keeps its reasons and is not breaking. `explanation` are the terms behind alert_style.
    """

    flag: bool
    score: float
    reasons: list[str]
    freshness: str
    explanation: tuple[Term, ...] = ()


_INVISIBLE = re.compile(
    "[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0f\ufeff]"
)

# ASCII, Arabic letters without marks, digits and punctuation: NFKC changes none of them.
_NORMAL = re.compile("[\0-\x7f«»\u060c\u061b\u061f\u0621-\u063a\u0641-\u064a\u0660-\u0669\u2013\u2014\u2018-\u201f]*")

_QUOTES = "\"'«»“”„‘’"  # a quoted marker is talked about, not given
_BEFORE = rf"[^\w\n{_QUOTES}]{{0,20}}"
_AFTER = rf"(?:\s*[^\w\s{_QUOTES}]|\s*\n|\s*$)"
# An outlet's name, one to three words, then a separator of its own.
_OUTLET = r"(?:[^\W\d_][\w.]*(?:[ ][\w.]+){0,2}\s*[|:\-–—]\s*)?"

# Words that are ordinary in lower case count in capitals only: (?-i:…).
_ENGLISH = r"BREAKING(?:[ ]NEWS)?"
_MARKERS = {
    "ar": r"(?:خبر[ ])?عا+جل(?:\W{1,5}عا+جل){0,5}(?:[ ]+جدا){0,3}",
    "fa": r"(?:خبر[ ])?(?:فور[يی]|عاجل)",
    "en": rf"(?:{_ENGLISH}|JUST[ ]IN|URGENT|(?-i:NEWS[ ]?FLASH|NEWS[ ]ALERT))",
    "fr": rf"(?:{_ENGLISH}|URGENT|ALERTE[ ]INFO|FLASH[ ]INFO|DERNI[EÈ]RE[ ](?:MINUTE|HEURE)|(?-i:ALERTE|FLASH))",
    "es": rf"(?:{_ENGLISH}|[UÚ]LTIMA[ ]HORA|[UÚ]LTIMO[ ]MOMENTO|URGENTE|(?-i:ALERTA|AHORA))",
    "de": rf"(?:{_ENGLISH}|EILMELDUNG|(?-i:EIL))",
    "tr": rf"(?:{_ENGLISH}|SON[ ]DAK[Iİiı]KA|(?-i:FLA[SŞ])(?:[ ]HABER)?)",
}
_HEADS = {
    lang: re.compile(rf"{_BEFORE}{_OUTLET}{_BEFORE}{marker}(?!\w){_AFTER}", re.IGNORECASE)
    for lang, marker in _MARKERS.items()
}
# Wire style: the word in capitals, then a sentence without a separator.
_BARE = re.compile(r"BREAKING[ ](?=[A-Z][a-z])")
_TAGS = {
    "ar": re.compile(r"#(?:\w{1,30}_)?عاجل(?!\w)"),
    "fa": re.compile(r"#(?:خبر_)?فور[يی](?!\w)"),
    "en": re.compile(r"#breaking(?:news)?(?!\w)", re.IGNORECASE),
    "fr": re.compile(r"#(?:urgent|alerteinfo|breaking)(?!\w)", re.IGNORECASE),
    "es": re.compile(r"#(?:[uú]ltimahora|urgente|breaking)(?!\w)", re.IGNORECASE),
    "de": re.compile(r"#(?:eilmeldung|eil|breaking)(?!\w)", re.IGNORECASE),
    "tr": re.compile(r"#sondak[iİı]ka(?!\w)", re.IGNORECASE),
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
    rule = lang if lang in _HEADS else "en"  # the English word is used in every language
    short = is_short(body)
    line = _normal(head[:_HEAD].strip())
    if not line and not short:
        return False
    match = None if rule == "ar" and "اجل" not in line else _HEADS[rule].match(line)
    # A head that is nothing but the marker marks a short text; over a long one it is the page's furniture.
    if match and (short or match.end() < len(line)):
        return True
    if _BARE.match(line):
        return True
    return short and bool(_TAGS[rule].search(_INVISIBLE.sub("", f"{head[:_HEAD]}\n{body}")))


def _normal(line: str) -> str:
    """Compatible characters as one, without what is not seen; most lines are so already, which costs less to see."""
    return line if _NORMAL.fullmatch(line) else _INVISIBLE.sub("", unicodedata.normalize("NFKC", line))


def is_short(text: str, most: int = SHORT) -> bool:
    """Whether `text` has at most `most` words, without reading all of a long one."""
    return len(text) <= 20 * most and len(text.split()) <= most


def freshness(published_at: datetime | None, received_at: datetime | None, window: timedelta = WINDOW) -> str:
    """`fresh`, `stale` or `unknown`: publication against the Kafka record's own time, never against now."""
    if published_at is None or received_at is None:
        return "unknown"
    age = received_at - published_at
    if age < -_CLOCK_SKEW:
        return "unknown"
    return "fresh" if age <= window else "stale"


def decide(
    *, marker: bool, urgency: int | None, style: float | None, alert: bool, fresh: str, explanation: Sequence[Term] = ()
) -> Breaking:
    """One decision from what is known; any one reason is enough unless the article is stale.

    `style` is how much the title or first line reads like an alert (0 to 1, None where no model says), `alert`
    whether that is enough; `explanation` are the terms behind it.

    >>> decide(marker=True, urgency=None, style=None, alert=False, fresh="stale")
    Breaking(flag=False, score=1.0, reasons=['marker'], freshness='stale', explanation=())
    """
    reasons = []
    if marker:
        reasons.append("marker")
    if urgency in (1, 2):
        reasons.append("urgency")
    if alert:
        reasons.append("alert_style")
    score = 1.0 if marker or urgency in (1, 2) else style or 0.0
    return Breaking(bool(reasons) and fresh != "stale", score, reasons, fresh, tuple(explanation) if alert else ())
