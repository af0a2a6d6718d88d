"""Which language an article is written in: the script first, then letters and words, then n-grams.

The producer's own word (`hint`) is often wrong, so it only decides where the text says too little.
"""

from __future__ import annotations

import unicodedata

from models.arabic_script import LANGUAGES
from models.identifier import SAMPLE, known

__all__ = ["UNKNOWN", "language", "says_something"]

UNKNOWN = "und"

_FEWEST = 3  # letters

# A script that (nearly) one language of the news uses, by the first word of its letters' Unicode names.
_SCRIPTS = {
    "ETHIOPIC": "am",
    "HEBREW": "he",
    "GREEK": "el",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "MYANMAR": "my",
    "KHMER": "km",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "CYRILLIC": "ru",
}


def language(text: str, hint: str | None = None) -> str:
    """The ISO 639-1 code of `text`, or "und".

    `hint` is the producer's claim; a region after it is ignored ("en-GB").

    >>> language("وزير الخارجية يبحث مع نظيره الفرنسي الأوضاع في المنطقة", hint="en")
    'ar'
    >>> language("رييس جمهوري اين كشور را در تهران ديد")
    'fa'
    >>> language("Le président reçoit les ministres"), language("2026"), language("2026", hint="fr-FR")
    ('fr', 'und', 'fr')
    """
    identifier, scripts, languages = known()
    letters, number, place = identifier.read(text)
    script = scripts[number]
    if letters >= _FEWEST and script == "ARABIC":
        return "ar" if place < 0 else LANGUAGES[place]
    claimed = (hint or "").replace("_", "-").split("-")[0].strip().lower()
    if letters < _FEWEST:
        return claimed or UNKNOWN
    if script == "LATIN":
        return _of_latin_script(languages, identifier.probabilities(_utf8(text[:SAMPLE])), claimed)
    return _SCRIPTS.get(script, UNKNOWN)


def says_something(text: str) -> bool:
    """Whether there are enough letters to tell a language by."""
    letters, _, _ = known().identifier.read(text)
    return letters >= _FEWEST


def _of_latin_script(languages: list[str], probabilities: list[float], claimed: str) -> str:
    """The most probable language, unless the claim, or English, is nearly as likely.

    Of 5,000 English titles without a claim 94% are recognised by the first choice alone, 98% with this rule; of 60
    titles in 14 other languages one more is taken for English.
    """
    best = max(probabilities)
    for code, share in ((claimed, 0.2), ("en", 0.4)):
        if code in languages and probabilities[languages.index(code)] >= share * best:
            return code
    return languages[probabilities.index(best)]


def _utf8(sample: str) -> bytes:
    """As py3langid reads a text."""
    sample = sample.lower() if sample.isupper() else sample
    return unicodedata.normalize("NFC", sample).encode("utf-8", "surrogatepass")
