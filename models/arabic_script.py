"""Which language a text in Arabic script is in: letters that Arabic does not have, then frequent words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.hashing import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["LANGUAGES", "LETTERS", "language_of", "letter_table", "word_table"]

# Letters that Arabic does not have, and the languages that do (Persian's last: the others have them too).
LETTERS = {
    "ur": frozenset("ٹڈڑںھہے"),
    "ps": frozenset("ټډړښځڅڼېۍ"),
    "ku": frozenset("ڕڵۆێە"),
    "ug": frozenset("ۇۋې"),
    "fa": frozenset("پچژگ"),
}

# Frequent words of Persian and Urdu, with ya and kaf as an Arabic keyboard types them.
_PERSIAN = (
    "در از كه را اين آن است با براي شد مي شده كرد هاي خود يك بود گفت ايران كند دارد نيز پس تا بر اند رييس جمهور جمهوري "
    "شود كردند كرده خواهد بايد هم نمي دو سه هزار تهران كشور دولت وزير امور خارجه"
)
_URDU = "كي كا كے هي هے مين نے كو سے اور پر يه وه نهين هين تها بهي ايك كيا كر"
# Of those, the ones that Arabic writes as well.
_ARABIC_TOO = "هم بر تا دو پس كي كا هي يه سه با در مي مين كو كر آن جمهوري وزير امور دولت بود ايران تهران"
WORDS = {"fa": frozenset(_PERSIAN.split()), "ur": frozenset(_URDU.split())}
_NO_PROOF = frozenset(_ARABIC_TOO.split())

LANGUAGES = (*LETTERS, *WORDS)
"""What `language_of` says, as the kernel numbers it."""


def language_of(sample: str, counts: Mapping[str, int], total: int) -> int:
    """The place in `LANGUAGES` of the language of `sample`, -1 for Arabic.

    `counts` is how often each letter is among its first `total`.
    """
    foreign = [sum(counts[letter] for letter in own & counts.keys()) / total for own in LETTERS.values()]
    if max(foreign) > 0.03:
        return foreign.index(max(foreign))
    words = sample.replace("ک", "ك").replace("ی", "ي").split()  # several times as fast as translate
    for place, frequent in enumerate(WORDS.values(), start=len(LETTERS)):
        found = list(filter(frequent.__contains__, words))
        sure = sum(word not in _NO_PROOF for word in found)
        if sure and len(found) > 0.1 * len(words):
            return place
    return -1


_BLOCK = 0x600  # of Unicode: the letters and words above are in it
_SLOTS = 256
_AS_ARABIC = 1 << 7


def letter_table() -> bytes:
    """For each code point of the block, one bit for each of `LETTERS` that has it."""
    table = bytearray(256)
    for place, own in enumerate(LETTERS.values()):
        for letter in own:
            table[ord(letter) - _BLOCK] |= 1 << place
    return bytes(table)


def word_table() -> tuple[NDArray[np.uint64], bytes]:
    """Open addressing over the frequent words: each one's letters, a byte each, and the languages that have it.

    A word is looked for from the top 8 bits of its letters times `models.hashing.BASE` on. Of what is known of it, bit
    7 says that Arabic writes it too, the others are for `WORDS` in order.
    """
    slots, known = [0] * _SLOTS, bytearray(_SLOTS)
    for word in sorted(frozenset().union(*WORDS.values())):
        letters = int.from_bytes(bytes(ord(letter) - _BLOCK for letter in word), "little")
        slot = (letters * BASE & 0xFFFFFFFFFFFFFFFF) >> 56
        while slots[slot]:
            slot = (slot + 1) % _SLOTS
        slots[slot] = letters
        known[slot] = sum(1 << place for place, words in enumerate(WORDS.values()) if word in words)
        known[slot] |= _AS_ARABIC if word in _NO_PROOF else 0
    return np.array(slots, dtype=np.uint64), bytes(known)
