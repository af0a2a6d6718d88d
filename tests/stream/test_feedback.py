from datetime import UTC, datetime

import pytest

from stream.feedback import FeedbackStage
from stream.records import Feedback, Place, Record, Withdrawal, encode, read_signal
from stream.settings import Settings

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ALERT = "ar-" + "1f" * 16


def record(value: bytes | None) -> Record:
    return Record(Place("news.feedback", 0, 7), NOW, b"k", value, ())


def heard(value: bytes | None) -> tuple[dict[str, int], list[Withdrawal]]:
    results, _, outputs = FeedbackStage(Settings(), lambda: NOW)([record(value)])
    withdrawals = [read_signal(output.value or b"") for output in outputs]
    assert [output.key for output in outputs] == [b"ar"] * len(outputs)
    assert {output.topic for output in outputs} <= {"news.signals"}
    return {name: n for name, n in results.items() if n}, [w for w in withdrawals if isinstance(w, Withdrawal)]


def test_a_withdrawal_goes_to_the_language_of_its_alert() -> None:
    results, withdrawals = heard(encode(Feedback(alert_id=ALERT, withdraw=True, by="desk", note="a drill")))
    assert results == {"withdrawn": 1}
    assert withdrawals == [Withdrawal(alert_id=ALERT, by="desk", note="a drill", given_at=NOW)]


def test_a_withdrawal_never_grows_beyond_its_note() -> None:
    (withdrawal,) = heard(encode(Feedback(alert_id=ALERT, withdraw=True, by="b" * 9_000, note="n" * 900_000)))[1]
    assert (withdrawal.by, withdrawal.note) == ("b" * 1_000, "n" * 1_000)


def test_what_is_said_of_an_article_is_noted() -> None:
    assert heard(encode(Feedback(id="1", topic="sport"))) == ({"noted": 1}, [])


@pytest.mark.parametrize(
    "value",
    [None, b"", b"[]", b'{"withdraw": true}', b'{"withdraw": true, "alert_id": "../x"}', b'{"topic": 7}', b"\xff"],
)
def test_what_cannot_be_read_is_counted_and_stops_nothing(value: bytes | None) -> None:
    assert heard(value) == ({"invalid": 1}, [])
