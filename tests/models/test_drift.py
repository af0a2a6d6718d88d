"""Drift: told where there is some and enough to see it by, of the last day, without end and without growing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import SHIPPED, Bundle
from models.classifier import SHORT, Article, Classifier
from models.drift import FEWEST, SLOT_SECONDS, SLOTS, Seen, Window, psi
from models.usual import Bins, Shape
from tests.models.articles import ARABIC

FULL = Shape({"sport": 0.5, "health": 0.5}, Bins([0.8], [0.2, 0.8]), Bins([0.1], [0.9, 0.1]))
SHORT_ONES = Shape({"sport": 1.0}, Bins([0.6], [0.5, 0.5]), Bins([0.0], [0.5, 0.5]))


class Clock:
    def __init__(self) -> None:
        self.now = 10 * SLOT_SECONDS

    def __call__(self) -> float:
        return self.now


def full(n: int, topic: str = "sport", confidence: float = 0.9, unknown: int = 5) -> list[Seen]:
    return [(topic, confidence, 200, unknown)] * n


def usual(n: int) -> list[Seen]:
    """Articles just as `FULL` has them."""
    return [
        ("sport" if i % 2 else "health", 0.7 if i % 5 == 0 else 0.9, 200, 50 if i % 10 == 0 else 5) for i in range(n)
    ]


def test_nothing_is_said_of_too_few() -> None:
    window = Window(FULL, SHORT_ONES)

    window.add(full(FEWEST - 1))
    assert window.measure() == (FEWEST - 1, {}, {})
    window.add(full(1))
    assert set(window.measure().psi) == {"topic", "confidence", "vocabulary"}


def test_what_is_usual_is_no_drift() -> None:
    window = Window(FULL, SHORT_ONES)

    window.add(usual(1000))

    assert all(value < 1e-6 for value in window.measure().psi.values())


@pytest.mark.parametrize(
    ("feature", "odd"),
    [
        ("topic", ("sport", 0.9, 200, 5)),
        ("confidence", ("sport", 0.5, 200, 5)),
        ("vocabulary", ("sport", 0.9, 200, 90)),
        ("topic", ("weather", 0.9, 200, 5)),
    ],
)
def test_each_feature_is_seen_to_drift(feature: str, odd: Seen) -> None:
    window = Window(FULL, SHORT_ONES)

    window.add([*usual(500), *[odd] * 500])

    assert window.measure().psi[feature] > 0.1


def test_a_day_with_more_flashes_is_no_drift() -> None:
    window = Window(FULL, SHORT_ONES)
    short: list[Seen] = [("sport", 0.5 + 0.2 * (i % 2), SHORT - 1, i % 2) for i in range(1000)]

    window.add([*usual(200), *short])

    drift = window.measure()
    assert all(value < 1e-6 for value in drift.psi.values())
    assert drift.topics["sport"] == pytest.approx((1100 / 1200, 1100 / 1200))


def test_the_window_forgets_after_a_day_and_does_not_grow() -> None:
    clock = Clock()
    window = Window(FULL, SHORT_ONES, clock)
    for _ in range(3 * SLOTS):
        window.add(full(FEWEST))
        clock.now += SLOT_SECONDS

    assert window.measure().articles == (SLOTS - 1) * FEWEST
    assert len(window._slots) == SLOTS - 1

    clock.now += SLOTS * SLOT_SECONDS
    assert window.measure() == (0, {}, {})


def test_with_the_fewest_articles_chance_alone_is_rarely_taken_for_drift() -> None:
    random = np.random.default_rng(7)
    even = dict.fromkeys(range(10), FEWEST / 10)

    values = [psi(dict(enumerate(random.multinomial(FEWEST, [0.1] * 10).tolist())), even) for _ in range(1000)]

    assert np.quantile(values, 0.995) < 0.1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_bins_have_every_value_and_shares_of_one(values: list[float]) -> None:
    bins = Bins.of(np.array(values), np.ones(len(values)))

    assert len(bins.shares) == len(bins.edges) + 1
    assert sum(bins.shares) == pytest.approx(1, abs=0.001)
    assert bins.edges == sorted(set(bins.edges))
    counted = np.bincount([bins.index(value) for value in values], minlength=len(bins.shares)) / len(values)
    assert counted == pytest.approx(bins.shares, abs=0.001)


def test_a_share_of_few_words_is_counted_in_the_bin_that_it_made() -> None:
    """Edges are rounded, and few words have few shares: a ninth and a third of them lie at edges."""
    shares = [(words, unknown) for words in range(3, 13) for unknown in range(words // 2 + 1)] * 100
    bins = Bins.of(np.array([unknown / words for words, unknown in shares]), np.ones(len(shares)))
    window = Window(FULL, Shape({"sport": 1.0}, SHORT_ONES.confidence, bins))

    window.add([("sport", 0.5, words, unknown) for words, unknown in shares])

    assert window.measure().psi["vocabulary"] < 0.001


@pytest.mark.parametrize("edge", [1 / 12, 1 / 7, 1 / 6, 2 / 3])
def test_a_share_that_is_an_edge_is_served_in_the_bin_that_it_was_counted_in(edge: float) -> None:
    bins = Bins.of(np.array([0.0] * 5 + [edge] * 5 + [1.0] * 5), np.ones(15))

    assert bins == Bins([0.0, round(edge, 6)], [0.3333, 0.3333, 0.3333])
    assert bins.index(edge) == 1


@pytest.mark.parametrize("lang", ["ar", "en", "fr"])
def test_the_shipped_bundle_says_what_is_usual(lang: str) -> None:
    known = Bundle.read(SHIPPED).manifest.languages[lang]

    for shape in (known.reference.full, known.reference.short):
        assert shape is not None
        assert set(shape.topics) == set(known.labels)
        for bins in (shape.confidence, shape.vocabulary):
            assert len(bins.edges) >= 3
            assert max(bins.shares) < 0.8


def test_a_verdict_says_how_many_words_the_model_lacks() -> None:
    known, odd = Classifier.load().classify(
        [Article(None, ARABIC["sport"][0]), Article(None, ARABIC["sport"][0] + " زقزوقلش طمطمبخ")]
    )

    assert known.words + 2 == odd.words
    assert known.unknown + 2 == odd.unknown
