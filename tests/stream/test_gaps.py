"""Which gaps cost a question, and which are losses."""

from __future__ import annotations

from typing import Any

import structlog

from stream.gaps import ASK_SECONDS, MARKERS, Gaps
from stream.metrics import Metrics

RAW = ("raw", 0)


class Log:
    """A consumer that knows where the log starts, and counts the questions."""

    low = 0
    asked = 0

    def get_watermark_offsets(self, place: Any, **_: Any) -> tuple[int, int]:
        self.asked += 1
        return self.low, 1_000_000


class Reading:
    def __init__(self) -> None:
        self.log, self.metrics, self.now = Log(), Metrics(), 100.0
        log = structlog.get_logger()
        self.gaps = Gaps(self.log, self.metrics, log, clock=lambda: self.now)
        self.gaps.start(RAW, 0)

    def read(self, *offsets: int) -> None:
        self.gaps.read(RAW, offsets)
        self.gaps.settle()

    @property
    def lost(self) -> float:
        return self.metrics.registry.get_sample_value("ajil_records_lost_total", {"topic": "raw"}) or 0.0


def test_a_topic_without_gaps_costs_no_question() -> None:
    reading = Reading()
    for first in range(0, 1000, 10):
        reading.read(*range(first, first + 10))
    assert reading.log.asked == 0


def test_markers_of_transactions_cost_one_question_in_a_while() -> None:
    reading = Reading()
    for first in range(0, 5 * MARKERS, 5):  # four records and a marker
        reading.read(*range(first, first + 4))
        reading.now += ASK_SECONDS / 50
    assert reading.log.asked == 2
    assert reading.lost == 0


def test_a_loss_within_a_batch_is_counted() -> None:
    reading = Reading()
    reading.log.low = 40
    reading.read(0, 1, 40, 41)
    assert reading.lost == 38


def test_a_loss_behind_a_marker_is_counted_at_the_next_question() -> None:
    reading = Reading()
    reading.read(0, 1, 3)
    reading.log.low = 20
    reading.read(20, 21)
    assert reading.lost == 0
    reading.now += ASK_SECONDS
    reading.read(22)
    assert reading.lost == 16


def test_a_large_gap_is_asked_about_at_once() -> None:
    reading = Reading()
    reading.read(0, 2)
    reading.log.low = 1000
    reading.read(1000)
    assert reading.lost == 997


def test_what_is_not_known_yet_is_asked_when_the_partition_goes() -> None:
    reading = Reading()
    reading.read(0, 2)
    reading.log.low = 20
    reading.read(20)
    reading.gaps.end(RAW)
    assert reading.lost == 17


def test_records_held_back_for_a_while_are_no_gap() -> None:
    reading = Reading()
    reading.read(0, 1, 2, 3)
    reading.read(2, 3, 4)
    assert reading.log.asked == 0


def test_records_held_back_before_the_end_leave_the_markers_behind_them_nothing_that_waits() -> None:
    reading = Reading()
    reading.read(0, 1, 2, 3)
    reading.gaps.read_end(RAW, 5)
    reading.read(2, 3)
    assert reading.gaps.behind(RAW, 2) == 2
    assert reading.gaps.behind(RAW, 4) == 5


def test_a_loss_in_a_batch_that_is_read_again_is_counted_once() -> None:
    reading = Reading()
    reading.log.low = 40
    reading.read(0, 1, 40, 41)
    reading.gaps.start(RAW, 0)
    reading.now += ASK_SECONDS
    reading.read(0, 1, 40, 41)
    assert reading.lost == 38
    reading.log.low = 60
    reading.now += ASK_SECONDS
    reading.read(60)
    assert reading.lost == 38 + 18


def test_a_loss_that_was_not_known_yet_when_its_batch_was_read_again_is_counted_once() -> None:
    reading = Reading()
    reading.read(0, 2)
    reading.log.low = 20
    reading.read(20)
    reading.gaps.start(RAW, 3)
    reading.read(20)
    reading.now += ASK_SECONDS
    reading.read(21)
    assert reading.lost == 17


def test_markers_behind_the_last_record_are_nothing_that_waits() -> None:
    reading = Reading()
    reading.read(0, 1)
    reading.gaps.read_end(RAW, 4)
    assert reading.gaps.behind(RAW, 1) == 1, "the record at 1 is not committed"
    assert reading.gaps.behind(RAW, 2) == 4
    reading.read(4)
    assert reading.gaps.behind(RAW, 2) == 2
    assert reading.gaps.behind(RAW, 5) == 5
    assert reading.lost == 0


def test_records_deleted_before_the_end_are_counted_though_none_follows() -> None:
    reading = Reading()
    reading.read(0, 1)
    reading.log.low = 9
    reading.gaps.read_end(RAW, 9)
    reading.gaps.settle()
    assert reading.lost == 7
    reading.read(9)
    assert reading.lost == 7


def test_an_end_of_a_partition_that_is_gone_means_nothing() -> None:
    reading = Reading()
    reading.gaps.end(RAW)
    reading.gaps.read_end(RAW, 9)
    assert reading.log.asked == 0
