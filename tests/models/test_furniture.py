"""What is dropped from a page, and what never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models.classifier import Article, Classifier
from models.corpus import Row
from models.furniture import clean
from models.recurring import Profile, ProfileError, learn_profile

if TYPE_CHECKING:
    from pathlib import Path

STORY = "The council met on Monday and put off its decision on the bridge."


@pytest.mark.parametrize(
    "line",
    [
        *[
            "خبر عاجل",
            "عاجل 3",
            "التعليقات (0)",
            "لا توجد تعليقات",
            "اقرأ أيضًا: مواعيد القطارات",
            "إقرأ أيضا",
            "مواضيع ذات صلة",
        ],
        *["شارك", "شاركها على تويتر", "تابعنا على فيسبوك", "الأكثر قراءة", "طباعة"],
        *["Comments (12)", "3 comments", "Read also: timetables", "Share this article", "Follow us on Facebook"],
        *["Advertisement", "Related articles", "Most read", "Print", "BREAKING: two lanes closed on the ring road"],
        *["Commentaires (2)", "À lire aussi : les horaires", "Partager sur Facebook", "Publicité", "Suivez-nous sur X"],
    ],
)
def test_furniture_is_dropped(line: str) -> None:
    page = clean("Council puts off bridge", f"{STORY}\nThe mayor was absent.\n{line}\n{STORY[::-1]}")

    assert page.body == f"{STORY}\nThe mayor was absent.\n{STORY[::-1]}"


@pytest.mark.parametrize(
    "line",
    [
        "وأضاف أن علاجا عاجلا مطلوب.",
        "شارك في الاجتماع عشرة وزراء وعدد من السفراء.",
        "تابعنا المباراة من المدرجات حتى نهايتها.",
        "التعليقات على القرار كانت غاضبة في معظمها.",
        "Comments by the minister angered his own party.",
        "Share prices rose by two percent.",
        "Print is not dead, said the publisher.",
        "Read more books, the teacher advised.",
        "Partager les coûts, voilà la question.",
        "Commentaires du ministre sur le projet.",
    ],
)
def test_a_sentence_that_begins_like_furniture_is_kept(line: str) -> None:
    assert line in clean("Title", f"{STORY}\n{STORY} Again.\n{line}").body.split("\n")


def test_a_doubled_caption_goes_and_a_doubled_sentence_stays_once() -> None:
    page = clean("Bridge", f"The old bridge at dusk- agency\nThe old bridge at dusk- agency\n{STORY}\n{STORY}")

    assert page.body == STORY


def test_section_line_and_breadcrumbs_become_the_section() -> None:
    rest = f"\nCouncil puts off bridge once more\n{STORY}\nThe mayor was absent."

    assert clean(None, "Local news" + rest)[:2] == ("Council puts off bridge once more", "Local news")
    assert clean(None, "Home » News » Local" + rest).section == "Local"
    assert clean(None, "Local news" + rest, section="Cities").section == "Cities"


def test_one_paragraph_has_no_title() -> None:
    assert clean(None, STORY) == (None, None, STORY)


def test_a_headline_repeated_above_the_text_is_read_once() -> None:
    assert clean("Council puts off bridge", f"Council puts off bridge\n{STORY}").body == STORY


def test_entities_are_text() -> None:
    assert clean("Fish &amp; chips", "A &quot;good&quot; year.") == ("Fish & chips", None, 'A "good" year.')


def rows(source: str, count: int, line: str) -> list[Row]:
    return [
        Row(title=None, body=f"Story number {n} of {source}.\n{line} {n}", label=None, source=source)
        for n in range(count)
    ]


def test_lines_that_an_outlet_repeats_are_learnt_and_dropped(tmp_path: Path) -> None:
    learnt = learn_profile([*rows("a.example", 30, "Photo desk tips, call"), *rows("b.example", 5, "Call us at")])
    learnt.write(tmp_path / "profile.json")

    profile = Profile.read(tmp_path / "profile.json")

    assert list(profile.sources) == ["a.example"]
    body = f"{STORY}\nPhoto desk tips: call 555\nThe mayor was absent."
    assert clean("T", body, known=profile.keys("a.example")).body == f"{STORY}\nThe mayor was absent."
    assert clean("T", body, known=profile.keys("b.example")).body == body


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "sources": {"a": "line"}}'])
def test_a_broken_profile_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "profile.json").write_text(content)

    with pytest.raises(ProfileError) as refused:
        Profile.read(tmp_path / "profile.json")
    assert "\n" not in str(refused.value)


def test_the_classifier_reads_without_the_learnt_lines(tmp_path: Path) -> None:
    Profile({"a.example": ["Football, cup, goals and league: our sport pages"]}).write(tmp_path / "profile.json")
    body = "Parliament debates the election law on Tuesday.\nFootball, cup, goals and league: our sport pages"
    classifier = Classifier.load(furniture=tmp_path / "profile.json")

    known, unknown = classifier.classify(
        [Article("Ministers meet", body, source=source) for source in ("a.example", "b.example")]
    )

    assert known.alternatives != unknown.alternatives
    assert known.alternatives[0].label == "politics"
