"""Every kind of value a producer may send, and every way in which one is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stream.decode import decode
from stream.errors import Reason, Rejection
from stream.records import Headers, RawArticle

LIMIT = 1 << 20


def read(value: bytes | None, content_type: str | None = None) -> RawArticle:
    headers: Headers = [("Content-Type", content_type.encode())] if content_type else []
    return decode(value, headers, max_bytes=LIMIT)


def article(**fields: Any) -> RawArticle:
    return read(json.dumps({"title": "A title", "body": "A body."} | fields).encode())


def test_json_is_found_by_its_first_byte_after_bom_and_white_space() -> None:
    found = read(b'\xef\xbb\xbf \n{"id": "1", "title": "T", "body": "B"}')
    assert (found.id, found.title, found.body) == ("1", "T", "B")


@pytest.mark.parametrize("charset", ["utf-8", "utf8", "utf-16", "windows-1256"])
def test_json_may_be_in_any_charset(charset: str) -> None:
    value = '{"id": "1", "title": "وكالة", "body": "الأنباء"}'.encode(charset)

    found = read(value, f"application/json; charset={charset}")

    assert (found.id, found.title, found.body) == ("1", "وكالة", "الأنباء")


def test_anything_else_is_a_plain_text_page() -> None:
    found = read("عاجل: خبر\nثم نصه".encode())
    assert found.title is None
    assert found.body == "عاجل: خبر\nثم نصه"
    assert len(found.id) == 64


def test_charset_of_the_header_is_used() -> None:
    assert read("وكالة الأنباء".encode("windows-1256"), "text/plain; charset=windows-1256").body == "وكالة الأنباء"


@pytest.mark.parametrize(
    "content_type",
    [
        'text/plain;x="' + '\\";' * 300_000,
        "text/plain; charset*" + "9" * 5000 + "=x",
        "TEXT/PLAIN ; CHARSET='UTF-8'",
        "text/plain;charset=utf8;format=flowed",
    ],
)
def test_odd_content_types_are_read_in_linear_time(content_type: str) -> None:
    assert read("نص".encode(), content_type).body == "نص"


def test_content_type_goes_before_the_first_byte() -> None:
    assert read(b"{not json}", "text/plain").body == "{not json}"


def test_html_page_becomes_title_text_and_facts() -> None:
    paragraph = "The council met on Monday evening to discuss the new bridge over the river and its cost. "
    page = f"""<html lang="en"><head><title>Bridge plan | Example</title>
    <meta property="og:title" content="Council approves bridge plan">
    <meta property="article:published_time" content="2026-03-01T10:00:00+02:00">
    <link rel="canonical" href="https://example.org/bridge"></head>
    <body><nav>Home News Sport</nav><article><h1>Council approves bridge plan</h1>
    <p>{paragraph * 3}</p><p>{paragraph * 2}</p></article><footer>All rights reserved</footer></body></html>"""
    found = read(page.encode())
    assert found.title == "Council approves bridge plan"
    assert "The council met on Monday" in found.body
    assert "All rights reserved" not in found.body
    assert found.url == "https://example.org/bridge"
    assert found.lang == "en"
    assert found.published_at == datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_html_field_is_read_and_the_record_goes_before_the_page() -> None:
    html = (
        "<html><head><title>Of the page</title></head><body><p>"
        + "A long sentence of news text. " * 20
        + "</p></body></html>"
    )
    found = read(json.dumps({"id": 7, "title": "Of the record", "html": html}).encode())
    assert (found.id, found.title) == ("7", "Of the record")
    assert "A long sentence of news text." in found.body


def test_markup_in_a_body_is_taken_out() -> None:
    assert article(body="<p>First &amp; last.</p><p>Then.</p>").body == "First & last.\nThen."
    assert article(body="One. <body>Two.</body><p>Three.</p><body>Four.</body>").body == "One. Two.\nThree.\nFour."


def test_html_without_text_is_rejected() -> None:
    with pytest.raises(Rejection) as refused:
        read(b"<html><body><script>1</script></body></html>")
    assert refused.value.reason == Reason.NO_TEXT


@pytest.mark.parametrize(
    ("value", "content_type", "reason"),
    [
        (None, None, Reason.EMPTY),
        (b"", None, Reason.EMPTY),
        (b" \n\t ", None, Reason.EMPTY),
        (b"\xef\xbb\xbf", None, Reason.EMPTY),
        (b"x" * (LIMIT + 1), None, Reason.TOO_LARGE),
        (b"\xff\xfe\xfa", None, Reason.UNDECODABLE),
        (b'{"title": "\xff"}', None, Reason.UNDECODABLE),
        (b'{"title": "a", "other": "\xff"}', None, Reason.UNDECODABLE),
        (b'{"title": "a"', None, Reason.INVALID_JSON),
        (b'{"title": "a"} {"title": "b"}', None, Reason.INVALID_JSON),
        (b'{"title": NaN}', None, Reason.INVALID_JSON),
        (rb'{"title": "\ud800"}', None, Reason.INVALID_JSON),
        (b"not json", "application/json", Reason.INVALID_JSON),
        (b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, Reason.INVALID_JSON),
        (b'{"lang": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, Reason.INVALID_JSON),
        (b'[{"title": "a"}]', None, Reason.NOT_AN_OBJECT),
        (b'"a string"', "application/json", Reason.NOT_AN_OBJECT),
        (b"null", "application/json", Reason.NOT_AN_OBJECT),
        (b'{"title": 5}', None, Reason.INVALID_FIELD),
        (b'{"title": "a", "body": ["b"]}', None, Reason.INVALID_FIELD),
        (b'{"title": "a", "id": {"x": 1}}', None, Reason.INVALID_FIELD),
        (b'{"title": "a", "id": "' + b"i" * 513 + b'"}', None, Reason.INVALID_FIELD),
        (b"{}", None, Reason.NO_TEXT),
        (b'{"title": " ", "body": null}', None, Reason.NO_TEXT),
        (b"\x89PNG", "image/png", Reason.UNSUPPORTED_CONTENT_TYPE),
        (b'{"title": "T", "unknown": "\xff"}', None, Reason.UNDECODABLE),
        (b"text", "text/plain; charset=martian", Reason.UNSUPPORTED_CONTENT_TYPE),
        (b"text", "text/plain; charset=zip", Reason.UNSUPPORTED_CONTENT_TYPE),
        (b"text", ";;;", Reason.UNSUPPORTED_CONTENT_TYPE),
        (b"+2AA-", "text/plain; charset=utf-7", Reason.UNSUPPORTED_CONTENT_TYPE),
        (rb"\ud800", "text/plain; charset=unicode_escape", Reason.UNSUPPORTED_CONTENT_TYPE),
        (rb"\ud800", "text/plain; charset=raw-unicode-escape", Reason.UNSUPPORTED_CONTENT_TYPE),
        (b"text", "text/plain; charset=" + "x" * 100_000, Reason.UNSUPPORTED_CONTENT_TYPE),
        (b"<p>a</p>" * 50_000, "text/html", Reason.TOO_LARGE),
        (b"<p " + b" ".join(b"a%d=1" % n for n in range(40_000)) + b">text</p>", "text/html", Reason.TOO_LARGE),
        (b'{"body": "' + b"<br>" * 60_000 + b'"}', None, Reason.TOO_LARGE),
    ],
)
def test_refused(value: bytes | None, content_type: str | None, reason: Reason) -> None:
    with pytest.raises(Rejection) as refused:
        read(value, content_type)
    assert refused.value.reason == reason
    assert len(str(refused.value)) > 10


def test_a_rejection_does_not_quote_the_article() -> None:
    with pytest.raises(Rejection) as refused:
        read(b'{"title": "confidential", "body": 5}')
    assert "confidential" not in str(refused.value)


@pytest.mark.parametrize(
    ("told", "time"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+03:00", datetime(2026, 1, 2, 0, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("Fri, 02 Jan 2026 03:04:05 GMT", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045000, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (True, None),
        (1e300, None),
        ("0001-01-01T00:00:00+14:00", None),
        ({}, None),
    ],
)
def test_times_in_the_forms_that_feeds_use(told: Any, time: datetime | None) -> None:
    assert article(published_at=told).published_at == time


def test_hints_that_cannot_be_read_count_as_absent() -> None:
    found = article(lang=5, section=["a"], urgency="high", pubstatus={}, version=1.5)
    assert (found.lang, found.section, found.urgency, found.pubstatus, found.version) == (None,) * 5
    assert (article(version=True).version, article(lang="x" * 200).lang) == (None, None)


def test_hints_in_other_types_are_read() -> None:
    found = article(urgency="1", version=3, id=42)
    assert (found.urgency, found.version, found.id) == (1, "3", "42")


def test_id_comes_from_the_address_else_from_the_text() -> None:
    one = article(url="https://example.org/1", source="example.org")
    assert one.id == article(url="https://example.org/1", source="example.org", body="changed").id
    assert article().id != article(body="changed").id
    assert article(id="").id == article().id


def test_unknown_fields_pass() -> None:
    assert article(rating={"stars": 5}).title == "A title"
