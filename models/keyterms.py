"""An article -> its key terms: what tells one event from another, where the topic model asks what events share.

This is the reference; the compiled kernel gives the same, and `models.scorer.Scorer.key_terms` takes the one that is
there.

>>> found = key_terms("Fire at a mill", "A mill burned. The mills of Day 2.", {"the": 0.9, "at": 0.8})
>>> [(each.term, each.word, each.frequency) for each in found][:3]
[('mill', 'mill', 7.0), ('fire', 'Fire', 4.5), ('2', '2', 3.0)]
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from models.text import fold, stem, words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LEAD", "MOST_TERMS", "RAREST", "READ", "TITLE", "KeyTerm", "key_terms", "share_terms"]

MOST_TERMS = 60
"""Terms of one article: with more, stories are found no better, and a signal stays near 3 kB."""
TITLE, LEAD, READ = 25, 40, 200
"""Words that stand for a missing title, words after it that count twice, words of the text that count at all."""
RAREST = 1e-5
"""The share of a term that the corpora do not have: mostly a name, which tells events apart best."""

NAME = 1.5
"""How much more a name or a number counts: they are where two fires, two trials or two transfers differ. A name is a
word that the article never writes in small letters."""

# What a channel puts before every flash says nothing of which.
_MARKERS = frozenset({"عاجل", "breaking", "urgent"})
_TITLE_READ = 100  # words of a title, which may be a whole article
_LONGEST = 6_000  # characters that `READ` words are looked for in: the rest may be one word of a megabyte
_SPELLING = 40  # characters of a spelling that are kept
_ADDRESS = re.compile(r"https?://\S+")
# A number's share of its length class in the vocabulary, which counts numbers by their length alone.
_NUMBERS = {1: 0.2, 2: 0.03, 3: 0.005, 4: 0.03, 5: 0.001}


class KeyTerm(NamedTuple):
    """`word` is the term's first spelling in the article; `frequency` counts the title 3, the lead 2, the rest 1.

    `share` is the share of documents that have the term, to six digits; 0.0 where the vocabulary does not have it.
    """

    term: str
    word: str
    frequency: float
    share: float


def key_terms(title: str | None, body: str, shares: Mapping[str, float]) -> list[KeyTerm]:
    """The terms of an article that say most, at most `MOST_TERMS`, those that say most first.

    They are ordered by (1 + ln frequency) * -ln share, then by the term. `shares`: see `share_terms`.
    """
    head, text = _read(title or "", _TITLE_READ), _read(body, READ)
    if not head:
        head, text = text[:TITLE], text[TITLE:]
    counts: dict[str, float] = {}
    first: dict[str, str] = {}
    common = set()
    for weight, part in ((3.0, head), (2.0, text[:LEAD]), (1.0, text[LEAD:])):
        for word, spelling in part:
            if word in _MARKERS:
                continue
            term = _term(word)
            counts[term] = counts.get(term, 0.0) + weight
            first.setdefault(term, spelling)
            if not spelling[0].isupper():
                common.add(term)
    found = []
    for term, count in counts.items():
        number = term.isdigit()
        if len(term) == 1 and not number:
            continue
        share = shares.get(term, 0.0)
        if number and not share:
            length = min(len(term), 5)
            share = shares.get("0" * length, 0.0) * _NUMBERS[length]
        if number or term not in common:
            count *= NAME
        found.append(((1 + math.log(count)) * math.log(share or RAREST), term, count, share))
    found.sort()  # the rarer a term, the lower its logarithm
    return [
        KeyTerm(term, first[term][:_SPELLING], count, math.floor(share * 1e6 + 0.5) / 1e6)
        for _, term, count, share in found[:MOST_TERMS]
    ]


def share_terms(known: Mapping[str, float]) -> dict[str, float]:
    """Key term -> share of documents, from the share of documents that have each stem of `models.text.stem`.

    A Latin term has the shares of all the words that lose their ending to become it, which is never too little. What
    would lose a further ending has none: given its own, events are found no better on average over the thresholds, and
    0.3 to 0.7 points of BCubed F1 worse at those in use.

    >>> share_terms({"close": 0.2, "closed": 0.1, "closing": 0.1})
    {'close': 0.2, 'clos': 0.2}
    """
    shares: dict[str, float] = {}
    for word in sorted(known):  # the kernel adds in this order too
        term = _term(word)
        if word.isascii() or term == word:
            shares[term] = min(1.0, shares.get(term, 0.0) + known[word])
    return shares


def _read(text: str, most: int) -> list[tuple[str, str]]:
    """The first `most` words as the text spaces them, which folding may part further: folded, and as written."""
    text = " ".join(text[:_LONGEST].split(None, most)[:most])
    if "http" in text:
        text = _ADDRESS.sub(" ", text)
    # What folding makes of a spaced word is one word, so the two lists are as long.
    spellings = text.translate(_SPACED).split()
    return list(zip(words(" ".join(spellings)), spellings, strict=True))


class _Spacing(dict[int, str]):
    """Code point -> itself, or the space or nothing that `fold` makes of it; filled as code points are met."""

    def __missing__(self, code: int) -> str:
        folded = fold(chr(code))
        self[code] = kept = chr(code) if folded.strip() else folded
        return kept


_SPACED = _Spacing()


@lru_cache(maxsize=1 << 15)
def _term(word: str) -> str:
    """The stem of a folded word, numbers kept: Day 2 is not Day 21."""
    word = word[:32]
    if word.isdigit():
        return word
    if word.isascii():
        return _english(word)
    return stem(word)


def _english(word: str) -> str:
    """A word without -s, -es, -ed and -ing: with `models.text.stem`, which keeps the last three, news articles are
    placed 1 to 2 points of BCubed F1 worse."""
    if len(word) > 3:
        if word.endswith("ies"):
            return word[:-3] + "y"
        if word.endswith("es") and len(word) > 5:
            return word[:-2]
        if word.endswith("s") and not word.endswith("ss"):
            return word[:-1]
        if word.endswith("ing") and len(word) > 6:
            return word[:-3]
        if word.endswith("ed") and len(word) > 5:
            return word[:-2]
    return word
