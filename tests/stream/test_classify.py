from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from models.breaking import Breaking
from models.classifier import Alternative, Article, Term, Verdict
from models.keyterms import key_terms
from stream.classify import ClassifyStage, _title
from stream.errors import Reason, Rejection
from stream.records import EnrichedArticle, Headers, Output, Place, Record, Signal, event_id, read, read_signal
from stream.settings import Settings

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
THEN = datetime(2026, 5, 4, 11, 59, tzinfo=UTC)
SETTINGS = Settings()


class FakeModel:
    """Answers politics, and falls over on an article titled `crash`."""

    languages = ("ar", "en")

    def key_terms(self, title: str | None, body: str, lang: str) -> bytes:
        return msgspec.json.encode(key_terms(title, body, {"the": 0.9} if lang == "en" else {}))

    def __init__(self) -> None:
        self.asked: list[int] = []

    def classify(self, articles: Sequence[Article]) -> list[Verdict]:
        self.asked.append(len(articles))
        if any(article.title == "crash" for article in articles):
            raise RuntimeError("the secret text of the article")
        return [
            Verdict(
                title=article.title,
                body=article.body,
                lang="en",
                section=None,
                label="politics",
                code="medtop:11000000",
                confidence=0.9,
                reason=None,
                alternatives=[Alternative("politics", 0.9)],
                explanation=[Term("vote", 0.5)],
                breaking=Breaking(True, 1.0, ["marker"], "fresh"),
                model="en",
                version="1",
            )
            for article in articles
        ]


def record(value: bytes | None, *, offset: int = 0, key: bytes | None = b"k", headers: Headers | None = None) -> Record:
    return Record(Place("news.articles.raw", 2, offset), THEN, key, value, headers or [])


def stage(**settings: object) -> ClassifyStage:
    return ClassifyStage(FakeModel(), msgspec.structs.replace(SETTINGS, **settings), lambda: NOW)


def by_topic(outputs: Sequence[Output]) -> dict[str, list[Output]]:
    found: dict[str, list[Output]] = {}
    for output in outputs:
        found.setdefault(output.topic, []).append(output)
    return found


def test_an_article_becomes_an_enriched_record_and_a_signal() -> None:
    (result,), outputs, _ = stage()([record(b'{"id": "7", "title": "Vote", "source": "example.org"}', offset=41)])
    assert isinstance(result, EnrichedArticle)
    written = by_topic(outputs)
    assert set(written) == {SETTINGS.topic_enriched, SETTINGS.topic_signals}
    (enriched,), (signal,) = written[SETTINGS.topic_enriched], written[SETTINGS.topic_signals]
    article = read(enriched.value or b"", EnrichedArticle)
    assert article.event_id == event_id(Place("news.articles.raw", 2, 41))
    assert (article.id, article.topic.label, article.breaking.flag) == ("7", "politics", True)
    assert (article.ingested_at, article.enriched_at) == (THEN, NOW)
    told = read(signal.value or b"", Signal)
    assert (told.event_id, told.topic, told.source) == (article.event_id, "politics", "example.org")


def test_keys_are_kept_or_become_the_id_and_signals_go_by_language() -> None:
    _, outputs, _ = stage()([record(b'{"id": "7", "title": "T"}', key=None), record(b'{"id": "8", "title": "T"}')])
    written = by_topic(outputs)
    assert [output.key for output in written[SETTINGS.topic_enriched]] == [b"7", b"k"]
    assert [output.key for output in written[SETTINGS.topic_signals]] == [b"en", b"en"]


def test_headers_pass_and_the_content_type_becomes_that_of_the_output() -> None:
    given: Headers = [("traceparent", b"00-a-b-01"), ("content-type", b"text/plain"), ("x", None), ("x", b"\xff")]
    _, outputs, _ = stage()([record(b"A title\nand text", headers=given)])
    headers = by_topic(outputs)[SETTINGS.topic_enriched][0].headers
    assert headers[:3] == [("traceparent", b"00-a-b-01"), ("x", None), ("x", b"\xff")]
    assert [value for name, value in headers if name == "content-type"] == [b"application/json"]
    names = dict(headers)
    assert names["ce_specversion"] == b"1.0"
    assert names["ce_type"] == b"ajil.article.enriched"
    assert names["ce_time"] == b"2026-05-04T12:00:00Z"
    signal = by_topic(outputs)[SETTINGS.topic_signals][0].headers
    assert ("traceparent", b"00-a-b-01") in signal


def test_a_bad_record_is_rejected_with_its_bytes_and_never_its_neighbours() -> None:
    bad = record(b"{broken", key=b"\xff\x00", headers=[("h", b"\x01"), ("h", None)])
    results, outputs, _ = stage()([record(b'{"title": "A"}'), bad, record(b'{"title": "B"}', offset=2)])
    assert [type(result) for result in results] == [EnrichedArticle, Rejection, EnrichedArticle]
    (rejected,) = by_topic(outputs)[SETTINGS.topic_rejected]
    assert (rejected.key, rejected.value) == (b"\xff\x00", b"{broken")
    assert rejected.headers[:2] == [("h", b"\x01"), ("h", None)]
    told = dict(rejected.headers[2:])
    assert told["__connect.errors.exception.class.name"] == b"invalid_json"
    assert told["__connect.errors.topic"] == b"news.articles.raw"
    assert told["__connect.errors.partition"] == b"2"
    assert told["__connect.errors.offset"] == b"0"
    assert told["__connect.errors.stage"] == b"decode"
    assert told["ajil.event-id"] == event_id(bad.place).encode()
    assert told["ajil.attempts"] == b"1"


def test_null_key_and_null_value_are_rejected_as_they_are() -> None:
    _, (rejected,), _ = stage()([record(None, key=None)])
    assert (rejected.topic, rejected.key, rejected.value) == (SETTINGS.topic_rejected, None, None)


def test_a_model_that_raises_rejects_that_article_only_and_keeps_its_text_to_itself() -> None:
    results, outputs, _ = stage()([record(b'{"title": "%s"}' % title) for title in (b"a", b"crash", b"b")])
    assert [isinstance(result, Rejection) for result in results] == [False, True, False]
    assert isinstance(results[1], Rejection)
    assert results[1].reason == Reason.MODEL_ERROR
    assert "RuntimeError" in str(results[1])
    assert "secret" not in str(results[1])
    assert len(by_topic(outputs)[SETTINGS.topic_rejected]) == 1


def test_an_enriched_record_that_would_not_fit_is_rejected() -> None:
    results, outputs, _ = stage(max_output_bytes=2000)([record(b'{"title": "T", "url": "%s"}' % (b"long" * 500))])
    assert isinstance(results[0], Rejection)
    assert results[0].reason == Reason.OUTPUT_TOO_LARGE
    assert [output.topic for output in outputs] == [SETTINGS.topic_rejected]


def test_outputs_keep_the_order_of_inputs() -> None:
    _, outputs, _ = stage()([record(b'{"id": "%d", "title": "T"}' % n, offset=n) for n in range(50)])
    ids = [read(o.value or b"", EnrichedArticle).id for o in outputs if o.topic == SETTINGS.topic_enriched]
    assert ids == [str(n) for n in range(50)]


@pytest.mark.parametrize("size", [0, 1])
def test_empty_batches_and_batches_of_bad_records_need_no_model(size: int) -> None:
    model = FakeModel()
    ClassifyStage(model, SETTINGS)([record(b"")] * size)
    assert model.asked == []


def test_a_post_without_title_is_titled_by_its_first_line() -> None:
    class Untitled(FakeModel):
        def classify(self, articles: Sequence[Article]) -> list[Verdict]:
            return [verdict._replace(title=None) for verdict in super().classify(articles)]

    stage = ClassifyStage(Untitled(), SETTINGS, lambda: NOW)
    (result,), *_ = stage([record("\n #عاجل | انفجار في الميناء \nالتفاصيل لاحقا".encode())])
    assert isinstance(result, EnrichedArticle)
    assert result.title == "#عاجل | انفجار في الميناء"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (" \n\t\x1c first \x85second", "first"),
        ("one\u2028two", "one"),
        ("x" * 999 + " yz", "x" * 999),
        ("\n \r\n", None),
        (" " * 20_000 + "late", None),
    ],
)
def test_the_first_line_of_a_text(text: str, title: str | None) -> None:
    assert _title(text) == title


def test_a_flooded_title_is_cut() -> None:
    (result,), *_ = stage()([record(b'{"title": "%s"}' % (b"x" * 100_000))])
    assert isinstance(result, EnrichedArticle)
    assert len(result.title or "") == 1000


def test_a_record_whose_headers_cannot_be_read_is_rejected() -> None:
    (result,), (output,), _ = stage()([record(b'{"title": "T"}')._replace(unreadable="why")])
    assert isinstance(result, Rejection)
    assert result.reason == Reason.UNDECODABLE
    assert output.value == b'{"title": "T"}'


def test_a_record_that_killed_workers_is_rejected_unread() -> None:
    model = FakeModel()
    (result,), (output,), _ = ClassifyStage(model, SETTINGS)([record(b'{"title": "T"}')._replace(deaths=3)])
    assert isinstance(result, Rejection)
    assert result.reason == Reason.CRASHED
    assert dict(output.headers)["ajil.attempts"] == b"3"
    assert model.asked == []


def test_a_bug_of_ours_rejects_the_record_and_says_so() -> None:
    class Unencodable(FakeModel):
        def classify(self, articles: Sequence[Article]) -> list[Verdict]:
            return [verdict._replace(section="\ud800") for verdict in super().classify(articles)]

    (result,), (output,), _ = ClassifyStage(Unencodable(), SETTINGS)([record(b'{"title": "T"}')])
    assert isinstance(result, Rejection)
    assert (result.reason, result.stage) == (Reason.INTERNAL, "encode")
    assert output.topic == SETTINGS.topic_rejected


def test_the_signal_carries_what_stories_are_compared_by_and_no_body() -> None:
    text = b'{"title": "Ferry service resumes", "body": "The ferry sails again.", "version": 3, "pubstatus": "usable"}'
    _, outputs, _ = stage()([record(text)])
    (output,) = by_topic(outputs)[SETTINGS.topic_signals]
    signal = read_signal(output.value or b"")
    assert isinstance(signal, Signal)
    assert (output.key, signal.version, signal.pubstatus) == (b"en", "3", "usable")
    words = {term.word.lower(): term.frequency for term in signal.terms}
    assert words["ferry"] == 5
    assert b"sails again" not in (output.value or b"")


@pytest.mark.parametrize("pubstatus", ["canceled", "Cancelled", "withheld"])
def test_an_article_taken_back_is_no_news_and_is_told_wherever_its_story_may_be(pubstatus: str) -> None:
    (result,), outputs, _ = stage()([record(f'{{"id": "7", "pubstatus": "{pubstatus}"}}'.encode())])
    assert isinstance(result, EnrichedArticle)
    assert not result.breaking.flag
    assert [output.key for output in by_topic(outputs)[SETTINGS.topic_signals]] == [b"ar", b"en"]


def test_only_what_is_taken_back_needs_no_text() -> None:
    results, *_ = stage()([record(b'{"id": "7", "pubstatus": "usable"}'), record(b'{"pubstatus": "canceled"}')])
    assert [isinstance(result, Rejection) and result.reason for result in results] == [Reason.NO_TEXT] * 2
