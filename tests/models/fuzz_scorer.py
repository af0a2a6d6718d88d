"""Random texts and damaged models against the compiled kernel: python -m tests.models.fuzz_scorer SECONDS [SEED].

`make sanitize` runs it with a kernel that AddressSanitizer and UndefinedBehaviorSanitizer watch. Both ways must agree
on every text; a damaged model may score anything, and must not lead the kernel outside its arrays.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import numpy as np

from models import ngrams
from models.arrays import ArraysError, pack, unpack
from models.explain import Term
from models.identifier import FILE, in_kernel, known
from models.language import _utf8
from models.native.kernel import Model
from models.scorer import Scorer
from models.text import MAX_CHARS
from tests.models.scorer_model import SENTENCES, arrays, marks

WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
AFFIXES = "والبكفلهانتيىةآأإؤئء٠٣0123suia"
ENDINGS = ("ies", "es", "s", "ss", "ing", "ed", "y", "ING", " http://", " https://a", " BREAKING ", "عاجل", "urgent")
LIMITS = (0x80, 0x100, 0x700, 0xD800, 0xE000, 0x10000, 0x110000)


def text_of(chance: random.Random) -> str:
    """Known words, affixes, marks and any code point, alone and in floods."""
    if chance.random() < 0.2:  # as many words and pairs as there can be
        return " ".join(chance.choices("aوs0", k=chance.randrange(400)))
    pieces: list[str] = []
    for _ in range(chance.randrange(60)):
        kind = chance.randrange(7)
        if kind == 0:
            pieces.append(chance.choice(SENTENCES))
        elif kind == 1:
            pieces.append("".join(chance.choices(AFFIXES, k=chance.randrange(16))))
        elif kind == 2:
            pieces.append("".join(chr(chance.randrange(chance.choice(LIMITS))) for _ in range(chance.randrange(20))))
        elif kind == 3 and chance.random() < 0.05:
            pieces.append(
                chance.choice(["a", "ي", " ", "\u0301", "0", "\U0001d7d8", "bank "]) * chance.randrange(300_000)
            )
        elif kind == 4:
            pieces.append(chance.choice(WORDS) + chance.choice(ENDINGS))
        else:
            pieces.append(chance.choice(WORDS))
    return chance.choice(["", " ", " ", "\n"]).join(pieces)


def agree(chance: random.Random, *, styled: bool) -> None:
    """The same texts both ways."""
    model = arrays(1, styled=True) if styled else arrays(chance.choice((2, 3, 7)))
    texts = [text_of(chance) for _ in range(chance.randrange(1, 5))]
    style = [marks(text) for text in texts] if styled else None
    kernel, reference = Scorer(model, native=True), Scorer(model, native=False)
    native, numpy = kernel.score(texts, marks=style), reference.score(texts, marks=style)
    np.testing.assert_allclose(native.decision, numpy.decision, rtol=0, atol=1e-12)
    assert native.words.tolist() == numpy.words.tolist()
    assert native.terms.tolist() == numpy.terms.tolist()
    assert native.unknown.tolist() == numpy.unknown.tolist()
    assert native.explanation == numpy.explanation
    title, known = chance.choice([None, text_of(chance)]), chance.random() < 0.8
    for body in texts:
        assert kernel.key_terms(title, body, known=known) == reference.key_terms(title, body, known=known)


def identify_alike(chance: random.Random) -> None:
    """The language of the same text both ways."""
    text = text_of(chance)
    kernel, python = (known(native=native).identifier for native in (True, False))
    assert kernel.read(text) == python.read(text)
    sample = _utf8(text[: chance.randrange(1000)])
    np.testing.assert_allclose(kernel.probabilities(sample), python.probabilities(sample), rtol=1e-9)


def damage(chance: random.Random, packed: bytes) -> bytearray:
    data = bytearray(packed)
    for _ in range(1 << chance.randrange(12)):
        data[chance.randrange(len(data))] = chance.choice((0, 1, 127, 255, chance.randrange(256)))
    return data


def survive(chance: random.Random) -> bool:
    """Score with a model damaged before its checks (whether they let it pass is returned), then after them."""
    classes = chance.choice((1, 3, 7))
    packed = pack(arrays(classes))
    texts = tuple(text_of(chance) for _ in range(2))
    passed = True
    try:
        damaged = unpack(bytes(damage(chance, packed)))
    except ArraysError:
        passed = False
    else:
        for native in (True, False):
            Scorer(damaged, native=native).score(texts)
        Scorer(damaged, native=True).key_terms(*texts)
    # Each section has its own end, which is watched.
    sections: list[Any] = [section.copy() for section in unpack(packed)[:-1]]
    kernel = Model(MAX_CHARS, *sections)
    for section in chance.sample(sections, 3):
        section.view(np.uint8)[:] = np.frombuffer(damage(chance, section.tobytes()), dtype=np.uint8)
    kernel.score(texts, ("<colon>\n",) * 2, np.empty((2, classes)), np.empty((2, 3), np.int64), 5, Term)
    kernel.key_terms(*texts, 60, True)
    return passed


def identify_anything(chance: random.Random) -> None:
    """Identify with arrays damaged after their checks."""
    arrays = ngrams.unpack(FILE.read_bytes())
    damaged = {}
    for name in chance.sample(["page_index", "pages", "edges", "fails", "prior", "weights"], 3):
        section = getattr(arrays, name)
        damaged[name] = np.frombuffer(damage(chance, section.tobytes()), dtype=section.dtype).reshape(section.shape)
    kernel = in_kernel(arrays._replace(**damaged))
    for text in (text_of(chance), text_of(chance)):
        kernel.read(text)
        kernel.probabilities(_utf8(text[:1000]))


def main(seconds: float, seed: int) -> None:
    chance = random.Random(seed)
    end, rounds, passed = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        agree(chance, styled=False)
        agree(chance, styled=True)
        passed += survive(chance)
        identify_alike(chance)
        if rounds % 8 == 0:  # it reads the whole of a large file
            identify_anything(chance)
        rounds += 1
    print(f"{rounds} rounds, {passed} damaged models passed the checks, seed {seed}: nothing found")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())
