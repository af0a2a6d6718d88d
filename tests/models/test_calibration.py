"""Probabilities of one article and of many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import logistic, probabilities, softmax


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=300),
    st.floats(0.03, 1),
    st.sampled_from([0.0, 0.01, 0.1]),
)
def test_a_row_alone_is_as_probable_as_among_others(scores: list[float], temperature: float, floor: float) -> None:
    expected = softmax(np.array([scores]), temperature, floor)[0]

    assert probabilities(scores, temperature, floor) == pytest.approx(expected.tolist(), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("score", [-1e308, -745.0, -700.0, -1.0, 0.0, 3.0, 1e308])
def test_any_score_of_log_odds_is_a_probability(score: float) -> None:
    with np.errstate(over="ignore"):
        expected = float(1 / (1 + np.exp(-score)))

    assert logistic(score) == pytest.approx(expected, rel=1e-12, abs=1e-300)
