"""What the demo shows: a live table on a terminal, plain lines elsewhere.

Whatever comes from an article passes `stream.terminal` first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stream.terminal import column, display

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from stream.errors import Reason
    from stream.records import Alert, EnrichedArticle

__all__ = ["LiveTable", "PlainLines", "Row", "Screen", "alert_row", "enriched_row", "line", "rejected_row"]

TITLE_WIDTH = 120
"""Cells of a title in a plain line, where no terminal sets a limit."""


class Row(NamedTuple):
    """One line of the table. `missed` says how it differs from what was expected, None that it does not."""

    at: datetime
    kind: str
    lang: str
    title: str
    verdict: str
    urgency: str
    missed: str | None = None


def enriched_row(article: EnrichedArticle, at: datetime, missed: str | None) -> Row:
    """The confidence comes before the label, so that a narrow column cuts the label."""
    topic, breaking = article.topic, article.breaking
    verdict = f"{topic.confidence:.2f} {topic.label}" if topic.label else f"none: {topic.reason}"
    reasons = ", ".join(breaking.reasons)
    if breaking.flag:
        urgency = f"yes: {reasons}" + (", no date" if breaking.freshness == "unknown" else "")
    else:
        urgency = f"no: {breaking.freshness} {reasons}" if reasons else ""
    kind = "breaking" if breaking.flag else "enriched"
    return Row(at, kind, article.lang, article.title or "(no title)", verdict, urgency, missed)


def rejected_row(key: str, reason: Reason, message: str, at: datetime, missed: str | None) -> Row:
    """A rejected record has no title to show: its key and what was wrong stand there."""
    return Row(at, "rejected", "-", f"{key}: {message}", f"rejected: {reason}", "", missed)


def alert_row(alert: Alert, at: datetime) -> Row:
    """One alert: the story's title and how many outlets told it so far."""
    outlets = f"{len(alert.outlets)} outlet" + ("s" if len(alert.outlets) != 1 else "")
    verdict, reasons = f"ALERT {alert.kind}, {outlets}", ", ".join(alert.reasons)
    return Row(at, "alert", alert.lang or "", alert.title, verdict, reasons)


def line(row: Row) -> str:
    """The row as one line of text without control codes, the title last."""
    told = _columns(f"{row.at:%H:%M:%S}", row.lang, row.verdict, row.urgency, row.title)
    return told + (f"  [not as expected: {row.missed}]" if row.missed else "")


def _columns(time: str, lang: str, verdict: str, urgency: str, title: str) -> str:
    fixed = (column(time, 8), column(lang, 3), column(verdict, 34), column(urgency, 22))
    return "  ".join((*fixed, display(title, TITLE_WIDTH)))


class Screen(Protocol):
    """Where rows go. A context manager; `status` is one line about the whole run, `tell` one that stays."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, row: Row) -> None: ...
    def status(self, text: str) -> None: ...
    def tell(self, text: str) -> None: ...


class PlainLines:
    """One line a row on standard output, for a pipe or a file; the status would only repeat itself there."""

    def __enter__(self) -> Self:
        print(_columns("time", "in", "topic", "breaking", "title"), flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, row: Row) -> None:
        print(line(row), flush=True)

    def status(self, text: str) -> None:
        pass

    def tell(self, text: str) -> None:
        print(text, flush=True)


class LiveTable:
    """A table of the newest rows, as many as the terminal has lines for."""

    def __init__(self, title: str) -> None:
        self._console = Console()
        self._title = title
        self._status = ""
        self._rows: deque[Row] = deque(maxlen=500)
        # Refreshed by hand: one thread writes to the terminal, and it is the one that a signal stops.
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, row: Row) -> None:
        self._rows.append(row)

    def status(self, text: str) -> None:
        # Counts stand in it: without a new row it is the same, and there is nothing to draw.
        if text == self._status:
            return
        self._status = text
        width, height = self._console.size
        # Two lines above the table, its header, and one below for the cursor.
        rows = list(self._rows)[-max(height - 4, 1) :]
        told = [Text(display(self._title, width), style="bold"), Text(display(text, width))]
        self._live.update(Group(*told, table(rows, width)), refresh=True)

    def tell(self, text: str) -> None:
        # Above the table.
        self._console.print(Text(display(text, 1000)))


STYLES = {"enriched": "", "breaking": "bold yellow", "rejected": "red", "alert": "bold white on red"}


def table(rows: list[Row], width: int) -> Table:
    """The rows as a table of exactly one line each, `width` cells wide."""
    # Two cells between columns; the title gets what is left, and at least ten cells of a very narrow terminal.
    free = width - sum((8, 3, 1)) - 2 * 5
    verdict, urgency = min(34, free * 3 // 10), min(22, free * 2 // 10)
    widths = {
        "time": 8,
        "in": 3,
        "title": max(10, free - verdict - urgency),
        "topic": verdict,
        "breaking": urgency,
        "": 1,
    }
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold dim")
    for name, cells in widths.items():
        shown.add_column(name, width=cells, no_wrap=True, overflow="crop")
    for row in rows:
        mark = "✗" if row.missed else ""
        texts = (f"{row.at:%H:%M:%S}", row.lang, row.title, row.verdict, row.urgency, mark)
        fitted = (Text(display(text, cells)) for text, cells in zip(texts, widths.values(), strict=True))
        shown.add_row(*fitted, style=STYLES[row.kind])
    return shown
