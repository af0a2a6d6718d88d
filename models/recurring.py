"""Lines that many documents of one outlet share: its furniture, learnt offline into a profile.

The profile is JSON that a person can read and edit: ``{"format": 1, "sources": {"example.org": ["line", ...]}}``.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from models.furniture import key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from models.corpus import Row

__all__ = ["Profile", "ProfileError", "learn_profile"]

_FORMAT = 1
_DOCUMENTS = 20
"""A line of fewer documents may be news: agencies repeat a sentence in every update of one story."""
_SHARE = 0.01
"""Of an outlet's documents; below, it is a series or a columnist, and dropping it would gain nothing."""
_LONGEST = 200  # characters, as in models.furniture


class ProfileError(Exception):
    """A profile cannot be read; the message is one line that says what to do."""


class Profile:
    """Outlet -> the lines it repeats. Empty, it knows none."""

    def __init__(self, sources: dict[str, list[str]] | None = None) -> None:
        self.sources = sources or {}
        self._keys = {source: frozenset(map(key, lines)) for source, lines in self.sources.items()}

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Read a profile; raises ProfileError."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ProfileError(f"{path}: {error}; write one with `ajil furniture`") from error
        sources = content.get("sources") if isinstance(content, dict) else None
        if not isinstance(sources, dict) or content.get("format") != _FORMAT:
            raise ProfileError(
                f"{path} is not a furniture profile of format {_FORMAT}; write one with `ajil furniture`"
            )
        if not all(isinstance(lines, list) and all(isinstance(x, str) for x in lines) for lines in sources.values()):
            raise ProfileError(f"{path}: every source has a list of lines")
        return cls(sources)

    def write(self, path: Path) -> None:
        """Write the profile, sources in order."""
        content = {"format": _FORMAT, "sources": dict(sorted(self.sources.items()))}
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def keys(self, source: str | None) -> frozenset[str]:
        """`models.furniture.key` of every line that `source` repeats."""
        return self._keys.get(source or "", frozenset())


def learn_profile(rows: Iterable[Row]) -> Profile:
    """The short lines that at least 20 documents and 1% of the documents of one source share."""
    documents: Counter[str] = Counter()
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    written: dict[tuple[str, str], str] = {}
    for row in rows:
        documents[row.source] += 1
        lines = {key(line): line.strip() for line in row.body.splitlines() if 0 < len(line.strip()) <= _LONGEST}
        for line_key, line in lines.items():
            seen[row.source][line_key] += 1
            written.setdefault((row.source, line_key), line)
    sources = {}
    for source, counts in seen.items():
        least = max(_DOCUMENTS, _SHARE * documents[source])
        found = [written[source, k] for k, count in counts.most_common() if k and count >= least]
        if source and found:
            sources[source] = found
    return Profile(sources)
