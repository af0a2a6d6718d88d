"""Page furniture: what stands on a scraped page and is not the article.

`clean` is the one way from the fields of an article to the text that is read, in training and in serving alike. It
looks at one article only, so that one article has one answer, whatever came before it. A line is furniture as a whole
or not at all, and a paragraph never is: of 273,000 lines of ordinary articles these rules drop 57, all of them
"read also" links, repeated headlines and second copies of a line.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from models.text import MAX_CHARS, words
from models.text import lines as split_lines

__all__ = ["Page", "clean", "key"]


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
_TICKER_AFTER = 2  # lines; at the head of a page a flash is its news, further down it is another story's

# Whole lines, by language. A link ("read also: ...") takes the rest of its line with it, a button stands alone.
_LINK = r"(?:\s*[:：|\-–…].*)?"
_WHOLE_LINES = (
    # Arabic: bare flash, comments, read also, share, follow, times of the page
    r"(?:خبر )?عاجل\W*\d*",
    r"(?:ال)?تعليقات?(?:\W*\d+)?|\d+\W*تعليقات?|لا توجد تعليقات|[أا]ضف تعليقا?ً?|اترك تعليقا?ً?",
    rf"(?:(?:[إا]قر[أا]و?ا?|طالع|شاهد|انظر) ?[أا]يضا?ً?ا?|(?:مواضيع|أخبار|مقالات) (?:ذات صلة|متعلقة)){_LINK}",
    r"(?:الأكثر (?:قراءة|مشاهدة|تداولا?ً?)|(?:مشاركة|طباعة|إرسال|حفظ|نسخ الرابط|رابط مختصر|إعلان))",
    r"شارك(?:ها|ه|وا|نا)?(?: (?:على|عبر|هذا|هذه|المقال|الخبر|الموضوع|القصة|رأيك)\b.*)?",
    r"(?:تابعنا|تابعونا|اشترك|اشتركوا) (?:على|عبر|في)\b.*",
    r"(?:آخر تحديث|تاريخ النشر|نشر في|حجم الخط)\s*:?[\d\s/:\-.,،صم+ا-ي]{0,40}",
    # English
    r"comments?(?:\W*\d+)?|\d+ comments?|(?:leave|post|add) a comment|no comments(?: yet)?",
    rf"(?:read (?:also|more|next)|see also|related(?: articles| stories| news)?|more on this story){_LINK}",
    r"(?:share|tweet|print|email|save|copy link|advertisement|most read|trending)",
    r"share (?:this|on)\b.{0,40}|follow us on\b.*|(?:sign up|subscribe) (?:for|to) (?:our|the)\b.*newsletters?\W*",
    # French
    r"commentaires?(?:\W*\d+)?|\d+ commentaires?|(?:laisser|ajouter) un commentaire",
    rf"(?:(?:à )?lire aussi|(?:à )?voir aussi|sur le même sujet){_LINK}",
    r"(?:partager|imprimer|publicité|les plus lus)|partager (?:sur|cet article)\b.*|suivez-nous sur\b.*",
)
_FURNITURE = re.compile(r"\W*(?:" + "|".join(_WHOLE_LINES) + r")\W*", re.IGNORECASE)
_TICKER = re.compile(r"\W*(?:(?:خبر )?عاجل|breaking(?: news)?|urgent)\s*[|:].*", re.IGNORECASE)
_CRUMBS = re.compile(r"\s*[>»›]\s*")
_SENTENCE_END = tuple(".!?؟:…")


def clean(title: str | None, body: str, section: str | None = None, known: frozenset[str] = frozenset()) -> Page:
    """Drop the furniture of `body`; where `title` is None, find the page's headline and section line in it.

    `known` are keys of lines that the article's outlet repeats (`models.recurring`).

    >>> clean(None, "Economy\\nBank keeps its rate at four percent\\nThe bank said so.\\nComments (3)")
    Page(title='Bank keeps its rate at four percent', section='Economy', body='The bank said so.')
    """
    lines = [line for line in map(str.strip, split_lines(html.unescape(body[:MAX_CHARS]))) if line]
    lines = [line for line in lines if len(line) > _LONGEST or not _is_furniture(line, known)]
    lines = lines[:_TICKER_AFTER] + [
        line for line in lines[_TICKER_AFTER:] if len(line) > _LONGEST or not _TICKER.fullmatch(line)
    ]
    lines = _without_doubles(lines)
    if title and title.strip():
        title = " ".join(html.unescape(title).split())
        # Many pages repeat the headline above the text.
        return Page(title, section, "\n".join(line for line in lines if line != title))
    found = None
    if len(lines) >= 3 and _is_headline(lines[1]):
        found = _section(lines[0])
        lines = lines[1:] if found else lines
    if len(lines) >= 2 and _is_headline(lines[0]):
        return Page(lines[0], section or found, "\n".join(lines[1:]))
    return Page(None, section or found, "\n".join(lines))


def key(line: str) -> str:
    """What makes two lines the same line: its words, whatever the number in it.

    >>> key("Comments (12)") == key("comments: 3")
    True
    """
    return " ".join("0" if word.isdigit() else word for word in words(line))


def _is_furniture(line: str, known: frozenset[str]) -> bool:
    return _FURNITURE.fullmatch(line) is not None or (bool(known) and key(line) in known)


def _without_doubles(lines: list[str]) -> list[str]:
    """A line twice in a row is a photo's caption and its description, both furniture; a sentence is kept once."""
    kept = []
    for index, line in enumerate(lines):
        again = index > 0 and lines[index - 1] == line
        before = index + 1 < len(lines) and lines[index + 1] == line
        caption = len(line) <= _LONGEST and not line.endswith(_SENTENCE_END)
        if again or (before and caption):
            continue
        kept.append(line)
    return kept


def _section(line: str) -> str | None:
    """The section that a page's first line names, the last of breadcrumbs; None where it names none."""
    last = _CRUMBS.split(line)[-1]
    if last and len(last.split()) <= 4 and len(line) <= _LONGEST and last[-1] not in ".!?؟:…،,":
        return None if any(c.isdigit() for c in last) else last
    return None


def _is_headline(line: str) -> bool:
    return 3 <= len(line.split()) <= 25 and len(line) <= _LONGEST and line[-1] not in ".،,:"
