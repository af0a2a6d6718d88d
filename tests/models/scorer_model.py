"""A small model with hostile edges, and scikit-learn's answer to it: what the scorer's tests and its fuzzer share."""

from __future__ import annotations

import os
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from sklearn.feature_extraction.text import TfidfVectorizer

from models.explain import Term, explain
from models.export import from_pipeline
from models.scorer import NATIVE
from models.text import terms, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.arrays import Arrays

NEEDS_KERNEL = pytest.mark.skipif(
    not NATIVE and os.environ.get("CI") != "true", reason="the kernel is not built: it needs a C compiler"
)
"""Where everything must be there, a missing kernel fails."""

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SENTENCES = [
    "أعلن وزير الاقتصاد أن الحكومة سترفع ميزانية التعليم، وأن المدارس تفتح أبوابها يوم 14 سبتمبر.",
    "قال المدرب إن الفريق فاز بالمباراة النهائية بثلاثة أهداف والجمهور يحتفل في الشوارع.",
    "والمستشفيات تستقبل المصابين؛ للمرضى أطباؤهم ومدرسوهم ومهندسوها ولاعبوها وكتابها",
    "The central bank kept its interest rate at 4.5 percent for the 3rd month of 2026, its governor said.",
    "Le gouvernement a présenté hier son budget à l'Assemblée ; les élus de l'opposition s'y opposent.",
    "Ο Σίσυφος ἐν ᾅδῃ, İstanbul'da ΣΊΣΥΦΟΣ ǅungla ﬁne ﷺ ① ⑴ ❶ x² ½ Ⅷ 𝟙𝟚 १२ 一二三 漢字 ひらがな 한국어 עברית",
    "the rate the rate the rate of the bank of the banks, whose boss's basis is a bonus; gas gass s ss sss ssss",
    "0 00 000 0000 00000 000000 1 12 123 1234 12345 123456 1234567 1234567890123 " + "9" * 40,
    "و وا وال والد والده والدها الللل لللل بالات كالون يهيه هاهانات انانانان اتاتاتات ينيهها وووووو",
    "a" * 31 + " " + "b" * 32 + " " + "c" * 33 + " " + "ال" + "م" * 40 + "ها",
    "d" * 31 + "s " + "e" * 32 + "s " + "f" * 33 + "s المدرسs abcي والs 12345s ＲＡＴＥＳ ßſs ratés ΑΒΓs Banks",
]
"""Affixes upon affixes, plurals, letters that fold to others, words at and over the longest, numbers of every class."""


def marks(text: str) -> list[str]:
    """Terms beside the words, as an alert's style has them."""
    found = words(text)
    ends = [f"<first {found[0]}>", f"<last {found[-1]}>"] if found else []
    return [f"<length {min(len(found) // 3, 8)}>", "<colon>" if ":" in text else "<no colon>", *ends]


def terms_and_marks(text: str) -> list[str]:
    return terms(text) + marks(text)


@lru_cache
def pipeline(classes: int, *, styled: bool = False) -> tuple[TfidfVectorizer, Any]:
    """A vectorizer and random weights. Two thirds of the terms are known, so that some pairs are whose words are not,
    and some are left out at random."""
    random = np.random.default_rng(classes)
    analyzer = terms_and_marks if styled else terms
    seen = sorted({term for sentence in SENTENCES for term in analyzer(sentence)})
    known = [term for term in seen if random.random() < 2 / 3]
    tfidf = TfidfVectorizer(analyzer=analyzer, vocabulary=known, sublinear_tf=True).fit(SENTENCES)
    weight = random.normal(size=(classes, len(known))).astype(np.float16).astype(np.float32)
    return tfidf, SimpleNamespace(coef_=weight, intercept_=random.normal(size=classes))


@lru_cache
def arrays(classes: int, *, styled: bool = False) -> Arrays:
    return from_pipeline(*pipeline(classes, styled=styled))


def expected(tfidf: TfidfVectorizer, linear: Any, texts: Sequence[str]) -> tuple[Any, list[int], list[list[Term]]]:
    """scikit-learn's decision values in double precision, the number of known terms, and models.explain's terms."""
    X = tfidf.set_params(dtype=np.float64).transform(texts)
    decision = X @ linear.coef_.T.astype(np.float64) + linear.intercept_
    names = tfidf.get_feature_names_out()
    explained = []
    for row, text in enumerate(texts):
        best = np.argsort(-decision[row], kind="stable")
        weight = linear.coef_[best[0]] - linear.coef_[best[1]] if len(best) > 1 else linear.coef_[0]
        explained.append(explain(text, X[[row]], names, weight))
    return decision, np.diff(X.indptr).tolist(), explained
