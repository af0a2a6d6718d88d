"""Storm control: how many alerts go out, of one outlet and in all. Pure; times are the caller's and aware.

A broken template that puts "urgent" on every article must not flood the people who read alerts, nor hide the alerts of
others. So each outlet has a token bucket of its own, and spends from one of two common ones: that of the outlets known
for `PROBATION`, or that of all others. A flood under ever new names can only empty the second.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Literal

__all__ = ["MAX_OUTLETS", "PROBATION", "Limit", "StormControl", "TokenBucket"]

PROBATION = timedelta(hours=1)
"""An outlet first seen less than this ago shares one common bucket with all other new ones."""
BURST_MINUTES = 2.0
"""A bucket holds what comes in so many minutes: real news comes in bursts."""
MAX_OUTLETS = 10_000
"""Outlets remembered, known and new each; the one that was silent longest goes first."""

Limit = Literal["source", "new_sources", "all"]


class TokenBucket:
    """`per_minute` tokens a minute, at most `BURST_MINUTES` worth of them kept."""

    def __init__(self, per_minute: float, at: datetime) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, per_minute * BURST_MINUTES)
        self._tokens = self._most
        self._at = at

    def refill(self, at: datetime) -> bool:
        """Bring it up to `at`; whether a token is there. An earlier time than the last one adds nothing."""
        elapsed = (at - self._at).total_seconds()
        if elapsed > 0:
            self._tokens = min(self._most, self._tokens + elapsed * self._rate)
            self._at = at
        return self._tokens >= 1

    def spend(self) -> None:
        self._tokens -= 1


class _Outlet:
    __slots__ = ("bucket", "first_seen")

    def __init__(self, bucket: TokenBucket, first_seen: datetime) -> None:
        self.bucket = bucket
        self.first_seen = first_seen


class StormControl:
    """Which alerts may go out.

    >>> from datetime import UTC
    >>> now, storm = datetime(2026, 1, 2, tzinfo=UTC), StormControl(per_source=1, in_all=100)
    >>> [storm.limit("example.org", now) for _ in range(3)]
    [None, None, 'source']
    >>> storm.limit("another.example", now) is None
    True
    """

    def __init__(self, per_source: float, in_all: float) -> None:
        self._per_source = per_source
        self._in_all = in_all
        self._known: OrderedDict[str, _Outlet] = OrderedDict()
        self._new: OrderedDict[str, _Outlet] = OrderedDict()
        self._common: dict[Limit, TokenBucket] = {}

    def see(self, source: str | None, at: datetime) -> None:
        """An article of an outlet has come: only those that are seen for a while become known."""
        self._outlet(source or "", at)

    def limit(self, source: str | None, at: datetime) -> Limit | None:
        """Spend a token for one alert; or the limit that is in its way, and then nothing is spent."""
        name = source or ""
        own = self._outlet(name, at).bucket
        if not own.refill(at):
            return "source"
        common: Limit = "all" if name in self._known else "new_sources"
        shared = self._bucket(common, at)
        if not shared.refill(at):
            return common
        own.spend()
        shared.spend()
        return None

    def _outlet(self, name: str, at: datetime) -> _Outlet:
        table = self._known if name in self._known else self._new
        outlet = table.pop(name, None) or _Outlet(TokenBucket(self._per_source, at), at)
        if at - outlet.first_seen >= PROBATION:
            table = self._known
        table[name] = outlet
        if len(table) > MAX_OUTLETS:
            table.popitem(last=False)
        return outlet

    def _bucket(self, common: Limit, at: datetime) -> TokenBucket:
        if common not in self._common:
            # Half as much for all new outlets together: they come one by one, floods do not.
            self._common[common] = TokenBucket(self._in_all / (1 if common == "all" else 2), at)
        return self._common[common]
