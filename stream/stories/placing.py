"""Which story an article belongs to: the live stories of one language, in a single pass over the stream.

The similarity of an article and a story is

    (cosine to the sum of the story's members + cosine to its nearest member) / 2 * exp(-days from it / 1.5)

over weighted terms (stream/stories/weights.py). The members are the story's first three articles and its last three;
they are all that is kept, so that a story restored after a restart compares as before. Candidates come from an
inverted index of the members' heaviest terms. Whoever holds a placer removes the stories that are over: then everything
here has its bound, and an article costs the same after a year.
"""

from __future__ import annotations

from array import array
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np

from stream.records import StoryMemory
from stream.stories.members import Members, unpack
from stream.stories.weights import RecentTerms, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.records import StoryTerm

__all__ = ["Placed", "Placer"]

THRESHOLDS = {"ar": 0.25, "en": 0.15}
"""Similarity from which an article joins a story, by language; tuned on labelled streams."""
THRESHOLD = 0.2
SAME_SOURCE = 0.7
"""The similarity of an article to a story that its own outlet has told already counts so much: an outlet's next article
is more often the next event than the same one again."""
DAYS = 1.5
"""An article so long after a story's last one, or before its first, is e times less alike."""
FIRST, LAST = 3, 3
"""Members: the first say what the story is about, the last what it has come to."""
INDEXED = 16
"""Terms of a member that find it, and terms of an article that look."""
POSTINGS = 256
"""Stories listed under a term, the oldest entry goes first: a term of more stories finds nothing in particular."""
CANDIDATES = 48
"""Stories compared with one article, those that share the heaviest terms."""
SHARED = 5
SHARED_LEAST = 0.2
"""Words that are shown for why an article joined, and how much of the first one's share the last must have."""

_GROWTH = 1_024  # stories


class Placed(NamedTuple):
    """The story that an article belongs to, or None, and its similarity (0 to 1) to the story that is most like it.

    `shared`: the words, as the article spells them, that counted most.
    """

    story_id: str | None
    similarity: float
    shared: list[str]


class Placer:
    """The live stories of one language.

    Times are those of the articles, aware, and may go back: what comes late belongs to its own time.
    """

    def __init__(self, lang: str) -> None:
        self.threshold = THRESHOLDS.get(lang, THRESHOLD)
        self._recent = RecentTerms()
        self._members = Members()
        self._postings: dict[int, array[int]] = {}
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        self._first = np.zeros(0)
        self._last = np.zeros(0)
        self._norms = np.zeros(0)
        self._rows = np.zeros((0, FIRST + LAST), dtype=np.int32)
        self._weighed: tuple[Sequence[StoryTerm], Vector] | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, story_id: str) -> bool:
        return story_id in self._numbers

    def place(self, terms: Sequence[StoryTerm], at: datetime, source: str | None = None) -> Placed:
        """Find the story of an article; changes nothing."""
        query = self._weigh(terms)
        candidates = self._candidates(query)
        if not len(candidates):
            return Placed(None, 0.0, [])
        rows = self._rows[candidates]
        members = rows >= 0
        asked, products = self._members.products(query, rows[members])
        cosines = np.zeros(rows.shape)
        cosines[members] = products.sum(axis=1)
        time = at.timestamp()
        after, before = time - self._last[candidates], self._first[candidates] - time
        days = np.maximum(np.maximum(after, before), 0.0) / 86_400
        alike = (cosines.sum(axis=1) / self._norms[candidates] + cosines.max(axis=1)) / 2 * np.exp(-days / DAYS)
        if source:
            told = np.zeros(rows.shape, dtype=bool)
            told[members] = self._members.sources[rows[members]] == _source(source)
            alike[told.any(axis=1)] *= SAME_SOURCE
        best = int(alike.argmax())
        similarity = min(1.0, float(alike[best]))
        if similarity < self.threshold:
            return Placed(None, similarity, [])
        mine = np.nonzero(members)[0] == best
        counted = np.bincount(asked[mine].ravel(), products[mine].ravel(), minlength=len(query.words) + 1)
        counted[0] = 0.0
        most = np.argsort(-counted, kind="stable")[:SHARED]
        shared = [query.words[index - 1] for index in most.tolist() if counted[index] > SHARED_LEAST * counted[most[0]]]
        return Placed(self._names[candidates[best]], similarity, shared)

    def open(self, story_id: str, terms: Sequence[StoryTerm], at: datetime, source: str | None = None) -> None:
        """Begin a story with its first article. The id must be a new one."""
        query = self._weigh(terms)
        self._add(self._begin(story_id, at), query.hashes, query.weights, _source(source))

    def join(self, story_id: str, terms: Sequence[StoryTerm], at: datetime, source: str | None = None) -> None:
        """Add an article to a story; raises KeyError when there is none of the id."""
        query = self._weigh(terms)
        number = self._numbers[story_id]
        self._first[number] = min(self._first[number], at.timestamp())
        self._last[number] = max(self._last[number], at.timestamp())
        self._add(number, query.hashes, query.weights, _source(source))

    def memory(self, story_id: str) -> StoryMemory:
        """What `restore` needs of a story, at most 3 kB as JSON; raises KeyError."""
        number = self._numbers[story_id]
        return StoryMemory(
            members=[self._members.pack(row) for row in self._rows_of(number)],
            began_at=datetime.fromtimestamp(self._first[number], UTC),
        )

    def restore(self, story_id: str, memory: StoryMemory, at: datetime) -> None:
        """Take a story back, with the time of its last article. Stories come oldest first, as what recent articles
        had in common is learned from them again."""
        number = self._begin(story_id, at)
        self._first[number] = memory.began_at.timestamp()
        for member in memory.members[: FIRST + LAST]:
            self._add(number, *unpack(member))

    def remove(self, story_id: str) -> None:
        """Forget a story, if it is known."""
        number = self._numbers.pop(story_id, None)
        if number is None:
            return
        rows = self._rows_of(number)
        for term in self._indexed(rows):
            self._unlist(term, number)
        for row in rows:
            self._members.remove(row)
        self._rows[number] = -1
        self._names[number] = ""
        self._free.append(number)

    def _weigh(self, terms: Sequence[StoryTerm]) -> Vector:
        # An article is placed, then opens or joins a story: it is weighed once.
        if self._weighed is None or self._weighed[0] is not terms:
            self._weighed = terms, self._recent.weigh(terms)
        return self._weighed[1]

    def _candidates(self, query: Vector) -> NDArray[np.intp]:
        found: list[NDArray[np.int32]] = []
        weights: list[float] = []
        for term, weight in zip(query.hashes[:INDEXED].tolist(), query.weights[:INDEXED].tolist(), strict=True):
            if (listed := self._postings.get(term)) is not None:
                found.append(np.frombuffer(listed, dtype=np.int32))
                weights.append(weight)
        if not found:
            return np.empty(0, dtype=np.intp)
        each = np.repeat(weights, [len(listed) for listed in found])
        total = np.bincount(np.concatenate(found), each)
        candidates = np.flatnonzero(total)
        if len(candidates) > CANDIDATES:
            candidates = candidates[np.argpartition(-total[candidates], CANDIDATES)[:CANDIDATES]]
        return candidates

    def _begin(self, story_id: str, at: datetime) -> int:
        assert story_id not in self._numbers, f"story {story_id} is there already"
        if not self._free:
            old = len(self._names)
            self._names += [""] * _GROWTH
            for table in (self._first, self._last, self._norms):
                table.resize(old + _GROWTH, refcheck=False)
            self._rows.resize((old + _GROWTH, FIRST + LAST), refcheck=False)
            self._rows[old:] = -1
            self._free = list(range(old + _GROWTH - 1, old - 1, -1))
        number = self._free.pop()
        self._numbers[story_id] = number
        self._names[number] = story_id
        self._first[number] = self._last[number] = at.timestamp()
        self._norms[number] = 1.0
        return number

    def _add(self, number: int, hashes: NDArray[np.uint32], weights: NDArray[np.floating], source: int) -> None:
        self._recent.count(hashes)
        self._weighed = None  # the idf has changed
        rows = self._rows_of(number)
        if len(rows) == FIRST + LAST:
            oldest = rows.pop(FIRST)
            for term in self._indexed([oldest]) - self._indexed(rows):
                self._unlist(term, number)
            self._members.remove(oldest)
        for term in set(hashes[:INDEXED].tolist()) - self._indexed(rows):
            listed = self._postings.setdefault(term, array("i"))
            listed.append(number)
            if len(listed) > POSTINGS:
                del listed[0]
        rows.append(self._members.add(hashes, weights, source))
        self._rows[number, : len(rows)] = rows
        self._norms[number] = self._members.norm(self._rows[number, : len(rows)]) or 1.0

    def _unlist(self, term: int, number: int) -> None:
        listed = self._postings.get(term)
        if listed is not None and number in listed:  # else it was the oldest of too many
            listed.remove(number)
            if not listed:
                del self._postings[term]

    def _rows_of(self, number: int) -> list[int]:
        """A story's members, in the order they came."""
        return [row for row in self._rows[number].tolist() if row >= 0]

    def _indexed(self, rows: list[int]) -> set[int]:
        """The terms that the members in `rows` are found by."""
        return self._members.heaviest(rows, INDEXED)


def _source(source: str | None) -> int:
    """0 where there is none."""
    return crc32(source.encode("utf-8", "surrogatepass")) if source else 0
