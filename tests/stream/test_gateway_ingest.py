"""`POST /v1/articles` and `/v1/feedback`: what is taken, what is refused and how, and what a repeat does."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from stream.errors import KafkaError
from stream.gateway.producer import TooLarge
from stream.gateway.repeats import Repeats
from stream.records import Feedback, Place, event_id, read
from tests.stream.gateway_server import running

JSON = {"Content-Type": "application/json"}
ALERT = "ar-" + "0" * 32


async def test_an_article_is_acknowledged_with_its_ids() -> None:
    async with running() as at:
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        sent = b'{"id": "1", "title": "Dam bursts"}'
        answer = await at.client.post("/v1/articles", data=sent, headers=JSON | {"traceparent": parent})

        assert answer.status == 202
        told = {"id": "1", "event_id": event_id(Place("news.articles.raw", 0, 0)), "partition": 0, "offset": 0}
        assert await answer.json() == {"articles": [told]}
        (output,) = at.producer.outputs
        assert (output.topic, output.key, output.value) == ("news.articles.raw", b"1", sent)
        assert output.headers == [("content-type", b"application/json"), ("traceparent", parent.encode())]


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", '[{"id": "1", "title": "أ"}, {"id": 2, "title": "B"}]'),
        ("application/json; charset=utf-8", '\ufeff [{"id": "1", "title": "أ"}, {"id": 2, "title": "B"}]'),
        ("application/x-ndjson", '{"id": "1", "title": "أ"}\r\n\n{"id": 2, "title": "B"}'),
        ("application/jsonl", '{"id": "1", "title": "أ"}\n{"id": 2, "title": "B"}\n'),
        ("application/jsonl; charset=UTF8", '{"id": "1", "title": "أ"}\n{"id": 2, "title": "B"}\n'),
    ],
)
async def test_many_articles_become_records_of_their_own(media: str, body: str) -> None:
    async with running() as at:
        answer = await at.client.post("/v1/articles", data=body.encode(), headers={"Content-Type": media})

        assert answer.status == 202
        assert [article["id"] for article in (await answer.json())["articles"]] == ["1", "2"]
        assert [output.key for output in at.producer.outputs] == [b"1", b"2"]
        assert [json.loads(output.value or b"")["title"] for output in at.producer.outputs] == ["أ", "B"]


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("text/plain; charset=windows-1256", "انفجار في المرفأ".encode("windows-1256")),
        ("text/html", b"<html><head><title>T</title></head><body><p>A dam burst in the north today.</p></body></html>"),
    ],
)
async def test_a_page_goes_as_it_is_with_its_content_type(media: str, body: bytes) -> None:
    async with running() as at:
        answer = await at.client.post("/v1/articles", data=body, headers={"Content-Type": media})

        assert answer.status == 202
        (output,) = at.producer.outputs
        assert output.value == body
        assert output.headers == [("content-type", media.encode())]


async def test_a_compressed_body_is_read() -> None:
    async with running() as at:
        body = gzip.compress(b'{"id": "1", "title": "A"}')
        answer = await at.client.post("/v1/articles", data=body, headers=JSON | {"Content-Encoding": "gzip"})
        assert answer.status == 202
        assert at.producer.outputs[0].value == b'{"id": "1", "title": "A"}'

        broken = await at.client.post("/v1/articles", data=b"no gzip", headers=JSON | {"Content-Encoding": "gzip"})
        assert broken.status == 400

        page = {"Content-Type": "text/plain"}
        text = "\n".join(f"A dam burst in valley {n}." for n in range(500)).encode()
        packed = await at.client.post(
            "/v1/articles", data=zlib.compress(text), headers=page | {"Content-Encoding": "deflate"}
        )
        assert packed.status == 202
        assert at.producer.outputs.pop().value == text
        whole = gzip.compress(text)
        for half in (whole[: len(whole) // 2], whole[:-8], b"", whole + b"more"):
            refused = await at.client.post("/v1/articles", data=half, headers=page | {"Content-Encoding": "gzip"})
            assert refused.status == 400, "half an article is none"
        bomb = gzip.compress(bytes(40 << 20))
        refused = await at.client.post("/v1/articles", data=bomb, headers=page | {"Content-Encoding": "gzip"})
        assert refused.status == 413

        for unknown in ("compress", "gzip, gzip"):
            refused = await at.client.post(
                "/v1/articles", data=b"A dam burst", headers={"Content-Type": "text/plain", "Content-Encoding": unknown}
            )
            assert (refused.status, refused.headers["Accept-Encoding"]) == (415, "gzip, deflate")
        assert len(at.producer.outputs) == 1


async def test_one_bad_article_refuses_the_request_and_each_is_told() -> None:
    async with running() as at:
        body = b'[{"id": "1", "title": "A"}, {"title": 3}, {"id": "2"}]'
        answer = await at.client.post("/v1/articles", data=body, headers=JSON)

        assert answer.status == 422
        assert answer.content_type == "application/problem+json"
        told = json.loads(await answer.read())
        assert told["detail"] == "2 of 3 articles cannot be read; none was taken"
        assert [(error["index"], error["reason"], error["field"]) for error in told["errors"]] == [
            (1, "invalid_field", "title"),
            (2, "no_text", None),
        ]
        assert at.producer.outputs == []


@pytest.mark.parametrize(
    ("status", "reason", "media", "body"),
    [
        (422, "invalid_json", "application/json", b"{broken"),
        (422, "invalid_json", "application/json", b"[{}"),
        (422, "empty", "application/json", b""),
        (422, "empty", "application/json", b"[]"),
        (422, "empty", "application/x-ndjson", b"\n\n"),
        (422, "undecodable", "text/plain", b"\xff\xfe\xfa"),
        (413, "too_large", "text/plain", b"word " * 1000),
        (413, "too_large", "application/json", b'[{"id": "1", "text": "A"}, {"title": "%b"}]' % (b"word " * 1000)),
        (415, "unsupported_content_type", "text/plain; charset=klingon", b"A dam burst"),
        (415, None, "application/x-www-form-urlencoded", b"title=A"),
        (415, None, "application/json; charset=windows-1256", b'[{"title": "A"}]'),
        (413, None, "application/x-ndjson", b"{}\n" * 1001),
        (413, None, "text/plain", b"word " * 20_000),
    ],
)
async def test_what_cannot_be_read_is_refused(status: int, reason: str | None, media: str, body: bytes) -> None:
    async with running(max_article_bytes=2000, gateway_max_request_bytes=50_000) as at:
        answer = await at.client.post("/v1/articles", data=body, headers={"Content-Type": media})

        told = json.loads(await answer.read())
        assert (answer.status, told["status"]) == (status, status)
        assert [error["reason"] for error in told.get("errors", [])][:1] == ([reason] if reason else [])
        assert at.producer.outputs == []


async def test_a_header_that_is_no_text_is_told() -> None:
    async with running() as at:
        reader, writer = await asyncio.open_connection(at.client.host, at.client.port)
        writer.write(
            b"POST /v1/articles HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: te\xffxt\r\nContent-Length: 1\r\n\r\nA"
        )
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 415 ")
        assert b'"status":415' in answer


async def test_the_same_article_again_is_not_produced_again() -> None:
    async with running() as at:

        async def send(body: str) -> dict[str, Any]:
            answer = await at.client.post("/v1/articles", data=body, headers=JSON)
            assert answer.status == 202
            return (await answer.json())["articles"][0]

        first = await send('{"id": "1", "title": "A"}')
        assert await send('{"title": "A",   "id": "1"}') == first
        assert len(at.producer.outputs) == 1
        changed = await send('{"id": "1", "title": "A", "version": 2}')
        assert changed["offset"] == 1
        # What was true once and is true again is news again.
        assert (await send('{"id": "1", "title": "A"}'))["offset"] == 2
        assert len(at.producer.outputs) == 3


async def test_one_request_with_an_article_twice_produces_it_once() -> None:
    async with running() as at:
        answer = await at.client.post("/v1/articles", data='[{"title": "A"}, {"title": "A"}]', headers=JSON)

        first, second = (await answer.json())["articles"]
        assert first == second
        assert len(at.producer.outputs) == 1


async def test_a_request_that_kafka_does_not_acknowledge_can_be_sent_again() -> None:
    async with running(gateway_produce_timeout=1) as at:
        at.producer.holding = True
        body = '[{"id": "1", "title": "A"}, {"id": "2", "title": "B"}]'
        answer = await at.client.post("/v1/articles", data=body, headers=JSON)
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0

        again = asyncio.create_task(at.client.post("/v1/articles", data=body, headers=JSON))
        await asyncio.sleep(0.05)
        at.producer.release()

        assert (await again).status == 202
        assert len(at.producer.outputs) == 2


async def test_an_article_on_its_way_is_known_however_long_kafka_is_away() -> None:
    now = [0.0]
    repeats = Repeats(seconds=600, clock=lambda: now[0])
    future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
    repeats.keep("1", b"digest", future)
    now[0] = 5000.0
    repeats.keep("2", b"digest", asyncio.get_running_loop().create_future())
    assert repeats.find("1", b"digest") is future

    future.set_result(Place("news.articles.raw", 0, 0))
    await asyncio.sleep(0)
    now[0] = 5600.0
    assert repeats.find("1", b"digest") is future
    now[0] = 5601.0
    assert repeats.find("1", b"digest") is None


async def test_without_kafka_it_says_so_at_once() -> None:
    async with running() as at:
        at.producer.ready = False
        for path in ("/v1/articles", "/v1/feedback"):
            answer = await at.client.post(path, data="{}", headers=JSON)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert (await at.client.get("/readyz")).status == 503
        assert (await at.client.get("/healthz")).status == 200


@pytest.mark.parametrize(("error", "status"), [(KafkaError("full"), 503), (TooLarge("large"), 413)])
async def test_what_kafka_refuses_is_told(error: KafkaError, status: int) -> None:
    async with running() as at:
        at.producer.error = error
        answer = await at.client.post("/v1/articles", data='{"title": "A"}', headers=JSON)
        assert answer.status == status


async def test_too_much_at_once_is_told_when_to_come_back() -> None:
    async with running(gateway_rate=0.01) as at:
        body = json.dumps([{"title": f"A {number}"} for number in range(1000)])
        assert (await at.client.post("/v1/articles", data=body, headers=JSON)).status == 202
        answer = await at.client.post("/v1/articles", data='{"title": "B"}', headers=JSON)
        assert answer.status == 429
        assert 90 <= int(answer.headers["Retry-After"]) <= 100
        # Before the body is looked at.
        assert (await at.client.post("/v1/articles", data="A", headers={"Content-Type": "a/b"})).status == 429
        assert (await at.client.post("/v1/feedback", data="{}", headers=JSON)).status == 429
        # Reading is not limited.
        assert (await at.client.get("/v1/alerts")).status == 200


async def test_feedback_is_kept_in_the_order_of_its_subject() -> None:
    async with running() as at:
        body = {"alert_id": ALERT, "breaking": False, "by": "Noor", "note": "an anniversary"}
        answer = await at.client.post("/v1/feedback", json=body)

        assert answer.status == 202
        told = await answer.json()
        (output,) = at.producer.outputs
        assert (output.topic, output.key) == ("news.feedback", b"ar")
        record = read(output.value or b"", Feedback)
        assert (record.alert_id, record.breaking, record.by, record.note) == (ALERT, False, "Noor", "an anniversary")
        assert record.given_at is not None
        assert told["given_at"] == record.given_at.isoformat().replace("+00:00", "Z")

        await at.client.post("/v1/feedback", json={"id": "7", "topic": "sport"})
        assert at.producer.outputs[-1].key == b"7"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", None),
        ("[]", None),
        (f'{{"alert_id": "{ALERT}"}}', None),
        ('{"breaking": true}', "alert_id"),
        (f'{{"alert_id": "{ALERT}", "id": "7", "breaking": true}}', "alert_id"),
        ('{"alert_id": "7", "breaking": true}', "alert_id"),
        ('{"id": "7", "breaking": "yes"}', "breaking"),
        ('{"id": "7", "topic": "Sport!"}', "topic"),
        (r'{"id": "7", "topic": "sport\n"}', "topic"),
        ('{"id": "7", "withdraw": true}', "withdraw"),
        ('{"alert_id": "summary-%s", "withdraw": true}' % ("0" * 32), "withdraw"),
        ('{"id": "7", "note": "n", "widthdraw": true}', "widthdraw"),
        ('{"id": "7", "note": "%s"}' % ("n" * 2001), "note"),
    ],
)
async def test_feedback_that_says_nothing_clear_is_refused(body: str, field: str | None) -> None:
    async with running() as at:
        answer = await at.client.post("/v1/feedback", data=body, headers=JSON)

        assert answer.status == 422
        assert [error["field"] for error in json.loads(await answer.read())["errors"]] == [field]
        assert at.producer.outputs == []


async def test_feedback_is_json() -> None:
    async with running() as at:
        answer = await at.client.post("/v1/feedback", data='{"id": "7", "note": "n"}', headers={"Content-Type": "a/b"})
        assert answer.status == 415
