"""Figures of stories against labels."""

from __future__ import annotations

import pytest

from stream.stories.agreement import agreement


def test_each_its_own_story_is_precise_and_finds_nothing() -> None:
    found = agreement(["a", "a", "b"], [1, 2, 3])

    assert found.bcubed.precision == 1
    assert found.bcubed.recall == pytest.approx(2 / 3)
    assert (found.pairs.recall, found.pairs.f1, found.lost) == (0, 0, 0)


def test_one_story_for_all_loses_every_alert_but_the_first() -> None:
    found = agreement(["a", "b", "c", "c"], [1, 1, 1, 1])

    assert found.bcubed.recall == 1
    assert found.lost == pytest.approx(2 / 3)


def test_the_first_article_of_a_story_decides_whether_it_is_lost() -> None:
    assert agreement(["a", "b", "b"], [1, 2, 1]).lost == 0
    assert agreement(["a", "b", "b"], [1, 1, 2]).lost == 0.5


def test_a_label_for_each_is_needed() -> None:
    with pytest.raises(ValueError, match="1 labels for 2"):
        agreement(["a"], [1, 2])
    with pytest.raises(ValueError, match="0 labels"):
        agreement([], [])
