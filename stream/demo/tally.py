"""What came out so far, counted and compared with what was expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream.errors import Reason

if TYPE_CHECKING:
    from stream.demo.articles import DemoArticle
    from stream.records import EnrichedArticle

__all__ = ["Tally"]


@dataclass
class Tally:
    """Counts of one run; `verdicts` says of each key's first outcome how it differs from what was expected."""

    started: float
    """Seconds on the clock that `add` is given."""
    fed: int = 0
    classified: int = 0
    rejected: int = 0
    breaking: int = 0
    alerts: int = 0
    first_classified: float | None = None
    """Seconds from the start to the first enriched record."""
    verdicts: dict[str, str | None] = field(default_factory=dict)

    def add(self, article: DemoArticle, outcome: EnrichedArticle | Reason, now: float) -> str | None:
        """Count an outcome; returns how it differs from what was expected."""
        if isinstance(outcome, Reason):
            self.rejected += 1
        else:
            self.classified += 1
            self.breaking += outcome.breaking.flag
            if self.first_classified is None:
                self.first_classified = now - self.started
        missed = article.expect.missed(outcome)
        self.verdicts.setdefault(article.key, missed)
        return missed

    def line(self) -> str:
        """The counts in one line."""
        return (
            f"{self.fed} fed, {self.classified} classified, {self.rejected} rejected, "
            f"{self.breaking} breaking, {_count(self.alerts, 'alert')}"
        )

    def summary(self) -> list[str]:
        """Lines for the end of the run.

        >>> verdicts = {"a": None, "b": "topic sport; expected health"}
        >>> print("\\n".join(Tally(0, 2, 1, 1, 0, 0, 4.16, verdicts).summary()))
        2 fed, 1 classified, 1 rejected, 0 breaking, 0 alerts
        first classified article after 4.2 s
        1 of 2 articles came out as expected; not so:
          b: topic sport; expected health
        """
        lines = [self.line()]
        if self.first_classified is not None:
            lines.append(f"first classified article after {self.first_classified:.1f} s")
        missed = {key: text for key, text in self.verdicts.items() if text is not None}
        if self.verdicts:
            right = len(self.verdicts) - len(missed)
            lines.append(
                f"{right} of {_count(len(self.verdicts), 'article')} came out as expected"
                + ("; not so:" if missed else "")
            )
        return lines + [f"  {key}: {text}" for key, text in missed.items()]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
