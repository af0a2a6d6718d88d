"""The end-to-end bench compares like with like, and says so when it does not."""

from __future__ import annotations

import json

import msgspec
import pytest

from bench.endtoend.articles import articles
from bench.endtoend.report import report
from bench.endtoend.work import SCORERS, Work, as_record
from stream.records import EnrichedArticle
from stream.settings import Settings

MILLISECONDS = 1_767_600_000_000


def records(count):
    return [as_record("raw", 0, at, MILLISECONDS, None, value, []) for at, (_, value) in enumerate(articles(count))]


def test_articles_are_always_the_same_and_of_a_size():
    made = list(articles(20))
    assert made == list(articles(20))
    assert len({name for name, _ in made}) == 20
    for name, value in made:
        article = json.loads(value)
        assert article["id"] == name
        assert len(article["body"].split()) == 250
        assert 2_000 < len(value) < 4_500


@pytest.mark.parametrize("single", [False, True])
def test_both_scorers_do_the_same_work(single):
    def answers(scorer):
        outputs = Work(Settings(), scorer, single=single)(records(12))
        enriched = [o.value for o in outputs if o.topic == Settings().topic_enriched]
        read = [msgspec.json.decode(value, type=EnrichedArticle) for value in enriched]
        return [(a.id, a.topic.label, a.topic.reason, [t.term for t in a.explanation], a.breaking.flag) for a in read]

    ours, theirs = (answers(scorer) for scorer in SCORERS)
    assert len(ours) == 12
    assert ours == theirs


def run(way, number, per_second, lost=0):
    return {
        "kind": "throughput",
        "way": way,
        "round": number,
        "per_second": per_second,
        "cpu_ms": 1000 / per_second,
        "peak_mb": 100,
        "lost": lost,
        "repeated": 0,
    }


def test_a_ratio_is_taken_within_its_round_and_losses_are_told(capsys):
    runs = [run("Ajil", 1, 100), run("Ajil", 2, 1000), run("Faust", 1, 200), run("Faust", 2, 2000, lost=7)]
    report({"runs": runs}, None)
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| Faust"))
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[2:6] == ["1,100", "2.00", "2.750", "0.50"]
    assert cells[7] == "7, 0"
