"""What a bundle is worth on labelled rows: the figures of the model card, by language and outlet."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from models.calibration import accuracy_at, calibration_error
from models.classifier import Article, Classifier, Verdict
from models.outlets import macro_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.corpus import Row

__all__ = ["evaluate", "held_out"]

_BATCH = 500


def held_out(rows: Sequence[Row]) -> list[Row]:
    """The rows that are not for training; all of them where there are no others."""
    return [row for row in rows if row.split != "train"] or list(rows)


def evaluate(
    classifier: Classifier, rows: Sequence[Row], on_step: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Figures of `classifier` on `rows`; `on_step` hears how many more rows are done.

    ``topics``: language -> outlet -> ``full`` and ``title`` -> macro_f1 (over the labels that the outlet has),
    accuracy, at_80 (accuracy on the surest 80%), calibration_error, answered (share), right (accuracy of those), rows.
    ``breaking``: how many are flagged of the ordinary articles and titles, and of the rows of alert corpora by kind.
    """
    topics: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    asked = defaultdict(list)
    for row in rows:
        if row.label and not row.alerts and (row.lang is None or row.lang in classifier.languages):
            asked[row.lang or "any", row.source or "any"].append(row)
    flagged: dict[str, list[bool]] = defaultdict(list)
    for (lang, outlet), mine in sorted(asked.items()):
        full = _classify(classifier, [Article(row.title, row.body) for row in mine], on_step)
        topics[lang][outlet]["full"] = _figures(mine, full)
        flagged[f"{lang} ordinary articles"] += [verdict.breaking.flag for verdict in full]
        titled = [row for row in mine if row.title]
        if titled:
            titles = _classify(classifier, [Article(row.title, "") for row in titled], on_step)
            topics[lang][outlet]["title"] = _figures(titled, titles)
            flagged[f"{lang} ordinary titles"] += [verdict.breaking.flag for verdict in titles]
    alerts = [row for row in rows if row.alerts and row.breaking is not None]
    verdicts = _classify(classifier, [Article(row.title, row.body) for row in alerts], on_step)
    for row, verdict in zip(alerts, verdicts, strict=True):
        name = f"{row.lang} {'alerts' if row.breaking else 'no alerts'}: {row.quality.replace('_', ' ')}"
        flagged[name].append(verdict.breaking.flag)
    return {
        "topics": {lang: dict(outlets) for lang, outlets in topics.items()},
        "breaking": {
            name: {"flagged": sum(flags), "rows": len(flags), "share": round(sum(flags) / len(flags), 4)}
            for name, flags in flagged.items()
            if flags
        },
    }


def _classify(classifier: Classifier, articles: list[Article], on_step: Callable[[int], None]) -> list[Verdict]:
    verdicts = []
    for start in range(0, len(articles), _BATCH):
        verdicts += classifier.classify(articles[start : start + _BATCH])
        on_step(len(articles[start : start + _BATCH]))
    return verdicts


def _figures(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> dict[str, float]:
    labels = sorted({row.label or "" for row in rows} | {v.alternatives[0].label for v in verdicts if v.alternatives})
    truth = np.array([labels.index(row.label or "") for row in rows])
    # A text whose language was not recognised has no answer: it counts as wrong.
    answer = np.array([labels.index(v.alternatives[0].label) if v.alternatives else -1 for v in verdicts])
    confidence = np.array([verdict.confidence for verdict in verdicts])
    answered = np.array([verdict.label is not None for verdict in verdicts])
    right = answer == truth
    figures = {
        "macro_f1": macro_f1(truth, answer),
        "accuracy": float(right.mean()),
        "at_80": accuracy_at(confidence, right, 0.8),
        "calibration_error": calibration_error(confidence, right),
        "answered": float(answered.mean()),
        "right": float(right[answered].mean()) if answered.any() else 0.0,
    }
    return {name: round(value, 4) for name, value in figures.items()} | {"rows": len(rows)}
