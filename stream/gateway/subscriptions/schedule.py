"""When an alert is sent: at once, with the next digest, or when the quiet hours are over. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

__all__ = ["Duration", "Quiet", "seconds", "slot"]

Duration = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,4}[smhd]\Z", description="90s, 15m, 6h, 2d")]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z", description="22:00")]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(duration: str) -> int:
    """
    >>> seconds("15m")
    900
    """
    return int(duration[:-1]) * _SECONDS[duration[-1]]


class Quiet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours in which nothing is sent, by the wall clock of `zone` (IANA). `from` after `to` goes over midnight."""

    start: Clock = msgspec.field(name="from")
    end: Clock = msgspec.field(name="to")
    zone: str

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that `now` lies in end, in UTC; None outside of them.

        >>> night = Quiet(start="22:00", end="07:00", zone="Africa/Cairo")
        >>> str(night.until(datetime(2026, 1, 5, 21, 30, tzinfo=UTC)))
        '2026-01-06 05:00:00+00:00'
        >>> night.until(datetime(2026, 1, 5, 19, 59, tzinfo=UTC)) is None
        True
        """
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        zone = ZoneInfo(self.zone)
        local = now.astimezone(zone)
        clock = local.time()
        over_midnight = start > end
        if not (clock >= start or clock < end if over_midnight else start <= clock < end):
            return None
        day = local.date() + timedelta(days=over_midnight and clock >= start)
        return datetime.combine(day, end, zone).astimezone(UTC)


def slot(alerted: datetime, now: datetime, digest: int | None, quiet: Quiet | None) -> datetime:
    """When an alert of `alerted` is due; alerts of one slot that is not their own time go out as one message.

    `digest` is in seconds; its slots are whole multiples since midnight UTC. An alert that came late (`now`) keeps the
    slot it had, unless it would now fall into quiet hours.

    >>> ten_past = datetime(2026, 1, 5, 12, 10, tzinfo=UTC)
    >>> str(slot(ten_past, ten_past, 900, None)), slot(ten_past, ten_past, None, None) == ten_past
    ('2026-01-05 12:15:00+00:00', True)
    """
    due = alerted
    if digest:
        due = _EPOCH + timedelta(seconds=((alerted - _EPOCH).total_seconds() // digest + 1) * digest)
    if quiet:
        due = quiet.until(due) or due
        if due <= now:
            due = quiet.until(now) or due
    return due
