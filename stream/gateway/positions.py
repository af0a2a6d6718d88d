"""A place in a topic of several partitions, as one short text: the `id` of a server-sent event.

It is the next offset of each partition, in the order of the partitions, with dots: `120.4.0.77`. Whatever order a
reader saw the partitions' records in, this says exactly which of them it has seen, to every gateway and after restarts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["covers", "position_text", "read_position"]

_TEXT = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18}){0,9999}", re.ASCII)


def position_text(offsets: Sequence[int]) -> str:
    return ".".join(map(str, offsets))


def read_position(text: str, partitions: int) -> list[int] | None:
    """The offsets in a position, or None when it cannot be one of a topic with so many partitions.

    A position from before the topic got more partitions is at the beginning of the new ones.

    >>> read_position("12.7", 3), read_position("12.7.0", 2), read_position("12.x", 2)
    ([12, 7, 0], None, None)
    """
    if not _TEXT.fullmatch(text):
        return None
    offsets = [int(offset) for offset in text.split(".")]
    if len(offsets) > partitions:
        return None
    return offsets + [0] * (partitions - len(offsets))


def covers(offsets: Sequence[int], others: Sequence[int]) -> bool:
    """Whether a reader at `offsets` has seen all that one at `others` has; `others` may know fewer partitions."""
    return all(mine >= theirs for mine, theirs in zip(offsets, others, strict=False))
