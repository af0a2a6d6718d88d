"""Live accuracy: an answer is judged once, by what is said of the article, its event or the alert it opened."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stream.answers import Answers, BreakingJudgement, TopicJudgement
from stream.errors import Reason, Rejection
from stream.metrics import Metrics
from stream.records import Alternative, Breaking, EnrichedArticle, Feedback, ModelRef, Topic, story_id

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def article(name: str, topic: str | None = "sport", *, breaking: bool = False, event: str = "") -> EnrichedArticle:
    return EnrichedArticle(
        event_id=event or f"event of {name}",
        id=name,
        url=None,
        source=None,
        title=None,
        lang="en",
        published_at=None,
        ingested_at=NOW,
        enriched_at=NOW,
        topic=Topic(topic, None, 0.9, None if topic else "low_confidence", [Alternative("sport", 0.9)]),
        breaking=Breaking(breaking, 1.0, [], "fresh"),
        explanation=[],
        section=None,
        urgency=None,
        pubstatus=None,
        version=None,
        model=ModelRef("en", "1"),
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "about",
    [{"id": "a"}, {"event_id": "event of a"}, {"alert_id": story_id("en", "event of a")}],
    ids=lambda about: next(iter(about)),
)
def test_an_answer_is_found_by_article_event_and_alert(about: dict[str, str]) -> None:
    answers = Answers()
    answers.remember([article("z", "health"), Rejection(Reason.EMPTY, "m"), article("a")])

    assert answers.judge(Feedback(**about, topic="health")) == [TopicJudgement("en", "health", "wrong")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "right", "result"),
    [("sport", "sport", "right"), ("sport", "health", "wrong"), (None, "sport", "abstained")],
)
def test_a_topic_is_right_wrong_or_not_given(said: str | None, right: str, result: str) -> None:
    answers = Answers()
    answers.remember([article("a", said)])

    assert answers.judge(Feedback(id="a", topic=right)) == [("en", right, result)]


@pytest.mark.parametrize(("said", "right"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_flag_is_right_or_wrong(said: bool, right: bool) -> None:
    answers = Answers()
    answers.remember([article("a", breaking=said)])

    result = "right" if said == right else "wrong"
    assert answers.judge(Feedback(id="a", breaking=right)) == [("en", said, result)]


def test_each_answer_is_judged_once_for_each_thing() -> None:
    answers = Answers()
    answers.remember([article("a", breaking=True)])

    assert len(answers.judge(Feedback(id="a", topic="sport"))) == 1
    both = Feedback(event_id="event of a", topic="health", breaking=False)
    assert answers.judge(both) == [BreakingJudgement("en", True, "wrong")]
    assert answers.judge(both) == []


def test_a_withdrawal_is_left_to_the_alerts_agent() -> None:
    answers = Answers()
    answers.remember([article("a", breaking=True)])

    alert = story_id("en", "event of a")
    assert answers.judge(Feedback(alert_id=alert, withdraw=True, breaking=False)) == []


def test_of_two_with_one_id_the_newer_is_judged() -> None:
    answers = Answers(most=3)
    for topic in ("sport", "sport", "sport", "health"):  # goes round: the newest stands before the others
        answers.remember([article("a", topic, event=topic)])

    assert answers.judge(Feedback(id="a", topic="health")) == [("en", "health", "right")]


def test_what_is_old_or_was_pushed_out_is_forgotten() -> None:
    clock = Clock()
    answers = Answers(most=2, lifetime=100, clock=clock)
    answers.remember([article("a"), article("b")])
    clock.now = 99
    answers.remember([article("c")])

    assert answers.judge(Feedback(id="a", topic="sport")) == []
    assert len(answers.judge(Feedback(id="b", breaking=False))) == 1
    clock.now = 101
    assert answers.judge(Feedback(id="b", topic="sport")) == []
    assert len(answers.judge(Feedback(id="c", topic="sport"))) == 1
    assert answers.judge(Feedback(topic="sport")) == []


def test_labels_are_those_of_the_bundle() -> None:
    metrics = Metrics({"en": ["sport"]})

    metrics.judged([TopicJudgement("en", "anything", "wrong"), TopicJudgement("xx", "sport", "right")])
    metrics.judged([BreakingJudgement("en", True, "right")])

    counted = metrics.registry.get_sample_value
    assert counted("ajil_feedback_topics_total", {"lang": "en", "topic": "other", "result": "wrong"}) == 1
    assert counted("ajil_feedback_topics_total", {"lang": "other", "topic": "other", "result": "right"}) == 1
    assert counted("ajil_feedback_breaking_total", {"lang": "en", "said": "true", "result": "right"}) == 1
