"""Untrusted text, fit for a terminal: no escape sequences, no bidirectional tricks, a known width.

Titles come from strangers. A control character in one could move the cursor, rename the window or paint over
what stands above; a bidirectional override could turn a line round. Both are dropped here.

Text with right-to-left letters is wrapped into Unicode isolates (FSI … PDI): a terminal that knows the
bidirectional algorithm then keeps the columns beside it in place, and one that does not shows nothing of
them. It is never reversed: a terminal that reorders by itself would turn it back to front.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len

__all__ = ["clean", "column", "display"]

FSI, PDI = "\u2068", "\u2069"
ZWNJ, ZWJ = "\u200c", "\u200d"
MAX_MARKS = 4
"""Combining marks kept on one letter: no writing needs more than three, and floods bury other lines."""
MAX_LENGTH = 10_000
"""Characters looked at: no line shows more, and a title may be megabytes."""


def clean(text: str) -> str:
    r"""`text` on one line, with nothing in it that commands a terminal.

    White space becomes single spaces; control and format characters (bidirectional ones too), unpaired
    surrogates and floods of combining marks go. The joiners stay where writing needs them: between letters of
    Persian, and inside emoji.

    >>> clean("a\x1b[31m red\n\ttitle \u202etxet")
    'a[31m red title txet'
    >>> len(clean("e" + "\u0301" * 1000))
    5
    """
    kept: list[str] = []
    marks = 0
    for character in " ".join(text[:MAX_LENGTH].split()):
        category = unicodedata.category(character)
        if category in ("Mn", "Me") or character == ZWNJ or (character == ZWJ and _ends_in_emoji(kept)):
            marks += 1
        elif category in ("Cc", "Cf", "Cs"):
            continue
        else:
            marks = 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def display(text: str, width: int) -> str:
    r"""`text`, cleaned and cut to at most `width` terminal cells.

    It stands in isolates if any of it reads from the right. The isolates and combining marks
    take no cells, wide characters take two.

    >>> display("Parliament votes", 11)
    'Parliament…'
    >>> display("عاجل: زلزال", 20) == "\u2068عاجل: زلزال\u2069"
    True
    >>> display("عـاجـل: زلزال", 6) == "\u2068عـاجـ…\u2069"
    True
    >>> display("日本語", 5)
    '日本…'
    """
    text = clean(text)
    if cell_len(text) > width:
        text = _cut(text, width - 1) + "…" if width > 0 else ""
    return f"{FSI}{text}{PDI}" if _reads_from_right(text) else text


def column(text: str, width: int) -> str:
    """`display`, filled with spaces to exactly `width` cells.

    >>> column("sport", 8) + "|"
    'sport   |'
    """
    shown = display(text, width)
    return shown + " " * (width - cell_len(shown))


def _cut(text: str, width: int) -> str:
    """The longest start of `text` that fits, found by bisection."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if cell_len(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip()


def _ends_in_emoji(kept: list[str]) -> bool:
    return bool(kept) and (kept[-1] == "\ufe0f" or unicodedata.category(kept[-1]) in ("So", "Sk"))


def _reads_from_right(text: str) -> bool:
    return any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)
