"""The article in an HTML page: its text by trafilatura, its facts from the page's own metadata."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from stream.errors import Reason, Rejection

__all__ = ["Page", "extract", "is_markup", "strip_markup"]

_TAG = re.compile(r"</(?:p|div|span|a|b|i|em|strong|h[1-6]|ul|li|article|section|html|body)\s*>|<(?:br|p)\s*/?>", re.I)
MAX_TAGS = 50_000
"""A page's tags: the longest live blogs have half as many, and libxml2 takes a second for so many."""
_LONG_TAG = re.compile(r"<[^<>]{8000,}")
MAX_TAG_PARTS = 20_000
"""Names and values in one tag: libxml2 compares each attribute with all before it."""

_BLOCKS = "p|div|br|h[1-6]|li|ul|ol|tr|table|section|article|blockquote|figcaption"
_BLOCK = re.compile(rf"</?(?:{_BLOCKS})\b[^>]{{0,2000}}>", re.I)


class Page(NamedTuple):
    title: str | None
    body: str
    url: str | None
    published_at: str | None
    lang: str | None
    section: str | None


def extract(html: str) -> Page:
    """The main text of a page and what its metadata says.

    Raises `Rejection` (no_text) when the page has no article text. A page is parsed once; the extractor costs
    milliseconds, so this runs where it does not hold up an event loop.
    """
    # Half a second of imports, which a worker that never sees HTML need not pay.
    import trafilatura
    from lxml import etree
    from lxml import html as lxml_html

    _check(html)
    try:
        # Bytes, so that a page which declares another charset inside is not refused: it is text already.
        tree = lxml_html.document_fromstring(
            html.encode("utf-8", "replace"), parser=lxml_html.HTMLParser(encoding="utf-8")
        )
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise Rejection(Reason.NO_TEXT, f"the HTML holds no document: {error}") from None
    title = _meta(tree, "og:title") or _text(tree, "//h1") or _text(tree, "//title")
    facts = {
        "url": _attribute(tree, "//link[@rel='canonical']/@href") or _meta(tree, "og:url"),
        "published_at": _meta(tree, "article:published_time") or _attribute(tree, "//time[@datetime]/@datetime"),
        "lang": _attribute(tree, "/html/@lang"),
        "section": _meta(tree, "article:section"),
    }
    body = trafilatura.extract(tree, include_comments=False, include_tables=False, fast=True)
    if not body and not title:
        raise Rejection(Reason.NO_TEXT, "no article text was found in the HTML")
    return Page(title, body or "", **facts)


def _check(html: str) -> None:
    """Raises `Rejection` (too_large) for markup that the parser would take minutes or gigabytes for."""
    if (tags := html.count("<")) > MAX_TAGS:
        raise Rejection(Reason.TOO_LARGE, f"the HTML has {tags} tags; {MAX_TAGS} are allowed")
    for tag in _LONG_TAG.findall(html):
        if (parts := len(tag.split()) + tag.count("=") + tag.count("/")) > MAX_TAG_PARTS:
            raise Rejection(Reason.TOO_LARGE, f"a tag of the HTML has {parts} parts; {MAX_TAG_PARTS} are allowed")


def _meta(tree: Any, name: str) -> str | None:
    return _attribute(tree, f"//meta[@property='{name}' or @name='{name}']/@content")


def _attribute(tree: Any, path: str) -> str | None:
    return next((value for found in tree.xpath(path) if (value := str(found).strip())), None)


def _text(tree: Any, path: str) -> str | None:
    return next((text for node in tree.xpath(path) if (text := " ".join(node.text_content().split()))), None)


def is_markup(text: str) -> bool:
    """Whether a text that should be plain carries HTML tags, as the bodies of many feeds do.

    >>> is_markup("<p>One.</p><p>Two.</p>"), is_markup("a < b, c > d")
    (True, False)
    """
    return "<" in text and _TAG.search(text) is not None


def strip_markup(text: str) -> str:
    """The text of an HTML fragment, its blocks on lines of their own.

    >>> strip_markup("<p>One &amp; only.</p><p>Two<br>lines.</p>")
    'One & only.\\nTwo\\nlines.'
    """
    from lxml import etree
    from lxml import html as lxml_html

    _check(text)
    try:
        # Not lxml's own way to read a fragment: it fails on one with two bodies.
        fragment = _BLOCK.sub(r"\n\g<0>\n", text)
        tree = lxml_html.document_fromstring(f"<html><body><div>{fragment}</div></body></html>")
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return text
    for node in tree.xpath(".//script|.//style"):
        node.drop_tree()
    lines = (" ".join(line.split()) for line in tree.text_content().splitlines())
    return "\n".join(line for line in lines if line)
