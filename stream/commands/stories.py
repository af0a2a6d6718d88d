"""`ajil stories`."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import click
import msgspec

from stream.commands.classify import BATCH, _rejected
from stream.errors import Rejection, SettingError
from stream.records import ArticleRef, Headers, Place, Record, Rejected, Signal, event_id, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stream.classify import ClassifyStage
    from stream.settings import Settings
    from stream.stories import Told
    from stream.stories.agreement import Agreement

HEADERS: Headers = [("content-type", b"application/json")]


class Label(msgspec.Struct):
    """What `--evaluate` reads of a line beside the article."""

    story: str | int | float | None = None
    track: str | int | None = None
    lang: Any = None


class Filed(NamedTuple):
    """One line's answer: the rejection, or the article's signal and what it changed."""

    record: Record
    rejection: Rejection | None
    signal: Signal | None
    told: Told | None


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--evaluate", is_flag=True, help="Compare with the field `story` of each line, and print the figures.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a line was rejected.")
def command(file: BinaryIO, evaluate: bool, strict: bool) -> None:
    """File the articles of FILE, or standard input, under stories, without Kafka.

    Each line is a raw article as JSON, in the order of time; a name that ends in .gz is read as gzip. Each line of the
    output is, in the same order, the article's story: its similarity to the story it joined, the shared words that
    counted most, and the alerts that it brought; or a rejection with its reason. The clock is that of the articles
    (published_at), so an archive is told as it would have been then.

    With --evaluate, FILE carries labels and the output is BCubed and pairwise figures for each `track` (a stream of its
    own), or each `lang` where there are no tracks. Stories lost are those whose first article was filed under an older
    story, so that their alert would not have been sent.

    Exit codes: 0 done, 1 a line was rejected (with --strict), 2 a setting or FILE is wrong, 5 the model was refused.
    """
    from stream.classify import ClassifyStage, load_model
    from stream.settings import load_settings

    settings = load_settings()
    stage = ClassifyStage(load_model(settings), settings)
    # A person or a program that feeds a pipe line by line waits for each answer.
    records = _lines(file, settings.max_article_bytes)
    filed = _file(records, stage, settings, size=BATCH if file.seekable() else 1, tracks=evaluate)
    rejected = _print_figures(filed) if evaluate else _print_lines(filed)
    if strict and rejected:
        raise click.exceptions.Exit(1)


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[Record]:
    """A record of each line, with the time of its article: its own, or else that of the line before it."""
    from stream.decode import decode

    source = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if file.name.endswith(".gz") else file
    time = datetime.now(UTC)
    try:
        for at, line in enumerate(source):
            if line.strip():
                value = line.rstrip(b"\r\n")
                with suppress(Rejection):  # the classify stage will tell it
                    time = decode(value, HEADERS, max_bytes=max_bytes).published_at or time
                yield Record(Place(file.name, 0, at), time, None, value, HEADERS)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SettingError(f"{file.name} is no whole gzip file ({error}); give JSON Lines, or gzip it again") from None


def _file(
    records: Iterator[Record], stage: ClassifyStage, settings: Settings, *, size: int, tracks: bool
) -> Iterator[Filed]:
    """What the two agents make of each record, without Kafka between them; of each track apart, if asked to."""
    from stream.stories import Stories

    streams: dict[str | int | None, tuple[Stories, datetime]] = {}
    while batch := list(islice(records, size)):
        classified = stage(batch)
        signals = {
            signal.event_id: signal
            for output in classified.outputs
            if output.topic == settings.topic_signals
            and isinstance(signal := read(output.value or b"", Signal), Signal)
        }
        for record, result in zip(batch, classified.results, strict=True):
            if isinstance(result, Rejection):
                yield Filed(record, result, None, None)
                continue
            track, signal = _label(record).track if tracks else None, signals[event_id(record.place)]
            stories, now = streams.get(track) or (Stories(settings), record.timestamp)
            now = max(now, record.timestamp)
            streams[track] = stories, now
            yield Filed(record, None, signal, stories.tell(signal, now))


def _print_lines(filed: Iterable[Filed]) -> int:
    out = click.get_binary_stream("stdout")
    rejected = 0
    for each in filed:
        rejected += each.rejection is not None
        out.write(msgspec.json.encode(_line(each)) + b"\n")
        out.flush()
    return rejected


def _line(filed: Filed) -> dict[str, Any] | Rejected:
    if filed.rejection is not None:
        return _rejected(filed.record, filed.rejection)
    assert filed.signal is not None
    assert filed.told is not None
    story_id, article = _place(filed.signal, filed.told)
    return {
        "id": filed.signal.id,
        "event_id": filed.signal.event_id,
        "story_id": story_id,
        "similarity": article.similarity if article else None,
        "shared": article.shared if article else [],
        "alerts": [alert.kind for alert in filed.told.alerts if alert.story_id == story_id],
    }


def _place(signal: Signal, told: Told) -> tuple[str | None, ArticleRef | None]:
    """The article's story, and the article as the story has it; None for what changed nothing, such as a repeat."""
    for story in told.stories.values():
        for article in reversed(story.articles):
            if article.event_id == signal.event_id:
                return story.story_id, article
    return None, None


def _print_figures(filed: Iterable[Filed]) -> int:
    from stream.stories.agreement import agreement

    labels: dict[str, list[str | float]] = {}
    stories: dict[str, list[str]] = {}
    rejected = passed = 0
    for each in filed:
        if each.rejection is not None:
            rejected += 1
            told = _rejected(each.record, each.rejection)
            click.echo(f"line {told.line} rejected: {told.reason}: {told.message}", err=True)
            continue
        assert each.signal is not None
        assert each.told is not None
        label = _label(each.record)
        story_id, _ = _place(each.signal, each.told)
        if label.story is None or story_id is None:
            passed += 1
            continue
        name = str(label.track or label.lang or each.signal.lang)
        labels.setdefault(name, []).append(label.story)
        stories.setdefault(name, []).append(story_id)
    if not labels:
        raise SettingError("no line has a field `story`: give the event that each article tells of, as text or number")
    click.echo(_table({name: agreement(labels[name], stories[name]) for name in labels}))
    for count, why in ((rejected, "rejected"), (passed, "without a label, or repeats of an article")):
        if count:
            click.echo(f"passed over: {count} {why}", err=True)
    return rejected


def _table(figures: dict[str, Agreement]) -> str:
    lines = [
        f"{'':16}{'BCubed':^24}{'pairs':^24}{'lost':>8}{'stories':>9}{'labelled':>10}{'articles':>10}",
        f"{'':16}" + f"{'P':>8}{'R':>8}{'F1':>8}" * 2,
    ]
    for name, found in figures.items():
        scores = "".join(f"{100 * score:>8.1f}" for score in (*found.bcubed, *found.pairs, found.lost))
        lines.append(f"{name[:15]:16}{scores}{found.told:>9}{found.labelled:>10}{found.articles:>10}")
    return "\n".join(lines)


def _label(record: Record) -> Label:
    try:
        return msgspec.json.decode(record.value or b"", type=Label)
    except msgspec.DecodeError:
        return Label()
