"""`ajil worker` with an alerts agent that raises on a signal titled `poison`, as a bug of ours would."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from stream import logs
from stream.commands.worker import serve
from stream.settings import load_settings
from stream.stories import Stories

if TYPE_CHECKING:
    from datetime import datetime

    from stream.records import Signal
    from stream.stories import Told

tell = Stories.tell


def raising(self: Stories, signal: Signal, now: datetime, traceparent: str | None = None) -> Told:
    if signal.title == "poison":
        raise TypeError("a bug")
    return tell(self, signal, now, traceparent)


if __name__ == "__main__":
    Stories.tell = raising  # type: ignore[method-assign]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as `ajil worker` does, until Faust has its own
    settings = load_settings()
    logs.configure(settings)
    serve(settings, None, ("alerts",))
