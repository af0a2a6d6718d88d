"""Markers, freshness and the decision."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.breaking import _HEADS, _INVISIBLE, _normal, decide, freshness, has_marker
from models.classifier import Article, Classifier

FLASHES = [
    ("ar", "عاجل: انفجار قرب الميناء"),
    ("ar", "عـــاجـــل | انفجار قرب الميناء"),
    ("ar", "🚨🚨 عاجل 🚨 انفجار قرب الميناء"),
    ("ar", "خبر عاجل - انفجار قرب الميناء"),
    ("ar", "قناة الساحل | عاجل: انفجار قرب الميناء"),
    ("ar", "عاجل عاجل: انفجار قرب الميناء"),
    ("ar", "عاجل جدا\nانفجار قرب الميناء"),
    ("ar", "#الساحل_عاجل انفجار قرب الميناء"),
    ("en", "BREAKING: Explosion near the harbour"),
    ("en", "Breaking News | Explosion near the harbour"),
    ("en", "JUST IN — Explosion near the harbour"),
    ("en", "BREAKING Explosion near the harbour"),
    ("en", "Harbour Post: URGENT: explosion near the docks"),
    ("fr", "URGENT - Explosion près du port"),
    ("fr", "Alerte info : explosion près du port"),
    ("fr", "DERNIÈRE MINUTE : explosion près du port"),
    ("es", "ÚLTIMA HORA: explosión cerca del puerto"),
    ("es", "Urgente | Explosión cerca del puerto"),
    ("de", "+++ EILMELDUNG +++ Explosion am Hafen"),
    ("de", "EIL: Explosion am Hafen"),
    ("tr", "SON DAKİKA: Limanda patlama"),
    ("tr", "Son dakika | Limanda patlama"),
    ("fa", "فوری: انفجار در نزدیکی بندر"),
    ("fa", "خبر فوري | انفجار در نزديكي بندر"),
    ("it", "BREAKING: esplosione vicino al porto"),
]

ORDINARY = [
    ("ar", "البرلمان يطلب تدخلا عاجلا لإنقاذ المزارعين"),
    ("ar", "عاجلا أم آجلا سيعود اللاعب إلى الملاعب"),
    ("ar", "علاج عاجل لمرضى القلب في المستشفى الجديد"),
    ("ar", "«عاجل» كلمة تفقد معناها على الشاشات"),
    ("en", "Breaking the record at last"),
    ("en", "Breaking Bad star returns to the stage"),
    ("en", "Urgent care centres open in three towns"),
    ("en", "Why “breaking news” is rarely news"),
    ("fr", "Urgent besoin de médecins dans les campagnes"),
    ("fr", "Flash mob devant la mairie"),
    ("es", "Urgente necesidad de agua en el sur"),
    ("de", "Eile mit Weile: der neue Fahrplan"),
    ("tr", "Son dakikada gelen gol"),
    ("fa", "نیاز فوری به کمک در مناطق زلزله‌زده"),
]


@pytest.mark.parametrize(("lang", "title"), FLASHES)
def test_a_marker_at_the_head_is_seen(lang: str, title: str) -> None:
    assert has_marker(title, "", lang)


@pytest.mark.parametrize(("lang", "title"), ORDINARY)
def test_the_word_in_a_sentence_is_no_marker(lang: str, title: str) -> None:
    assert not has_marker(title, "", lang)


def test_a_bare_marker_or_a_tag_counts_in_a_short_text_only() -> None:
    article = "قال المتحدث إن الأعمال مستمرة في الموقع. " * 20

    assert has_marker("عاجل\n", "انفجار قرب الميناء", "ar")
    assert not has_marker("عاجل\n", article, "ar")
    assert has_marker("انفجار قرب الميناء", "#عاجل", "ar")
    assert not has_marker("انفجار قرب الميناء", article + "#عاجل", "ar")


HEADS = st.lists(
    st.one_of(
        st.sampled_from(
            ["عاجل", "عـاجـل", "عَاجِل", "ﻋﺎﺟﻞ", "عااجل", "BREAKING", "ＢＲＥＡＫＩＮＧ", "|", ":", "«", "قناة", "a.b"]
        ),
        st.text(st.sampled_from("عاجلأإآئًـٰ\u0653\u0654\u200f :|-–\n"), max_size=8),
        st.text(max_size=4),
    ),
    max_size=8,
).map(" ".join)


@given(HEADS)
def test_a_line_that_is_left_alone_is_normal(line: str) -> None:
    assert _normal(line) == _INVISIBLE.sub("", unicodedata.normalize("NFKC", line))


@given(HEADS)
def test_no_arabic_marker_is_passed_over(line: str) -> None:
    marked = _HEADS["ar"].match(_normal(line.strip())) is not None

    assert not marked or has_marker(line, "", "ar")


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (NOON, "fresh"),
        (NOON - timedelta(hours=2), "fresh"),
        (NOON - timedelta(hours=2, seconds=1), "stale"),
        (NOON - timedelta(days=4000), "stale"),
        (NOON + timedelta(minutes=5), "fresh"),
        (NOON + timedelta(hours=5), "unknown"),
        (None, "unknown"),
    ],
)
def test_freshness(published: datetime | None, expected: str) -> None:
    assert freshness(published, NOON) == expected
    assert freshness(published, None) == "unknown"


@pytest.mark.parametrize("fresh", ["fresh", "unknown", "stale"])
def test_stale_is_never_breaking_and_keeps_its_reasons(fresh: str) -> None:
    decision = decide(marker=True, urgency=1, style=0.99, alert=True, fresh=fresh)

    assert decision.flag is (fresh != "stale")
    assert decision.reasons == ["marker", "urgency", "alert_style"]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


ALERT = "وزارة الدفاع: اعتراض وتدمير ثلاث مسيرات معادية شرق البلاد"


def test_a_line_that_reads_like_an_alert_is_flagged_with_its_terms(classifier: Classifier) -> None:
    (verdict,) = classifier.classify([Article(title=None, body=ALERT)])

    assert verdict.breaking.reasons == ["alert_style"]
    assert 0 < verdict.breaking.score <= 1
    assert verdict.breaking.explanation
    assert all(term.term in ALERT for term in verdict.breaking.explanation)


def test_style_is_reported_but_never_decides_on_a_long_article(classifier: Classifier) -> None:
    body = "وقال المتحدث إن القوات تتابع الموقف وإن التحقيق مستمر في الموقع. " * 20

    (verdict,) = classifier.classify([Article(title=ALERT, body=body)])

    assert verdict.breaking.reasons == []
    assert verdict.breaking.score > 0.5


@pytest.mark.parametrize(
    "title",
    [
        "المنتخب يبدأ تدريباته استعدادا لكأس آسيا",
        "أسعار الذهب اليوم في الأسواق العربية",
        "افتتاح معرض الكتاب في العاصمة",
    ],
)
def test_an_ordinary_title_does_not_read_like_an_alert(classifier: Classifier, title: str) -> None:
    (verdict,) = classifier.classify([Article(title=title, body="")])

    assert not verdict.breaking.flag


LONG = "قال المتحدث إن فرق الإنقاذ تواصل عملها في الموقع منذ الصباح. " * 20


@pytest.mark.parametrize(
    ("article", "marked"),
    [
        (Article(None, f"أخبار محلية\nعاجل: انفجار قرب ميناء المدينة القديم\n{LONG}\n{LONG}"), True),
        (Article("انفجار قرب الميناء", f"عاجل | انفجار قرب الميناء.\n{LONG}"), True),
        (Article(None, f"عاجل\nافتتاح معرض الكتاب في دورته العاشرة\n{LONG}\n{LONG}"), False),
        (Article("افتتاح معرض الكتاب", f"{LONG}\nعاجل | انفجار قرب الميناء\n{LONG}"), False),
        (Article("افتتاح معرض الكتاب", f"{LONG}\nخبر عاجل"), False),
    ],
)
def test_where_on_a_page_a_marker_counts(classifier: Classifier, article: Article, marked: bool) -> None:
    (verdict,) = classifier.classify([article])

    assert ("marker" in verdict.breaking.reasons) is marked
