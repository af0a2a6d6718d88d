"""What an article costs: the scorer as scikit-learn, as numpy and compiled, and all of `ajil classify`.

    python -m bench.scorer [FILE_OR_FOLDER...]

Every figure is the least of several rounds in which all ways take turns, CPU time of one thread unless it says
otherwise; the ratios are the claim, not the microseconds. Without files, texts of about 250 words are put together from
the sentences of the demo's articles.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from models.bundle import SHIPPED, Bundle
from models.corpus import files, read
from models.explain import explain
from models.furniture import clean
from models.reference import Reference
from models.scorer import NATIVE, Scorer
from stream.classify import ClassifyStage, load_model
from stream.errors import Rejection
from stream.records import Place, Record, encode
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

Score = Callable[[Sequence[Any]], Any]

TEXTS = 256
BATCHES = (1, 32, 256)
ROUNDS = 7
WORDS = 250
DEMO = Path(__file__).parent.parent / "stream" / "demo" / "articles.jsonl"


def demo_texts(lang: str) -> list[str]:
    """Texts of about 250 words of one language, always the same."""
    records = [json.loads(line) for line in DEMO.read_text(encoding="utf-8").splitlines()]
    articles = [record["article"] for record in records if record.get("article", {}).get("lang") == lang]
    sentences = [part for article in articles for part in re.split(r"(?<=[.؟!])\s+", article.get("body") or "") if part]
    chance = random.Random(lang)  # noqa: S311
    texts = []
    for _ in range(TEXTS):
        text: list[str] = []
        while sum(len(part.split()) for part in text) < WORDS:
            text.append(chance.choice(sentences))
        texts.append(" ".join(text))
    return texts


def corpus_texts(paths: Iterable[Path], lang: str) -> list[str]:
    """Texts of 200 to 300 words, drawn from files."""
    rows = [clean(row.title, row.body).text for path in files(paths) for row in read(path) if row.lang == lang]
    fitting = [text for text in rows if 200 <= len(text.split()) <= 300]
    return random.Random(lang).sample(fitting, min(TEXTS, len(fitting)))  # noqa: S311


def in_batches(score: Score, texts: Sequence[Any], size: int) -> None:
    """Score all of `texts`."""
    for start in range(0, len(texts), size):
        score(texts[start : start + size])


def cost(ways: dict[str, Score], texts: Sequence[Any], size: int) -> dict[str, float]:
    """Way -> microseconds of CPU an article."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for way, score in ways.items():
            in_batches(score, texts, size)  # each way with its own data in the caches, not with the other's
            start = time.thread_time()
            in_batches(score, texts, size)
            least[way] = min(least[way], (time.thread_time() - start) / len(texts) * 1e6)
    return least


def speed_up(score: Score, texts: Sequence[str], size: int) -> float:
    """Articles a second of two threads over those of one, wall time; each has its own half."""
    least = {1: float("inf"), 2: float("inf")}
    many = list(texts) * 20
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            for threads in least:
                share = len(many) // threads
                start = time.perf_counter()
                list(pool.map(lambda i, n=share: in_batches(score, many[i * n : (i + 1) * n], size), range(threads)))
                least[threads] = min(least[threads], time.perf_counter() - start)
    return least[1] / least[2]


def explained(reference: Reference) -> Score:
    """scikit-learn's decision with the explanation of each text."""
    names = reference.tfidf.get_feature_names_out()

    def score(texts: Sequence[str]) -> None:
        X = reference.transform(texts)
        decision = X @ reference.weight + reference.intercept
        for row, text in enumerate(texts):
            best, second = np.argsort(-decision[row], kind="stable")[:2]
            explain(text, X[row], names, reference.weight[:, best] - reference.weight[:, second])

    return score


def whole_path(lang: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of `ajil classify` and of the classify agent, without Kafka: bytes in, bytes out."""
    settings = Settings()
    stage = ClassifyStage(load_model(settings), settings)
    now = datetime.now(UTC)
    records = [
        Record(
            Place("bench", 0, at),
            now,
            None,
            json.dumps({"title": text[:60], "body": text}, ensure_ascii=False).encode(),
            [],
        )
        for at, text in enumerate(texts)
    ]

    def classify(batch: Sequence[Record]) -> list[bytes]:
        return [encode(result) for result in stage.results(batch) if not isinstance(result, Rejection)]

    return [
        {
            "lang": lang,
            "work": "decode, classify, encode",
            "batch": size,
            "way": "ajil classify",
            "microseconds": round(cost({"": classify}, records, size)[""], 1),
        }
        for size in (1, 64)
    ]


def measure(lang: str, bundle: Bundle, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of one language."""
    arrays = bundle.load(bundle.manifest.languages[lang].part)
    reference = Reference.of(arrays)
    scorers = {"numpy": Scorer(arrays, native=False)} | ({"native": Scorer(arrays)} if NATIVE else {})
    plain: dict[str, Score] = {"scikit-learn": reference.decision}
    plain |= {way: scorer.decision for way, scorer in scorers.items()}
    full: dict[str, Score] = {"scikit-learn": explained(reference)}
    full |= {way: scorer.score for way, scorer in scorers.items()}
    rows = []
    for name, ways in (("decision", plain), ("decision and explanation", full)):
        for size in BATCHES:
            least = cost(ways, texts, size)
            for way, microseconds in least.items():
                rows.append(
                    {
                        "lang": lang,
                        "work": name,
                        "batch": size,
                        "way": way,
                        "microseconds": round(microseconds, 1),
                        "times_faster": round(least["scikit-learn"] / microseconds, 1),
                    }
                )
    for way, scorer in scorers.items():
        for size in BATCHES[1:]:
            rows.append(
                {
                    "lang": lang,
                    "work": "two threads over one",
                    "batch": size,
                    "way": way,
                    "times_faster": round(speed_up(scorer.decision, texts, size), 2),
                }
            )
    return rows


@click.command()
@click.argument("data", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(data: tuple[Path, ...], output: Path | None) -> None:
    """Measure the scorer."""
    bundle, rows = Bundle.read(SHIPPED), []
    print(f"{'lang':5}{'work':26}{'batch':>6}  {'way':14}{'µs':>9}{'times':>8}")
    for lang in bundle.manifest.languages:
        texts = corpus_texts(data, lang) if data else demo_texts(lang)
        if not texts:
            print(f"{lang:5}no texts of 200 to 300 words")
            continue
        for row in [*measure(lang, bundle, texts), *whole_path(lang, texts)]:
            rows.append(row)
            cells = f"{row['lang']:5}{row['work']:26}{row['batch']:>6}  {row['way']:14}"
            print(f"{cells}{row.get('microseconds', ''):>9}{row.get('times_faster', ''):>8}", flush=True)
    if output:
        output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
