"""Page furniture: what stands on a scraped page and is not the article.

`clean` is the one way from the fields of an article to the text that is read, in training and in serving
alike. It looks at one article only, so that one article has one answer, whatever came before it.
"""

from __future__ import annotations

import html
import re
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Page", "clean"]


class Page(NamedTuple):
    """An article without its furniture; `section` is the page's section line, `title` its headline."""

    title: str | None
    section: str | None
    body: str

    @property
    def text(self) -> str:
        """What the topic model reads."""
        return f"{self.title}\n{self.body}" if self.title else self.body


_LONGEST = 200  # characters; a longer line is a paragraph, whatever it starts with

# Whole lines, by language; each alternative is one kind: bare flash, comments, read-also, share, follow,
# subscribe.
_LINES = re.compile(
    r"\W*(?:"
    r"(?:خبر[ ])?عاجل\d*"
    r"|(?:ال)?تعليقات?(?:\W*\d+)?|\d+\W*تعليقات?|لا توجد تعليقات|أضف تعليق(?:ا|اً)?"
    r"|(?:اقر[أا] ?[أا]يضا?ً?|طالع أيضا?ً?|شاهد أيضا?ً?|مواضيع (?:ذات صلة|متعلقة)|أخبار ذات صلة)"
    r"(?:\s*[:：|\-–].*)?"
    r"|شارك(?:ها|ه|وا)?(?: (?:على|عبر|هذا|المقال|الخبر|الموضوع)\b.*)?|مشاركة|طباعة|إرسال"
    r"|تابعنا (?:على|عبر)\b.*|تابعونا (?:على|عبر)\b.*"
    r"|comments?(?:\W*\d+)?|\d+ comments?|leave a comment|no comments"
    r"|(?:read (?:also|more|next)|see also|related(?: articles| stories)?)(?:\s*[:|\-–].*)?"
    r"|share(?: this(?: article| story)?)?(?: on \w+)?|follow us on\b.*"
    r"|advertisement|print|sign up (?:for|to)\b.*"
    r"|commentaires?(?:\W*\d+)?|\d+ commentaires?"
    r"|(?:lire aussi|à lire aussi|voir aussi|sur le même sujet)(?:\s*[:|\-–].*)?"
    r"|partager(?: (?:sur|cet article)\b.*)?|suivez-nous sur\b.*|publicité|imprimer"
    r")\W*",
    re.IGNORECASE,
)


def clean(title: str | None, body: str, section: str | None = None) -> Page:
    """Drop the furniture of `body`; where `title` is None, find the page's headline and section line in it.

    >>> clean(None, "Economy\\nBank keeps its rate at four percent\\nThe bank said so.\\nComments (3)")
    Page(title='Bank keeps its rate at four percent', section='Economy', body='The bank said so.')
    """
    lines = [line for line in map(str.strip, html.unescape(body).splitlines()) if line]
    lines = [line for line in lines if len(line) > _LONGEST or not _LINES.fullmatch(line)]
    lines = _without_doubles(lines)
    if title is not None:
        title = " ".join(html.unescape(title).split())
        # Many pages repeat the headline above the text.
        return Page(title or None, section, "\n".join(line for line in lines if line != title))
    found, rest = None, lines
    if len(rest) >= 3 and _is_section(rest[0]) and _is_headline(rest[1]):
        found, rest = rest[0], rest[1:]
    if len(rest) >= 2 and _is_headline(rest[0]):
        return Page(rest[0], section or found, "\n".join(rest[1:]))
    return Page(None, section or found, "\n".join(rest))


def _without_doubles(lines: list[str]) -> list[str]:
    """A line that stands twice in a row is a photo's caption and its description: neither is the article's
    text."""
    doubled = {a for a, b in pairwise(lines) if a == b and len(a) <= _LONGEST}
    return [line for line in lines if line not in doubled]


def _is_section(line: str) -> bool:
    return len(line.split()) <= 4 and line[-1] not in ".!?؟:…،," and not any(c.isdigit() for c in line)


def _is_headline(line: str) -> bool:
    return 3 <= len(line.split()) <= 25 and line[-1] not in ".،,:"
