"""An article -> the terms that its signal carries and stories are compared by."""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING

from models.keyterms import MOST_TERMS, RAREST
from stream.records import StoryTerm

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MOST_TERMS", "RAREST", "story_terms"]


def story_terms(key_terms: Iterable[tuple[str, str, float, float]]) -> list[StoryTerm]:
    """The key terms of an article (`models.keyterms.KeyTerm` or its like), as records."""
    return list(starmap(StoryTerm, key_terms))
