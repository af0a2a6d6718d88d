"""Any bytes, in any headers, through the classify stage: python -m tests.stream.fuzz_decode SECONDS [FILE].

`make fuzz` runs it under Atheris (libFuzzer), which looks for inputs that reach new lines of the code. Whatever comes,
a record has exactly one result, an article or a rejection that is not Ajil's own failure, its outputs can be read
back, and its neighbour in the batch is not affected; no input may take `HANG` seconds or `MEMORY` MB. FILE is an input
that was found, to run it again.

An input is four parts, each after a `SEPARATOR`: a content-type, a header's name, what stands before a flood, and the
flood itself, which is repeated as often as its first byte says: what costs too much is rarely short.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["stream", "trafilatura", "htmldate", "courlan", "email"]):
    import trafilatura.metadata  # noqa: F401 (stream/pages.py imports it late)

    from stream.classify import ClassifyStage
    from stream.errors import Reason, Rejection
    from stream.records import EnrichedArticle, Headers, Place, Record, Signal, read
    from stream.settings import Settings
    from tests.stream.test_classify import FakeModel

SEPARATOR = b"\n--\n"
HANG = 20
"""Seconds: a page of `MAX_TAGS` tags takes two here, under instrumentation and on a busy machine."""
MEMORY = 1500
MAX_BYTES = 1 << 20
SETTINGS = Settings(max_article_bytes=MAX_BYTES)
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NEIGHBOUR = Record(Place("raw", 0, 1), TIME, b"k", b'{"id": "2", "title": "The bridge is open"}', [])

PAGE = """<html lang="en-GB"><head><title>Bridge opens | Example</title>
<meta property="og:title" content="Bridge opens"><link rel="canonical" href="https://example.org/bridge">
<meta name="article:published_time" content="2026-01-02T03:04Z">
</head><body><h1>Bridge opens</h1><article><p>Engineers opened the new bridge to traffic on Monday morning.</p><p>It had
been closed since the spring floods &amp; repairs took <b>eight</b> months.</p></article></body></html>"""
ARTICLE = (
    '{"schema_version": 1, "id": 7, "url": "https://example.org/7", "source": "example.org", "title": "Bridge", '
    '"body": "<p>It is open.</p>", "html": "<h1>Bridge</h1>", "text": "عاجل: خبر", '
    '"published_at": "Mon, 02 Jan 2026 03:04:05 +0200", "lang": "en-GB", "section": "News", "urgency": "1", '
    '"pubstatus": "usable", "version": 2}'
)
SEEDS = [
    b"",
    b"application/json\n--\ntraceparent\n--\n" + ARTICLE.encode(),
    b"text/html; charset=utf-8\n--\nodd\n--\n" + PAGE.encode(),
    b"text/plain;charset=windows-1256\n--\n\n--\n" + "وكالة الأنباء".encode("windows-1256"),
    b"\n--\nContent-Type\n--\n\xef\xbb\xbf  {\n--\n\x07[",
    b"\n--\nce_id\n--\n<html><body>\n--\n\x0b<div><p>one</p>",
    b'\n--\n\n--\n{"published_at": 1e400, "title": "\\ud800", "body": "\n--\n\x0c\\u0651',
    "\n--\najil.event-id\n--\nعا\n--\n\x0c\u0651\u202e".encode(),
]
WORDS = [
    *(
        "<script>",
        "</p>",
        "<br/>",
        "<!--",
        "<![CDATA[",
        "<?xml encoding='utf-16'?>",
        "<svg>",
        "<table>",
        "&#x0;",
        "&lt;",
    ),
    *("<meta charset=utf-7>", "<time datetime=", "<base href=", "<iframe>", "<template>", "<noscript>", "application/"),
    *("charset=", "utf-16", "idna", "hex", "html", "+json", "\\ud83d\\ude00", "NaN", "null", "true", "-0", "1e999"),
    *('"published_at":', '"urgency":', '"version":', '"html":', '"schema_version":2', "9999-12-31T23:59:59-23:59"),
]


def parts(data: bytes) -> tuple[Headers, bytes]:
    """-> headers and value of the input."""
    kind, name, value, flood = (*data.split(SEPARATOR, 3), b"", b"", b"", b"")[:4]
    if flood:
        times = 1 << (flood[0] & 15)
        value += flood[1:] * min(times, MAX_BYTES // max(1, len(flood)))
    headers: list[tuple[str, bytes | None]] = [(name.decode("utf-8", "replace"), value[:100] or None)]
    if kind:
        headers.insert(0, ("content-type", kind))
    return headers, value


def check(data: bytes) -> None:
    headers, value = parts(data)
    record = Record(Place("raw", 0, 0), TIME, None, value, headers)
    stage = ClassifyStage(FakeModel(), SETTINGS, lambda: TIME)
    (result, neighbour), outputs, _ = stage([record, NEIGHBOUR])
    assert isinstance(neighbour, EnrichedArticle), "the neighbour was rejected"
    own = outputs[:-2]
    if isinstance(result, Rejection):
        assert result.reason is not Reason.INTERNAL, result
        (rejected,) = own
        assert (rejected.key, rejected.value, rejected.topic) == (None, value, SETTINGS.topic_rejected)
        assert list(rejected.headers[1:]) or not headers
    else:
        enriched, signal = own
        article = read(enriched.value or b"", EnrichedArticle)
        assert article == result, "the article cannot be read back as it was written"
        assert read(signal.value or b"", Signal).event_id == article.event_id
    for output in outputs:
        for name, _ in output.headers:
            name.encode()


def mutate(data: bytes, size: int, seed: int) -> bytes:
    """One part anew, so that inputs keep their form."""
    split = [*data.split(SEPARATOR, 3), b"", b"", b""][:4]
    at = (2, 2, 2, 3, 3, 0, 1)[seed % 7]
    room = size - 3 * len(SEPARATOR) - sum(map(len, split)) + len(split[at])
    split[at] = atheris.Mutate(split[at], max(1, room))
    return SEPARATOR.join(split)[:size]


def main(seconds: str, *files: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder, "seeds")
        seeds.mkdir()
        for number, seed in enumerate(SEEDS):
            (seeds / str(number)).write_bytes(seed)
        words = Path(folder, "words")
        words.write_text("".join(f'"{_escaped(word.encode())}"\n' for word in [*WORDS, SEPARATOR.decode()]))
        limits = [
            f"-max_total_time={seconds}",
            f"-timeout={HANG}",
            f"-rss_limit_mb={MEMORY}",
            "-max_len=16384",
            "-len_control=0",
        ]
        how = [*limits, f"-dict={words}", "-artifact_prefix=build/", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *how, *(files or (str(seeds),))], check, custom_mutator=mutate)
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main(*sys.argv[1:])
