"""Bundles: written whole, read only as written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.bundle import Bundle, BundleError
from models.classifier import Article, Classifier
from models.corpus import Row
from models.scorer import Scorer
from models.train import train

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    Row(title=f"{word} {number}", body=f"about {word} and more {word}", label=label, lang="en", source=source)
    for number in range(6)
    for source in ("north.example", "south.example")
    for word, label in (("harvest", "farming"), ("engine", "machines"))
]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return train(ROWS)


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    bundle.write(tmp_path / "bundle")
    return tmp_path / "bundle"


def manifest(folder: Path) -> dict[str, object]:
    return json.loads((folder / "manifest.json").read_bytes())  # type: ignore[no-any-return]


def test_a_bundle_comes_back_as_it_was_written(bundle: Bundle, folder: Path) -> None:
    again = Bundle.read(folder, sha256=bundle.sha256)

    assert again.manifest == bundle.manifest
    assert again.sha256 == bundle.sha256


def test_training_twice_gives_the_same_bytes(bundle: Bundle) -> None:
    assert train(ROWS).sha256 == bundle.sha256


def test_a_changed_part_is_refused(folder: Path) -> None:
    part = folder / "en.model"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)

    with pytest.raises(BundleError, match="not the file that the manifest lists"):
        Bundle.read(folder)


def test_a_longer_part_is_refused(folder: Path) -> None:
    with (folder / "en.model").open("ab") as file:
        file.write(b"more")

    with pytest.raises(BundleError, match="not the file that the manifest lists"):
        Bundle.read(folder)


def test_another_manifest_than_the_pinned_one_is_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match="is pinned"):
        Bundle.read(folder, sha256="0" * 64)


def test_a_file_that_the_manifest_does_not_list_is_never_read(bundle: Bundle, folder: Path) -> None:
    (folder / "fr.model").write_bytes(b"no model")

    assert Bundle.read(folder).manifest == bundle.manifest


@pytest.mark.parametrize("name", ["../en.model", "/etc/passwd", "a/b.model", ".model", "en.pickle"])
def test_a_part_outside_the_folder_is_refused(folder: Path, name: str) -> None:
    changed = manifest(folder)
    changed["parts"][name] = changed["parts"]["en.model"]  # type: ignore[index]
    (folder / "manifest.json").write_text(json.dumps(changed))

    with pytest.raises(BundleError, match="impossible part"):
        Bundle.read(folder)


def test_another_minor_version_of_scikit_learn_is_refused(folder: Path) -> None:
    changed = manifest(folder)
    changed["libraries"]["scikit-learn"] = "0.24.2"  # type: ignore[index]
    (folder / "manifest.json").write_text(json.dumps(changed))

    with pytest.raises(BundleError, match=r"scikit-learn 0\.24\.2.*install that minor version or train"):
        Bundle.read(folder)


def test_the_pipeline_in_the_bundle_decides_as_the_served_arrays_do(folder: Path) -> None:
    bundle = Bundle.read(folder)
    known = bundle.manifest.languages["en"]
    tfidf, linear = bundle.load_pipeline(known.pipeline)
    texts = [f"{row.title}\n{row.body}" for row in ROWS[:8]]

    decided = linear.decision_function(tfidf.transform(texts))

    np.testing.assert_allclose(Scorer(bundle.load(known.part)).decision(texts), decided, rtol=1e-5)


def test_a_pipeline_that_was_changed_after_reading_is_not_unpickled(folder: Path) -> None:
    bundle = Bundle.read(folder)
    path = folder / "en.joblib"
    with path.open("r+b") as file:  # the mapped file itself, as an attacker with write access would
        file.seek(100)
        file.write(b"changed")

    with pytest.raises(BundleError, match="changed after"):
        bundle.load_pipeline("en.joblib")


def test_a_bundle_that_does_not_say_what_is_usual_is_served_all_the_same(folder: Path) -> None:
    before: dict[str, object] = {"topics": {"farming": 1.0}, "confidence": [1.0], "unknown_terms": 0.1, "rows": {}}
    changed = manifest(folder)
    changed["languages"]["en"]["reference"] = before  # type: ignore[index]
    (folder / "manifest.json").write_text(json.dumps(changed))

    classifier = Classifier.load(folder)

    assert classifier.usual()["en"].full is None
    assert classifier.classify([Article("A harvest", "about a harvest and more harvest")])[0].label == "farming"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', '{"format": 2}', "not json"])
def test_a_broken_manifest_is_refused_in_one_line(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)

    with pytest.raises(BundleError) as refused:
        Bundle.read(folder)
    assert "\n" not in str(refused.value)


def test_a_missing_bundle_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.read(tmp_path / "nowhere")


def test_a_folder_that_holds_something_else_is_not_replaced(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(BundleError, match="choose another folder"):
        bundle.write(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_writing_replaces_an_older_bundle(bundle: Bundle, folder: Path) -> None:
    (folder / "old.model").write_bytes(b"from before")

    bundle.write(folder)

    assert sorted(path.name for path in folder.iterdir()) == ["en.joblib", "en.model", "manifest.json"]
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]
