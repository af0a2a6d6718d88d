"""Languages, down to a headline of three words."""

from __future__ import annotations

import pytest

from models.language import language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("الحكومة تعلن موازنة جديدة", "ar"),
        ("ما هي أسباب ارتفاع الأسعار؟", "ar"),
        ("لقاء صحفي مع رئيس بنك HSBC", "ar"),
        ("دولت جدید بودجه را اعلام کرد", "fa"),
        ("رئيس جمهور با وزير خارجه ديدار كرد", "fa"),
        ("وزیر اعظم نے اجلاس بلا لیا ہے", "ur"),
        ("د افغانستان ولسمشر له کابل څخه راغی", "ps"),
        ("سەرۆکی هەرێم لەگەڵ وەزیر کۆبووەوە", "ku"),
        ("የኢትዮጵያ መንግሥት አዲስ በጀት", "am"),
        ("הממשלה אישרה את התקציב", "he"),
        ("Правительство утвердило бюджет", "ru"),
        ("政府公布新预算", "zh"),
        ("정부가 새 예산을 발표했다", "ko"),
        ("Government unveils new budget", "en"),
        ("Messi scores twice", "en"),
        ("Shares fall in London", "en"),
        ("Le gouvernement présente son budget", "fr"),
        ("Trois morts dans un accident", "fr"),
        ("El gobierno presenta el presupuesto", "es"),
        ("Regierung plant neues Gesetz", "de"),
        ("Hükümet yeni bütçeyi açıkladı", "tr"),
        ("", "und"),
        ("2026 — 14:30", "und"),
        ("👍👍👍", "und"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language(text) == expected


@pytest.mark.parametrize("hint", ["en", "xx", "", None, "ar-EG", "nonsense", "fr_FR"])
def test_a_wrong_hint_is_survived(hint: str | None) -> None:
    assert language("الحكومة تعلن موازنة جديدة للعام المقبل", hint) == "ar"
    assert language("The government has announced a new budget for the coming year", hint) == "en"


def test_the_hint_decides_where_the_text_says_nothing() -> None:
    assert language("14:30", "en-GB") == "en"
    assert language("Inter vince a Roma", "it") == "it"


def test_letters_of_another_script_do_not_outvote_the_text() -> None:
    assert language("Apple: شركة تعلن هاتفا جديدا بشاشة أكبر وبطارية أقوى") == "ar"
