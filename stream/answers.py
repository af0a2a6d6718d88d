"""What this worker has answered lately, so that it can be judged by what editors say later.

Any worker may have classified the article that a piece of feedback is about. So each remembers its own answers, hears
all feedback, and judges what it knows; over all workers that is every article once.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from stream.errors import Rejection
from stream.records import story_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from stream.records import EnrichedArticle, Feedback

__all__ = ["Answers", "BreakingJudgement", "Judgement", "TopicJudgement"]

MOST = 100_000
"""Answers: a day and more of one article a second, in 3.4 MB."""

LIFETIME = 48 * 3600.0
"""Seconds. Who corrects does so in the same shift or the next day; what comes later judges a model of before."""

_TOPIC, _BREAKING = 1, 2


class TopicJudgement(NamedTuple):
    """`topic` is the right one, as the editor has it."""

    lang: str
    topic: str
    result: Literal["right", "wrong", "abstained"]


class BreakingJudgement(NamedTuple):
    """`said` is what the article was flagged as."""

    lang: str
    said: bool
    result: Literal["right", "wrong"]


Judgement = TopicJudgement | BreakingJudgement


class Answers:
    """The last `most` answers, none older than `lifetime`; `clock` returns seconds.

    Ids are kept as 64-bit hashes: that two of so many are alike happens once in three billion.
    """

    def __init__(
        self, most: int = MOST, lifetime: float = LIFETIME, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._lock = Lock()
        self._next = 0
        self._event, self._article, self._story = (np.zeros(most, dtype=np.int64) for _ in range(3))
        self._at = np.full(most, -np.inf, dtype=np.float32)
        self._topic, self._lang = (np.zeros(most, dtype=np.int16) for _ in range(2))
        self._breaking = np.zeros(most, dtype=np.bool_)
        self._judged = np.zeros(most, dtype=np.int8)
        self._names: dict[str | None, int] = {None: 0}
        """Languages and labels of the model, and their numbers."""

    def remember(self, results: Iterable[EnrichedArticle | Rejection]) -> None:
        """Keep the answers that were given just now; the oldest make room."""
        with self._lock:
            now = self._clock()
            for result in results:
                if isinstance(result, Rejection):
                    continue
                at, self._next = self._next, (self._next + 1) % len(self._at)
                self._event[at] = hash(result.event_id)
                self._article[at] = hash(result.id)
                # What an alert is called that this article may have opened.
                self._story[at] = hash(story_id(result.lang, result.event_id))
                self._at[at] = now
                self._topic[at] = self._number(result.topic.label)
                self._lang[at] = self._number(result.lang)
                self._breaking[at] = result.breaking.flag
                self._judged[at] = 0

    def judge(self, feedback: Feedback) -> list[Judgement]:
        """What this says of an answer that is remembered: a topic, a flag, both or nothing. Each is judged once.

        A withdrawal judges no flag here: the alerts agent knows whether there was such an alert.
        """
        with self._lock:
            at = self._find(feedback)
            if at is None:
                return []
            names = list(self._names)
            lang, label = names[self._lang[at]] or "", names[self._topic[at]]
            judged: list[Judgement] = []
            if feedback.topic is not None and not self._judged[at] & _TOPIC:
                self._judged[at] |= _TOPIC
                right: Literal["right", "wrong"] = "right" if label == feedback.topic else "wrong"
                judged.append(TopicJudgement(lang, feedback.topic, "abstained" if label is None else right))
            if feedback.breaking is not None and not feedback.withdraw and not self._judged[at] & _BREAKING:
                self._judged[at] |= _BREAKING
                said = bool(self._breaking[at])
                judged.append(BreakingJudgement(lang, said, "right" if said == feedback.breaking else "wrong"))
            return judged

    def _find(self, feedback: Feedback) -> int | None:
        for ids, given in (
            (self._event, feedback.event_id),
            (self._story, feedback.alert_id),
            (self._article, feedback.id),
        ):
            if given is not None:
                return self._newest(ids, hash(given))
        return None

    def _newest(self, ids: NDArray[np.int64], wanted: int) -> int | None:
        """The newest answer with an id, of those that are not too old: an article may have come twice."""
        found = np.flatnonzero(ids == wanted)
        found = found[self._at[found] > self._clock() - self._lifetime]
        return int(found[np.argmin((self._next - 1 - found) % len(self._at))]) if len(found) else None

    def _number(self, name: str | None) -> int:
        return self._names.setdefault(name, len(self._names))
