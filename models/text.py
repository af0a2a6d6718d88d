"""Article text -> the terms the model counts; the same for training and for serving.

The whole of it is three small rules, so that another implementation can be held to it exactly:

1. `fold`: each code point is deleted, becomes a space, or becomes one folded character; no context is looked at.
2. `stem`: each word, on its own, loses light affixes (Arabic) or a plural -s (Latin), or becomes a length class.
3. `terms`: the stems, and each pair of neighbours.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_CHARS", "fold", "lines", "stem", "surfaces", "terms", "words", "words_and_pairs"]

MAX_CHARS = 200_000
"""Characters read of one article: the longest of the corpora has 35,000, and a flood must end."""

_WORD_CHARS = 32  # no stem is longer: longer words are data, not language

# Letters that NFKD does not take apart, but that typists use for one another.
_SAME = {"ٱ": "ا", "ى": "ي", "ة": "ه", "ک": "ك", "ی": "ي", "ے": "ي", "ہ": "ه"}

_TATWEEL = "ـ"


class _Folding(dict[int, str]):
    """Code point -> folded character, a space, or "" (deleted); filled as code points are met."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold_character(chr(code))
        return folded


def _fold_character(character: str) -> str:
    category = unicodedata.category(character)
    if character == _TATWEEL or category in {"Mn", "Me", "Cf"}:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    bare = [c for c in unicodedata.normalize("NFKD", character) if unicodedata.category(c) != "Mn"]
    # One code point stays one code point: ligatures that stand for several letters are kept as they are.
    letter = bare[0] if len(bare) == 1 else character
    letter = _SAME.get(letter, letter).lower()
    return letter if len(letter) == 1 and letter.isalnum() else " "


_FOLDING = _Folding()


def fold(text: str) -> str:
    """Delete marks and invisible characters, unify letters and digits, lower the case, space out the rest.

    >>> fold("أُسْــتــاذٌ، مدرســةٌ ١٢٣ Élysée-2")
    'استاذ  مدرسه 123 elysee 2'
    """
    return text[:MAX_CHARS].translate(_FOLDING)


_OTHER_LINE_ENDS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def lines(text: str) -> list[str]:
    """The lines of `text`, and maybe an empty one after the last: str.splitlines asks of each character whether it ends
    a line, which costs several times as much.

    >>> lines("one\\r\\ntwo"), lines("one\\n")
    (['one', 'two'], ['one', ''])
    """
    if any(end in text for end in _OTHER_LINE_ENDS):
        return text.splitlines()
    return text.split("\n")


def words(text: str) -> list[str]:
    """The folded words of `text`, in order.

    >>> words("L'Élysée: ٢٠٢٦")
    ['l', 'elysee', '2026']
    """
    return fold(text).split()


_PREFIXES = ("وال", "بال", "كال", "فال", "ولل", "ال", "لل")
_SUFFIXES = ("ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي")


@lru_cache(maxsize=1 << 18)
def stem(word: str) -> str:
    """The stem of one folded word: light10 for Arabic, a length class for numbers, else the word without a plural -s.

    Larkey, Ballesteros and Connell, "Light stemming for Arabic information retrieval" (2007). The -s is the last rule
    of Harman, "How effective is suffixing?" (1991), which is right in French too; her others are English alone.

    >>> stem("والمدرسه"), stem("2026"), stem("ministers"), stem("virus")
    ('مدرس', '0000', 'minister', 'virus')
    """
    if word.isdigit():
        return "0" * min(len(word), 5)
    if not "\u0620" <= word[0] <= "\u06ff":
        plural = len(word) > 3 and word[-1] == "s" and word[-2] not in "sui"
        return (word[:-1] if plural else word)[:_WORD_CHARS]
    for prefix in _PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= 3:
            word = word[len(prefix) :]
            break
    else:
        if word[0] == "و" and len(word) >= 5:
            word = word[1:]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
    return word[:_WORD_CHARS]


def terms(text: str) -> list[str]:
    """What the model counts: the stems of `text`, then each pair of neighbouring stems.

    >>> terms("The 14 ministers")
    ['the', '00', 'minister', 'the 00', '00 minister']
    """
    return _with_pairs([stem(word) for word in words(text)])


def words_and_pairs(text: str) -> list[str]:
    """`terms` without stemming: what stemming is measured against."""
    return _with_pairs(words(text))


def _with_pairs(tokens: list[str]) -> list[str]:
    return tokens + [f"{left} {right}" for left, right in pairwise(tokens)]


def surfaces(text: str) -> Iterator[tuple[str, str]]:
    """Each word of `text` as the article writes it, with its stem.

    >>> list(surfaces("قالت «المدرسةُ» l'eau"))
    [('قالت', 'قالت'), ('المدرسةُ', 'مدرس'), ('l', 'l'), ('eau', 'eau')]
    """
    for chunk in text[:MAX_CHARS].split():
        whole = chunk.translate(_FOLDING)
        if " " not in whole:
            if whole:
                yield chunk, stem(whole)
            continue
        for is_word, run in groupby(chunk, key=lambda c: _FOLDING[ord(c)] != " "):
            surface = "".join(run)
            if is_word and (folded := surface.translate(_FOLDING)):
                yield surface, stem(folded)
