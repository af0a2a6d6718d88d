"""How a line reads: the terms that the alert model counts beside its words."""

from __future__ import annotations

import re

from models.text import stem, terms, words

__all__ = ["alert_terms", "style"]

_LINE = 600  # characters

_LINK = re.compile(r"https?://\S+")

_STYLE = {
    "quote": re.compile(r"[\"«“”]"),
    "digit": re.compile(r"\d"),
    "dots": re.compile(r"\.\.|…"),
    "question": re.compile(r"[?؟]"),
    "exclamation": re.compile("!"),
    "stop": re.compile(r"\.\s*$"),
    "dash": re.compile(r" [-–—|] "),
    "hash": re.compile("#"),
}


def alert_terms(text: str) -> list[str]:
    """The terms of the first line of `text`, and the marks of its style.

    >>> alert_terms("Ministry: two drones shot down")[-4:]
    ['<no dash>', '<no hash>', '<first ministry>', '<last down>']
    """
    line, marks = style(text)
    return terms(line) + marks


def style(text: str) -> tuple[str, list[str]]:
    """The first line of `text`, and the marks of its style: its form, its first and its last word.

    >>> line, marks = style("Fire brigade: out")
    >>> line, marks[:3], marks[-2:]
    ('Fire brigade: out', ['<length 1>', '<lines 1>', '<colon 2>'], ['<first fire>', '<last out>'])
    """
    head = text[: 4 * _LINE]
    lines = [line for line in (_LINK.sub("", head) if "http" in head else head).splitlines() if line.strip()]
    line = lines[0][:_LINE] if lines else ""
    found = words(line)
    before_colon, colon, _ = line.partition(":")
    marks = [
        f"<length {min(len(found) // 3, 8)}>",
        f"<lines {min(len(lines), 3)}>",
        f"<colon {min(len(before_colon.split()), 6)}>" if colon else "<no colon>",
    ]
    marks += [f"<{name}>" if mark.search(line) else f"<no {name}>" for name, mark in _STYLE.items()]
    ends = [f"<first {stem(found[0])}>", f"<last {stem(found[-1])}>"] if found else []
    return line, marks + ends
