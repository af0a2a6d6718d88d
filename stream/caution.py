"""How a record that kills the process is found: what is known of each partition outlives the process.

A worker that is killed by a record (a crash in native code, an out-of-memory kill) would be started again, read the
same record and die again, for ever. So each start from an offset is counted in the metadata of that offset's commit:

1. The first start from an offset reads full batches. Each further one, without a clean stop in between, reads half as
   many records of the partition at once, until it is past everything that the first one could have had in hand: the
   batch on its way to Kafka and the one behind it.
2. A single record is marked before it is handed out. One that was marked `MAX_DEATHS` times is condemned.

A kill from outside costs smaller batches for a while. It condemns a record only if it hits that one record, alone in
hand for some milliseconds, `MAX_DEATHS` times.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MAX_DEATHS", "Caution", "Trial"]

MAX_DEATHS = 3

_METADATA = re.compile(r"ajil starts=(\d{1,9}) until=(\d{1,19}) marks=(\d{1,9})")


class Trial(NamedTuple):
    """`starts` from this offset without progress past `until`; `marks` of the one record at the offset.

    >>> Trial.read("ajil starts=2 until=500 marks=0")
    Trial(starts=2, until=500, marks=0)
    >>> Trial.read("written by another tool")
    Trial(starts=0, until=0, marks=0)
    """

    starts: int = 0
    until: int = 0
    marks: int = 0

    @classmethod
    def read(cls, metadata: str | None) -> Trial:
        found = _METADATA.fullmatch(metadata or "")
        return cls(*map(int, found.groups())) if found else cls()

    def __str__(self) -> str:
        return f"ajil starts={self.starts} until={self.until} marks={self.marks}" if self.starts else ""


class Caution:
    """One partition of one worker, from its assignment to its end; offsets are of the next record to be read."""

    def __init__(self, batch_size: int, offset: int, metadata: str | None) -> None:
        self._batch_size = batch_size
        self._before = Trial.read(metadata)
        until = max(self._before.until if self._before.starts else 0, offset + 2 * batch_size)
        self._trial = Trial(self._before.starts + 1, until, self._before.marks)
        self.offset = offset

    @property
    def limit(self) -> int:
        """How many records of the partition may be in hand at once."""
        return max(1, self._batch_size >> max(0, self._trial.starts - 1))

    @property
    def suspicious(self) -> bool:
        """Whether a worker has died near here, so that this partition's records are handed out by themselves."""
        return self._trial.starts > 1

    @property
    def deaths(self) -> int:
        """How often a worker died with the record at `offset`, and nothing else, in hand."""
        return self._before.marks

    def metadata(self, offset: int | None = None) -> str:
        """What to commit with `offset`: by default the one reached, else one that is reached when the batch is done."""
        return str(self._trial if offset is None else self._after(offset))

    def mark(self) -> None:
        """The record at `offset` is about to be handed out alone; commit `metadata()` first.

        One that comes back to this very worker, as from an aborted transaction, has killed nobody: it keeps its mark.
        """
        self._trial = self._trial._replace(marks=self._before.marks + 1)

    def passed(self, offset: int) -> None:
        """Everything before `offset` is done."""
        self.offset = offset
        self._trial = self._before = self._after(offset)

    def _after(self, offset: int) -> Trial:
        return self._trial._replace(marks=0) if offset < self._trial.until else Trial()

    def stopped(self) -> None:
        """The worker lets go of the partition in good health: its start does not count."""
        self._trial = self._before
