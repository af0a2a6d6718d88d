"""How long a destination that fails is left alone."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backoff", "Circuit"]

OPEN_AFTER = 5
"""Failures in a row: with the pauses of `Backoff`, half a minute without one success."""
LONGEST_ASKED = 3600.0
"""Seconds of a Retry-After that are honoured; a receiver that asks for a year has a bug."""


class Backoff(NamedTuple):
    """Seconds before a failed message is tried again: `first`, doubled each time up to `longest`."""

    first: float = 1.0
    longest: float = 60.0


class Circuit:
    """Exponential backoff with jitter for one destination, whichever message failed.

    Open after `OPEN_AFTER` failures in a row: then a message that has become too old is given up.
    """

    def __init__(
        self,
        backoff: Backoff,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._backoff = backoff
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= OPEN_AFTER

    @property
    def wait(self) -> float:
        """Seconds until the next attempt is due; 0 when it is."""
        return max(0.0, self._until - self._clock())

    def failed(self, retry_after: float | None = None) -> float:
        """Count a failure; returns the seconds to wait, never fewer than the destination asked for."""
        self._failures += 1
        # The exponent is bounded: a float overflows after a thousand failures.
        pause = min(self._backoff.longest, self._backoff.first * 2 ** min(self._failures - 1, 30))
        pause = max(self._jitter(pause / 2, pause), min(retry_after or 0.0, LONGEST_ASKED))
        self._until = self._clock() + pause
        return pause

    def try_now(self) -> None:
        self._until = 0.0

    def succeeded(self) -> None:
        self._failures = 0
        self._until = 0.0
