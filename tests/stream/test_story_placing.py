"""Which story an article is placed in."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from models.keyterms import key_terms
from stream.records import StoryMemory, StoryTerm
from stream.stories.placing import CANDIDATES, POSTINGS, Placer

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
COMMON = dict.fromkeys(["a", "the", "in", "of", "at", "to", "on", "for", "and", "is", "are", "was"], 0.8)


def article(text: str) -> list[StoryTerm]:
    return [StoryTerm(*term) for term in key_terms(None, text, COMMON)]


QUAKE = article("Quake of 6.1 shakes Tangier, hundreds sleep in the streets")
QUAKE_AGAIN = article("Hundreds in the streets of Tangier after quake of 6.1")
VOTE = article("Oslo parliament votes about fishing quotas")
TWIN = article("Quake of 4.9 shakes Izmir, schools are closed")


def test_reports_of_one_event_meet_and_say_why() -> None:
    placer = Placer("en")
    placer.open("quake", QUAKE, NOON, "one")
    placer.open("vote", VOTE, NOON, "one")

    placed = placer.place(QUAKE_AGAIN, NOON + HOUR, "two")

    assert placed.story_id == "quake"
    assert 0.3 < placed.similarity <= 1
    assert {"Tangier", "quake"} <= set(placed.shared)
    assert "the" not in placed.shared
    assert "Oslo" not in placed.shared


def test_another_event_of_the_kind_is_another_story() -> None:
    placer = Placer("en")
    placer.open("quake", QUAKE, NOON)

    placed = placer.place(TWIN, NOON)

    assert placed.story_id is None
    assert placed.similarity > 0
    assert placed.shared == []


def test_what_shares_nothing_is_like_nothing() -> None:
    placer = Placer("en")
    assert placer.place(QUAKE, NOON) == (None, 0.0, [])
    placer.open("quake", QUAKE, NOON)
    assert placer.place(VOTE, NOON) == (None, 0.0, [])
    assert placer.place([], NOON) == (None, 0.0, [])


def test_placing_changes_nothing() -> None:
    placer = Placer("en")
    placer.open("quake", QUAKE, NOON)

    assert placer.place(QUAKE_AGAIN, NOON) == placer.place(list(QUAKE_AGAIN), NOON)
    assert len(placer) == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_an_article_of_another_time_is_less_alike(sign: int) -> None:
    placer = Placer("en")
    placer.open("quake", QUAKE, NOON)
    now, later, week = (placer.place(QUAKE_AGAIN, NOON + sign * hours * HOUR) for hours in (0, 12, 7 * 24))

    assert now.similarity > later.similarity > week.similarity
    assert (now.story_id, week.story_id) == ("quake", None)


def test_a_story_lasts_while_articles_join_and_takes_what_comes_late() -> None:
    placer = Placer("en")
    placer.open("quake", QUAKE, NOON)
    for day in range(1, 5):
        placer.join("quake", QUAKE_AGAIN, NOON + timedelta(days=day))

    inside, beside = placer.place(QUAKE, NOON + 26 * HOUR), placer.place(QUAKE, NOON + timedelta(days=6))
    assert inside.similarity > 0.8
    assert beside.similarity < 0.5


def test_an_outlet_that_told_the_story_must_be_more_alike() -> None:
    placer = Placer("en")
    placer.open("quake", QUAKE, NOON, "one")

    same, other, unknown = (placer.place(QUAKE_AGAIN, NOON, source) for source in ("one", "two", None))

    assert same.similarity < other.similarity == unknown.similarity


def test_what_is_in_every_recent_article_counts_less() -> None:
    fresh, used = Placer("en"), Placer("en")
    for number in range(400):
        used.open(f"s{number}", article(f"quake tangier item{number} word{number} more{number}"), NOON - HOUR)
        used.remove(f"s{number}")
    for placer in (fresh, used):
        placer.open("quake", QUAKE, NOON)

    assert used.place(QUAKE_AGAIN, NOON).similarity < fresh.place(QUAKE_AGAIN, NOON).similarity


def test_a_removed_story_is_forgotten() -> None:
    placer = Placer("en")
    placer.open("quake", QUAKE, NOON)
    placer.join("quake", QUAKE_AGAIN, NOON)
    placer.remove("quake")
    placer.remove("never there")

    assert "quake" not in placer
    assert placer.place(QUAKE, NOON) == (None, 0.0, [])
    with pytest.raises(KeyError):
        placer.join("quake", QUAKE, NOON)
    placer.open("vote", VOTE, NOON)
    assert placer.place(VOTE, NOON).story_id == "vote"
    assert placer.place(QUAKE, NOON).story_id is None


def stream(seed: int, stories: int = 60, articles: int = 600) -> list[tuple[datetime, list[StoryTerm], str]]:
    """Articles that share words of their story and of the world."""
    chance = random.Random(seed)
    about = [[f"Name{story}x{word}" for word in range(12)] for story in range(stories)]
    told = []
    for number in range(articles):
        own = chance.sample(chance.choice(about), 4)
        world = [f"word{int(chance.paretovariate(0.8))}" for _ in range(12)]
        text = " ".join(chance.sample(own + world, 16))
        told.append((NOON + number * timedelta(minutes=3), article(text), f"outlet {number % 5}"))
    return told


def tell(placer: Placer, articles: list[tuple[datetime, list[StoryTerm], str]], prefix: str = "s") -> list[str]:
    filed = []
    for number, (at, terms, source) in enumerate(articles):
        story_id = placer.place(terms, at, source).story_id
        if story_id is None:
            story_id = f"{prefix}{number}"
            placer.open(story_id, terms, at, source)
        else:
            placer.join(story_id, terms, at, source)
        filed.append(story_id)
    return filed


def restored(placer: Placer, filed: list[str], times: list[datetime]) -> Placer:
    """A placer that was given what the first one remembers, as JSON, oldest story first."""
    last = dict(zip(filed, times, strict=True))
    other = Placer("en")
    for story_id in sorted(last, key=lambda story_id: last[story_id]):
        memory = msgspec.json.encode(placer.memory(story_id))
        assert len(memory) < 6_000
        other.restore(story_id, msgspec.json.decode(memory, type=StoryMemory), last[story_id])
    return other


def test_after_a_restart_articles_are_placed_as_before() -> None:
    articles = stream(1)
    before, after = articles[:400], articles[400:]
    placer = Placer("en")
    filed = tell(placer, before)
    other = restored(placer, filed, [at for at, _, _ in before])

    assert len(set(filed)) < 200
    same = sum(a == b for a, b in zip(tell(placer, after, "t"), tell(other, after, "t"), strict=True))
    assert same >= 0.97 * len(after)


def test_a_restored_story_is_remembered_as_it_was() -> None:
    placer = Placer("en")
    for number, (at, terms, source) in enumerate(stream(2, stories=1, articles=9)):
        (placer.join if number else placer.open)("s", terms, at, source)
    times = [at for at, _, _ in stream(2, stories=1, articles=9)]
    other = restored(placer, ["s"] * 9, times)

    assert other.memory("s") == placer.memory("s")
    assert len(placer.memory("s").members) == 6


def test_the_first_and_the_last_articles_are_remembered() -> None:
    articles = [article(f"only{number}a only{number}b only{number}c") for number in range(9)]
    placer = Placer("en")
    placer.open("s", articles[0], NOON)
    for terms in articles[1:]:
        placer.join("s", terms, NOON)

    known = [number for number, terms in enumerate(articles) if placer.place(terms, NOON).story_id == "s"]
    assert known == [0, 1, 2, 6, 7, 8]


@pytest.mark.parametrize("member", [b"", b"abc", b"abcd", b"abcd12345", b"abcd" + bytes(6), bytes(10_000)])
def test_a_damaged_memory_does_no_harm(member: bytes) -> None:
    placer = Placer("en")
    placer.restore("broken", StoryMemory(members=[member], began_at=NOON), NOON)
    placer.open("quake", QUAKE, NOON)

    assert placer.place(QUAKE, NOON).story_id == "quake"
    placer.remove("broken")


def test_a_term_of_too_many_stories_finds_the_newest() -> None:
    placer = Placer("en")
    same = article("quake tangier")
    for number in range(POSTINGS + 5):
        placer.open(f"s{number}", same, NOON)

    assert placer.place(same, NOON).story_id is not None
    for number in range(POSTINGS + 5):
        placer.remove(f"s{number}")
    assert placer.place(same, NOON) == (None, 0.0, [])


def test_the_best_of_more_candidates_than_are_compared_is_found() -> None:
    placer = Placer("en")
    for number in range(3 * CANDIDATES):
        placer.open(f"s{number}", article(f"quake tangier port{number} pier{number}"), NOON)

    assert placer.place(article("quake tangier port70 pier70"), NOON).story_id == "s70"
