"""Rules and configurations in which time goes faster, so that a test need not wait for a quarter of an hour.

promtool tests the rules with their real durations; what is shown with these is that real programs set them off.
"""

from __future__ import annotations

import re

__all__ = ["FACTOR", "compressed"]

FACTOR = 30
"""A scrape interval of 15 s becomes half a second, a window of 5 minutes 10 s. With 60, windows of two minutes would be
as short as the pauses between librdkafka's reports of one fault."""
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LEAST_SECONDS = 60
"""In our rules, numbers compared with `<` and `>` are counts and shares below this, and seconds from it on."""


def compressed(text: str) -> str:
    """`text` with every duration, and every number of seconds that a rule compares with, divided by `FACTOR`.

    >>> compressed("for: 5m")
    'for: 10000ms'
    >>> compressed("time() - t < 120 and sum(increase(c_total[15m] offset 1h)) > 20")
    'time() - t < 4.0 and sum(increase(c_total[30000ms] offset 120000ms)) > 20'
    >>> compressed("job:late:ratio_rate5m > 14.4 * 0.01")
    'job:late:ratio_rate5m > 14.4 * 0.01'
    """

    def duration(found: re.Match[str]) -> str:
        return f"{int(found[1]) * _UNITS[found[2]] // FACTOR}ms"

    def seconds(found: re.Match[str]) -> str:
        number = int(found[2])
        return found[1] + (str(number / FACTOR) if number >= _LEAST_SECONDS else found[2])

    text = re.sub(r"\b(\d+)(ms|s|m|h|d)\b", duration, text)
    return re.sub(r"([<>] )(\d+)\b(?![.\w])", seconds, text)
