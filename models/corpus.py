"""Labelled articles from files: the corpora's own format, and a user's CSV or JSON Lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["CorpusError", "Row", "files", "read"]

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz")


class CorpusError(Exception):
    """A training file cannot be read; the message names file, line and what is expected."""


class Row(NamedTuple):
    """One article; `label` is None where its desk says nothing sure, `hint` is what the desk says all the same.

    A row of an alert corpus (`alerts`) has `breaking`, None where nobody knows, and `stripped`, its text without the
    marker; `quality` says how that is known.
    """

    title: str | None
    body: str
    label: str | None
    lang: str | None = None
    source: str = ""
    hint: str | None = None
    split: str = "train"
    alerts: bool = False
    breaking: bool | None = None
    stripped: str | None = None
    quality: str = ""


def files(paths: Iterable[Path]) -> list[Path]:
    """The corpus files among `paths`, folders opened, in a fixed order; raises CorpusError when there are
    none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [p for p in sorted(path.iterdir()) if p.name.endswith(SUFFIXES)]
        elif path.exists():
            found.append(path)
        else:
            raise CorpusError(f"{path}: no such file or folder")
    if not found:
        raise CorpusError(f"no {', '.join(SUFFIXES)} file in {', '.join(map(str, paths))}")
    return found


def read(path: Path) -> list[Row]:
    """The rows of one file.

    Text comes from the columns `title` and `body`, or `text`; the label from `topic` or `label`; `lang`,
    `source` and `split` are optional (a row without `split` is for training). Raises CorpusError.
    """
    rows = []
    for number, record in _records(path):
        try:
            rows.append(_row(record))
        except (TypeError, AttributeError, KeyError) as error:
            raise CorpusError(f"{path}, row {number}: {error or type(error).__name__}") from error
    return rows


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: {error}; a corpus is UTF-8 text, plain or gzip") from error
    if path.name.removesuffix(".gz").endswith(".csv"):
        csv.field_size_limit(len(text) + 1)
        yield from enumerate(csv.DictReader(io.StringIO(text, newline="")), start=2)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise CorpusError(f"{path}, line {number}: {error}; every line is one JSON object") from error
        if not isinstance(record, dict):
            raise CorpusError(f"{path}, line {number}: not a JSON object")
        yield number, record


def _row(record: dict[str, Any]) -> Row:
    title, body, text = record.get("title"), record.get("body"), record.get("text")
    if not (title or body or text):
        raise KeyError("no title, body or text column")
    return Row(
        title=title or None,
        body=body or text or "",
        label=record.get("topic") or record.get("label") or None,
        lang=record.get("lang") or None,
        source=record.get("source") or "",
        hint=record.get("topic_hint") or None,
        split=record.get("split") or "train",
        alerts="breaking" in record,
        breaking=record.get("breaking"),
        stripped=record.get("text_stripped") or None,
        quality=record.get("label_quality") or "",
    )
