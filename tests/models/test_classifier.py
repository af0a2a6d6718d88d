"""The classifier through its public face, on the shipped bundle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.classifier import Article, Classifier

PAGE = """سياسة دولية

محادثات جديدة بين موسكو وأنقرة بشأن "مناطق التهدئة" شمالي البلاد

جنود في نقطة مراقبة على الطريق الدولي- أرشيفية
جنود في نقطة مراقبة على الطريق الدولي- أرشيفية

بدأت في العاصمة التركية جولة جديدة من المحادثات بين وفدين عسكريين من البلدين لبحث وقف إطلاق النار.

وقال المتحدث باسم وزارة الدفاع إن القوات ستنسحب من المنطقة قبل نهاية الشهر إذا التزم الطرف الآخر.

اقرأ أيضا: لقاء مرتقب بين الرئيسين الأسبوع المقبل

ودعا مجلس الأمن الدولي جميع الأطراف إلى ضبط النفس والعودة إلى طاولة المفاوضات.

التعليقات (0)

خبر عاجل3
"""

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def test_a_scraped_page_is_read_without_its_furniture(classifier: Classifier) -> None:
    (verdict,) = classifier.classify([Article(title=None, body=PAGE)])

    assert verdict.title == 'محادثات جديدة بين موسكو وأنقرة بشأن "مناطق التهدئة" شمالي البلاد'
    assert verdict.section == "سياسة دولية"
    assert (verdict.lang, verdict.label, verdict.code) == ("ar", "politics", "medtop:11000000")
    assert not verdict.breaking.flag
    assert verdict.breaking.reasons == []


def test_the_explanation_is_in_the_articles_own_words(classifier: Classifier) -> None:
    (verdict,) = classifier.classify([Article(title=None, body=PAGE)])

    assert 1 <= len(verdict.explanation) <= 5
    assert all(term.term in PAGE and term.weight > 0 for term in verdict.explanation)


def test_alternatives_come_best_first_and_abstaining_keeps_them(classifier: Classifier) -> None:
    (verdict,) = classifier.classify([Article(title="أمور كثيرة تغيرت منذ ذلك الوقت", body="")])

    assert (verdict.label, verdict.code, verdict.reason) == (None, None, "low_confidence")
    confidences = [alternative.confidence for alternative in verdict.alternatives]
    assert len(confidences) == 3
    assert confidences == sorted(confidences, reverse=True)
    assert verdict.confidence == confidences[0]


@pytest.mark.parametrize(
    "body",
    [
        "የኢትዮጵያ መንግሥት አዲስ በጀት አጸደቀ",
        "رييس جمهوري اين كشور روز گذشته وارد تهران شد و با وزير امور خارجه ديدار كرد",
        "وزیر اعظم نے کہا ہے کہ حکومت نئے منصوبے پر کام کر رہی ہے",
        "Die Regierung hat am Montag den neuen Haushalt vorgestellt",
    ],
)
def test_an_unsupported_language_is_never_forced_into_a_class(classifier: Classifier, body: str) -> None:
    (verdict,) = classifier.classify([Article(title=None, body=body, lang="ar")])

    assert verdict.lang not in classifier.languages
    assert (verdict.label, verdict.reason, verdict.alternatives) == (None, "language_unsupported", [])


def test_one_articles_answer_does_not_depend_on_its_neighbours(classifier: Classifier) -> None:
    articles = [
        Article(title=None, body=PAGE),
        Article(title="Shares rise as the bank cuts its rate", body="Investors bought banks and oil companies."),
        Article(title=None, body="عاجل: زلزال يضرب شرق البلاد"),
        Article(title="", body="2026"),
    ]

    together = classifier.classify(articles)

    assert together == [classifier.classify([article])[0] for article in articles]
    assert classifier.classify(articles[::-1]) == together[::-1]


def test_a_text_without_words_is_too_short(classifier: Classifier) -> None:
    (verdict,) = classifier.classify([Article(title=None, body="2026", lang="ar")])

    assert (verdict.label, verdict.reason) == (None, "too_short")


@pytest.mark.parametrize("body", ["", "14:30", "👍", "\u0650" * 100, "…"])
def test_a_text_without_letters_is_too_short_in_any_language(classifier: Classifier, body: str) -> None:
    (verdict,) = classifier.classify([Article(title=None, body=body)])

    assert (verdict.lang, verdict.label, verdict.reason) == ("und", None, "too_short")


@given(st.text(st.characters(), max_size=120), st.none() | st.text(st.characters(), max_size=60))
def test_any_text_gets_one_verdict(classifier: Classifier, body: str, title: str | None) -> None:
    (verdict,) = classifier.classify([Article(title, body)])

    assert (verdict.label is None) is (verdict.reason is not None)
    assert 0 <= verdict.confidence <= 1
    assert verdict.label is None or verdict.label == verdict.alternatives[0].label
    assert all(term.weight > 0 for term in verdict.explanation)


@pytest.mark.parametrize(
    ("age", "flag", "freshness"),
    [(timedelta(minutes=5), True, "fresh"), (timedelta(hours=3), False, "stale"), (None, True, "unknown")],
)
def test_freshness_is_measured_against_the_record_and_stale_is_never_breaking(
    classifier: Classifier, age: timedelta | None, flag: bool, freshness: str
) -> None:
    published = NOON - age if age is not None else None
    (verdict,) = classifier.classify(
        [Article(title="عاجل | زلزال يضرب شرق البلاد", body="", published_at=published, received_at=NOON)]
    )

    assert verdict.breaking.flag is flag
    assert verdict.breaking.freshness == freshness
    assert "marker" in verdict.breaking.reasons


@pytest.mark.parametrize("urgency", [1, 2, 3, 8, None])
def test_the_producers_urgency_counts_from_two_up(classifier: Classifier, urgency: int | None) -> None:
    (verdict,) = classifier.classify([Article(title="Talks resume in Geneva", body="", urgency=urgency)])

    assert ("urgency" in verdict.breaking.reasons) is (urgency in (1, 2))


def test_floods_end(classifier: Classifier) -> None:
    floods = ["م" + "\u0650" * 4_000_000, "\u202e" * 4_000_000, "ا\n" * 2_000_000, "عاجل " * 800_000]

    verdicts = classifier.classify([Article(title=None, body=flood) for flood in floods])

    assert all(len(verdict.explanation) <= 5 for verdict in verdicts)
