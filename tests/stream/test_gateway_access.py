"""Who may do what at the gateway: tokens, cookies, foreign pages and hosts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from stream.errors import SettingError
from stream.gateway.access import Access
from stream.gateway.tokens import Tokens
from stream.settings import Settings
from tests.stream.gateway_server import Running, running

if TYPE_CHECKING:
    from pathlib import Path

PUBLISH, READ, ALL = "p" * 20, "r" * 20, "a" * 20
ARTICLE = {"data": '{"title": "A"}', "headers": {"Content-Type": "application/json"}}


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    digest = hashlib.sha256(ALL.encode()).hexdigest()
    file = tmp_path / "tokens"
    file.write_text(
        f"# who\n\nwire:publish:{PUBLISH}\nwall:read:{READ}\ndesk:publish, read,feedback:sha256:{digest}\n",
        encoding="utf-8",
    )
    return file


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def publish(at: Running, **headers: str) -> int:
    told: dict[str, Any] = ARTICLE | {"headers": ARTICLE["headers"] | headers}  # type: ignore[operator]
    return (await at.client.post("/v1/articles", **told)).status


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no token"),
        ("desk", "line 1: not NAME:SCOPES:TOKEN"),
        ("# a\ndesk:read:short", "line 2: the token has under 16 characters"),
        (f"desk:write:{ALL}", "scopes are feedback, publish, read"),
        (f"desk:read:{ALL}\ndesk:read:{READ}", "line 2: a second token named desk"),
        ("desk:read:sha256:ab", "64 hexadecimal digits"),
        (f"a.b:read:{ALL}", "not NAME:SCOPES:TOKEN"),
    ],
)
def test_a_wrong_tokens_file_is_refused_without_showing_it(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(SettingError) as refused:
        Tokens.read(file)

    assert told in str(refused.value)
    assert not {"short", ALL, READ} & set(str(refused.value).split())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "news.example.org", "::"])
def test_strangers_are_not_let_write(host: str, tokens: Path) -> None:
    with pytest.raises(SettingError, match="AJIL_GATEWAY_TOKENS_FILE"):
        Access(Settings(gateway_host=host))
    Access(Settings(gateway_host=host, gateway_tokens_file=tokens))


async def test_a_token_may_do_what_its_scopes_say(tokens: Path) -> None:
    async with running(gateway_tokens_file=tokens) as at:
        assert await publish(at) == 401
        assert await publish(at, Authorization="Bearer nobody knows") == 401
        assert await publish(at, Authorization=f"Basic {PUBLISH}") == 401
        assert await publish(at, **bearer(READ)) == 403
        assert await publish(at, **bearer(PUBLISH)) == 202
        assert await publish(at, **bearer(ALL)) == 202
        for path in ("/v1/alerts", "/v1/alerts/stream", "/v1/alerts.atom", "/v1/stories", "/v1/stories/x"):
            refused = await at.client.get(path)
            assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert (await at.client.get(path, headers=bearer(PUBLISH))).status == 403
        assert (await at.client.get("/v1/alerts", headers=bearer(READ))).status == 200
        for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert (await at.client.get(path)).status in (200, 404)


async def test_reading_can_be_for_everybody(tokens: Path) -> None:
    async with running(gateway_tokens_file=tokens, gateway_public_read=True) as at:
        assert (await at.client.get("/v1/alerts")).status == 200
        assert await publish(at) == 401


async def test_a_browser_exchanges_its_token_for_a_cookie(tokens: Path) -> None:
    async with running(gateway_tokens_file=tokens) as at:
        assert await (await at.client.get("/v1/session")).json() == {"name": None, "scopes": []}
        assert (await at.client.post("/v1/session")).status == 401
        opened = await at.client.post("/v1/session", headers=bearer(ALL))
        assert await opened.json() == {"name": "desk", "scopes": ["feedback", "publish", "read"]}
        cookie = opened.headers["Set-Cookie"]
        assert ALL not in cookie
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Secure" not in cookie
        kept = {"Cookie": cookie.partition(";")[0]}
        at.client.session.cookie_jar.clear()
        assert (await at.client.post("/v1/session", headers=kept)).status == 401

        assert (await at.client.get("/v1/alerts", headers=kept)).status == 200
        feedback = await at.client.post("/v1/feedback", json={"id": "7", "note": "n", "by": "Noor"}, headers=kept)
        assert feedback.status == 202
        assert b'"by":"desk/Noor"' in (at.producer.outputs[-1].value or b"")
        assert (await at.client.get("/v1/alerts", headers={"Cookie": kept["Cookie"][:-1] + "x"})).status == 401
        closed = await at.client.delete("/v1/session")
        assert 'ajil-session=""' in closed.headers["Set-Cookie"]

        through_proxy = await at.client.post("/v1/session", headers=bearer(ALL) | {"X-Forwarded-Proto": "https"})
        assert "Secure" in through_proxy.headers["Set-Cookie"]


def test_a_cookie_ends_with_its_time_and_its_token() -> None:
    known = {"desk": (frozenset({"read"}), hashlib.sha256(b"one").digest())}
    cookie = Tokens(known).cookie("desk", until=100)

    assert Tokens(known).caller_of_cookie(cookie, now=99) is not None
    assert Tokens(known).caller_of_cookie(cookie, now=100) is None
    assert Tokens(known).caller_of_cookie(cookie.replace(".100.", ".999."), now=99) is None
    assert Tokens({"desk": (frozenset(), hashlib.sha256(b"two").digest())}).caller_of_cookie(cookie, now=99) is None
    assert Tokens({}).caller_of_cookie(cookie, now=99) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": "http://{own}"}, 202),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({"Origin": "https://friend.example"}, 202),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://[broken"}, 403),
    ],
)
async def test_foreign_pages_may_not_write(headers: dict[str, str], status: int) -> None:
    async with running(gateway_origins="https://friend.example, https://other.example") as at:
        own = f"{at.client.host}:{at.client.port}"
        assert await publish(at, **{name: value.format(own=own) for name, value in headers.items()}) == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8090", 200),
        ("localhost", 200),
        ("[::1]:8090", 200),
        ("news.example.org", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1:port", 421),
        ("[broken", 421),
    ],
)
async def test_a_name_that_was_bent_to_this_machine_is_refused(host: str, status: int) -> None:
    async with running(gateway_hosts="News.example.org") as at:
        answer = await at.client.get("/v1/alerts", headers={"Host": host})
        assert answer.status == status


async def test_a_host_that_is_none_is_refused_everywhere(tokens: Path) -> None:
    async with running(gateway_host="192.0.2.1", gateway_tokens_file=tokens) as at:
        answer = await at.client.get("/v1/alerts.atom", headers=bearer(READ) | {"Host": "news.example.org:port"})
        assert answer.status == 400


async def test_cors_is_answered_for_those_named_only() -> None:
    async with running(gateway_origins="https://friend.example") as at:
        asked = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
        preflight = await at.client.options("/v1/articles", headers=asked)
        assert preflight.status == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://friend.example"
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in preflight.headers
        friend = await at.client.get("/v1/alerts", headers={"Origin": "https://friend.example"})
        assert friend.headers["Access-Control-Allow-Origin"] == "https://friend.example"
        stranger = await at.client.get("/v1/alerts", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in stranger.headers
        assert "Origin" in stranger.headers["Vary"]


async def test_every_answer_carries_the_security_headers() -> None:
    async with running() as at:
        for path in ("/v1/alerts", "/nowhere", "/", "/v1/alerts/stream"):
            answer = await at.client.get(path)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert "aiohttp" not in answer.headers["Server"]
            answer.close()
