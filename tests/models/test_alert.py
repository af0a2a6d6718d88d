"""The alert-style model and the figures it is measured by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.alert import lines_by_language, train_alert
from models.calibration import accuracy_at, calibration_error, fit_temperature, softmax, threshold_for
from models.corpus import Row
from models.outlets import macro_f1
from models.style import alert_terms


def alert(number: int) -> Row:
    text = f"Ministry: {number} drones shot down over sector {number % 7}"
    return Row(None, f"BREAKING: {text}", None, "en", "@flash", alerts=True, breaking=True, stripped=text)


def title(number: int, outlet: str) -> Row:
    return Row(f"How the museum in town {number} was saved by its visitors", "Text.", "sport", "en", outlet)


ROWS = [
    *(alert(number) for number in range(150)),
    *(title(number, outlet) for number in range(60) for outlet in ("a.example", "b.example", "c.example")),
]


def test_alerts_are_learnt_without_their_marker_and_titles_are_not_taken_for_them() -> None:
    alerts, ordinary = lines_by_language(ROWS)["en"]
    model, threshold = train_alert(alerts, ordinary)

    scores = model.predict_proba(["Ministry: 9 drones shot down over sector 2", "How the bridge was saved by children"])

    assert all("BREAKING" not in line for line in alerts)
    assert scores[0, 1] >= threshold >= 0.5 > scores[1, 1]


def test_too_few_alerts_teach_nothing() -> None:
    assert lines_by_language(ROWS[60:]) == {}


@pytest.mark.parametrize(("marked", "ordinary"), [(20, True), (200, False)])
def test_posts_of_an_account_that_marks_much_are_not_ordinary(marked: int, ordinary: bool) -> None:
    posts = [
        Row(None, f"Post {n}", None, "en", "@local", alerts=True, breaking=n < marked, stripped=f"Post {n}")
        for n in range(800)
    ]

    _, lines = lines_by_language([*ROWS, *posts])["en"]

    assert ("@local" in {outlet for outlet, _ in lines}) is ordinary


@given(st.text(max_size=2000))
def test_any_text_has_a_style(text: str) -> None:
    assert any(term.startswith("<length") for term in alert_terms(text))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=7), st.floats(0.03, 2), st.floats(0, 0.2))
def test_probabilities_add_up_and_keep_the_order(scores: list[float], temperature: float, floor: float) -> None:
    p = softmax(np.array([scores]), temperature, floor)[0]

    assert p.sum() == pytest.approx(1)
    assert p[int(np.argmax(scores))] == p.max()
    assert p.min() >= floor / len(scores) - 1e-12


def test_the_fitted_temperature_makes_confidence_honest() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 6000)
    scores = random.normal(size=(6000, 3))
    scores[np.arange(6000), truth] += 1.5

    p = softmax(scores / 4, *fit_temperature(scores / 4, truth))

    assert calibration_error(p.max(axis=1), p.argmax(axis=1) == truth) < 0.03


def test_half_the_answers_are_given_however_wrong() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6])

    assert threshold_for(confidence, np.zeros(4), 0.95) == pytest.approx(0.8)
    assert threshold_for(confidence, np.ones(4), 0.95) == pytest.approx(0.6)


def test_weight_moves_the_threshold() -> None:
    confidence, right = np.array([0.9, 0.8, 0.7]), np.array([1.0, 1.0, 0.0])

    assert threshold_for(confidence, right, 0.7) == pytest.approx(0.8)
    assert threshold_for(confidence, right, 0.7, np.array([1.0, 1.0, 0.1])) == pytest.approx(0.7)


def test_accuracy_at_coverage_looks_at_the_surest() -> None:
    confidence, right = np.array([0.2, 0.9, 0.8, 0.7, 0.1]), np.array([0, 1, 1, 1, 0])

    assert accuracy_at(confidence, right, 0.6) == 1.0
    assert accuracy_at(confidence, right, 1.0) == 0.6


def test_macro_f1_counts_the_labels_that_there_are() -> None:
    truth, answer = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 5])

    assert macro_f1(truth, answer) == pytest.approx((1 + 2 / 3) / 2)
