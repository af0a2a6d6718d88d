"""A reader of server-sent events, as small as the standard lets it be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from aiohttp import ClientResponse

__all__ = ["Event", "EventReader"]


class Event(NamedTuple):
    """What a page is told: blocks without data are no events."""

    id: str
    name: str
    data: dict[str, Any]


class EventReader:
    """`last_id` is what a browser would send as Last-Event-ID: blocks without data set it too."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response
        self.last_id = ""

    async def next(self) -> Event | None:
        """The next event, or None when the stream has ended."""
        while True:
            name, data, lines = "message", "", 0
            while line := (await self._response.content.readline()).decode():
                if line == "\n":
                    break
                field, _, value = line.rstrip("\n").partition(": ")
                lines += 1
                if field == "id":
                    self.last_id = value
                elif field == "event":
                    name = value
                elif field == "data":
                    data += value
            if data:
                return Event(self.last_id, name, msgspec.json.decode(data))
            if not lines and not line:
                return None

    async def take(self, count: int) -> list[Event]:
        found = []
        while len(found) < count:
            event = await self.next()
            assert event is not None, f"the stream ended after {len(found)} of {count} events"
            found.append(event)
        return found
