"""Subscriptions without Kafka: the file, the filters, the hours, the messages, the senders."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner

from stream.commands.subscriptions import command
from stream.errors import SettingError
from stream.gateway.subscriptions.addresses import Resolver, forbidden
from stream.gateway.subscriptions.circuit import Backoff, Circuit
from stream.gateway.subscriptions.delivery import Item, digest_of
from stream.gateway.subscriptions.file import Destination, load, read
from stream.gateway.subscriptions.filters import Filters, Matcher
from stream.gateway.subscriptions.inbox import Arrived, Share
from stream.gateway.subscriptions.message import MAX_CHARS, envelope, text
from stream.gateway.subscriptions.schedule import Quiet, slot
from stream.gateway.subscriptions.sender import Failed, Refused
from stream.gateway.subscriptions.services import AppriseSender
from stream.gateway.subscriptions.webhook import WebhookSender
from stream.records import Alert, HeldBack
from tests.alerts import SECRET, Receiver, alert, article

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = """
[lists]
ministers = ["وزير المالية", "finance minister"]

[subscriptions.newsdesk]
topics = ["politics", "economy"]
languages = ["ar", "en"]
sources = ["ledger.example"]
keywords = ["earthquake"]
watch = ["ministers"]
keywords_in = "title"
reasons = ["marker"]
minimum_outlets = 2
kinds = ["opened", "retracted"]
digest = "15m"
quiet = { from = "22:00", to = "07:00", zone = "Africa/Cairo" }

[subscriptions.newsdesk.destinations.hook]
webhook = "https://desk.example/alerts"
secret_file = "secret"
timeout = "5s"
give_up_after = "2d"

[subscriptions.newsdesk.destinations.phones]
apprise_env = "PHONES"
"""

ENVIRONMENT = {"PHONES": "ntfy://a-secret-topic-name", "SECRET": SECRET}


def written(folder: Path, toml: str) -> Path:
    (folder / "secret").write_text(SECRET + "\n")
    file = folder / "subscriptions.toml"
    file.write_text(toml, encoding="utf-8")
    return file


def subscription(fields: str = "", destination: str = "") -> str:
    destination = destination or 'webhook = "https://desk.example/alerts"\nsecret_file = "secret"'
    return f"[subscriptions.desk]\n{fields}\n[subscriptions.desk.destinations.hook]\n{destination}\n"


def test_a_file_is_read(tmp_path: Path) -> None:
    found = load(written(tmp_path, FULL), ENVIRONMENT).destinations
    assert set(found) == {"newsdesk.hook", "newsdesk.phones"}
    hook, phones = found["newsdesk.hook"], found["newsdesk.phones"]
    assert (hook.service, hook.secret, hook.timeout, hook.give_up_after) == ("webhook", SECRET, 5, 2 * 86400)
    assert (phones.service, phones.give_up_after, phones.digest) == ("ntfy", 3600, 900)
    assert hook.filters.keywords == ("earthquake", "وزير المالية", "finance minister")
    assert "a-secret-topic-name" not in repr(found)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("", "there is no subscription"),
        ("[subscription.desk]\n", "'subscription' is not known here"),
        ("[subscriptions.desk]\n", "destinations"),
        ("subscriptions = 5\n", "expected tables"),
        ('[lists]\nx = "word"\n' + subscription(), "lists: expected NAME"),
        ('[subscriptions."a b"]\n[subscriptions."a b".destinations.h]\n', "a name has 1 to 60 letters"),
        (subscription('topcs = ["a"]'), "did you mean topics?"),
        (subscription('kinds = ["open"]'), "kinds"),
        (subscription('kinds = ["retracted"]'), "kinds must name more than retracted"),
        (subscription('languages = ["Arabic"]'), "expected two or three small letters"),
        (subscription('keywords = ["!?"]'), "keyword '!?' has no word in it"),
        (subscription('watch = ["banks"]'), "there is no list 'banks'"),
        ("[lists]\nbanks = []\n" + subscription('watch = ["banks"]'), "lists it watches are empty"),
        (subscription("minimum_outlets = 0"), "minimum_outlets"),
        (subscription('digest = "soon"'), "digest: expected a time such as 15m"),
        (subscription('digest = "30s"'), "1m to 24h are allowed"),
        (subscription('quiet = { from = "22", to = "07:00", zone = "UTC" }'), "quiet.from: expected a time of day"),
        (subscription('quiet = { from = "22:00", to = "07:00", zone = "Cairo" }'), "'Cairo' is not a time zone"),
        (subscription('quiet = { from = "22:00", to = "22:00", zone = "UTC" }'), "begin and end at one time"),
        (subscription(destination="timeout = 5"), "timeout"),
        (subscription(destination='webhook = "https://desk.example/"'), "expected one of secret_file or secret_env"),
        (subscription(destination='webhook = "https://desk.example/"\nsecret = "a"'), "did you mean secret_"),
        (subscription(destination='webhook = "https://d.example/"\nsecret_env = "SHORT"'), "base64 of 24 bytes"),
        (subscription(destination='webhook = "https://d.example/"\nsecret_env = "ABSENT"'), "must hold one line"),
        (subscription(destination='webhook = "https://d.example/"\nsecret_file = "absent"'), "No such file"),
        (subscription(destination='webhook = "desk"\nsecret_env = "SECRET"'), "must be an address such as"),
        (subscription(destination='webhook = "http://d.example/"\nsecret_env = "SECRET"'), "must be https"),
        (subscription(destination='webhook = "https://u:p@d.example/"\nsecret_env = "SECRET"'), "user or password"),
        (subscription(destination='webhook = "https://10.0.0.1/"\nsecret_env = "SECRET"'), "not an address of the"),
        *(
            (subscription(destination=f'webhook = "https://{host}/"\nsecret_env = "SECRET"'), "not an address of the")
            for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.")
        ),
        (subscription(destination='webhook = "https://[::1]/"\nsecret_env = "SECRET"'), "not an address of the"),
        (subscription(destination='apprise_env = "UNKNOWN"'), "not known to Apprise"),
        (subscription(destination='apprise_env = "PHONES"\nallow_private = true'), "are for webhooks"),
        (
            subscription(destination=""" webhook = "https://d.example/"\napprise_env = "PHONES" """),
            "either a webhook or",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told(toml: str, told: str, tmp_path: Path) -> None:
    environment = ENVIRONMENT | {"SHORT": base64.b64encode(b"short").decode(), "UNKNOWN": "nosuch://token"}
    found = read(written(tmp_path, toml), environment)
    assert len(found.problems) == 1
    assert told in found.problems[0]
    assert "token" not in found.problems[0]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, subscription('topcs = ["a"]') + subscription("minimum_outlets = 0").replace("desk", "b"))
    done = CliRunner().invoke(command, ["check", str(file)])
    assert done.exit_code == 1
    assert done.stderr.count("subscription '") == 2
    with pytest.raises(SettingError, match=r"and 1 more: ajil subscriptions check"):
        load(file)


def test_check_tells_what_a_valid_file_asks_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["check", str(written(tmp_path, subscription('topics = ["sport"]')))])
    assert (done.exit_code, done.stdout) == (0, "desk.hook  webhook  topics sport\n")
    missing = CliRunner().invoke(command, ["check", str(tmp_path / "absent.toml")])
    assert isinstance(missing.exception, SettingError)


ARABIC = alert(
    title="وزير الماليّة يعلن استقالته",
    lang="ar",
    topic=None,
    articles=[article("استقالة مفاجئة"), article("الزلزال يضرب الشمال", source="www.Harbour.example")],
    outlets=["ledger.example", "www.Harbour.example"],
)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"languages": ("en", "ar")}, True),
        ({"languages": ("en",)}, False),
        ({"topics": ("politics",)}, False),
        ({"sources": ("harbour.example",)}, True),
        ({"sources": ("arbour.example",)}, False),
        ({"keywords": ("وزيرُ المالية",)}, True),
        ({"keywords": ("المالية وزير",)}, False),
        ({"keywords": ("وزير الصحة", "زلزال")}, True),
        ({"keywords": ("زلزال",), "keywords_in": "title"}, False),
        ({"reasons": ("urgency", "marker")}, True),
        ({"reasons": ("urgency",)}, False),
        ({"minimum_outlets": 2}, True),
        ({"minimum_outlets": 3}, False),
        ({"keywords": ("زلزال",), "languages": ("en",)}, False),
    ],
)
def test_filters(filters: dict[str, Any], wanted: bool) -> None:
    assert Matcher(Filters(**filters)).wants(ARABIC, told=False) is wanted


def test_numbers_in_keywords_are_those_numbers() -> None:
    assert Matcher(Filters(keywords=("Day 2",))).wants(alert(title="Talks: day 2"), told=False)
    assert not Matcher(Filters(keywords=("Day 2",))).wants(alert(title="Talks: day 3", articles=[]), told=False)


@pytest.mark.parametrize(
    ("kinds", "kind", "told", "wanted"),
    [
        (("opened",), "opened", False, True),
        (("opened",), "updated", True, False),
        (("opened",), "updated", False, True),  # the first that passes the filters opens it for this subscriber
        (("opened",), "retracted", True, False),
        (("opened", "retracted"), "retracted", True, True),
        (("opened", "retracted"), "retracted", False, False),
        (("confirmed",), "opened", False, False),
        (("confirmed",), "updated", False, False),
        (("confirmed",), "confirmed", False, True),
        (("opened",), "summary", False, False),
        (("opened", "summary"), "summary", False, True),
    ],
)
def test_kinds(kinds: tuple[Any, ...], kind: str, told: bool, wanted: bool) -> None:
    assert Matcher(Filters(kinds=kinds)).wants(alert(kind=kind), told=told) is wanted


def test_a_retraction_passes_whatever_the_story_has_become() -> None:
    only_sport = Matcher(Filters(topics=("sport",)))
    assert only_sport.wants(alert(kind="retracted", topic="health"), told=True)


NIGHT = Quiet(start="22:00", end="07:00", zone="Africa/Cairo")
LUNCH = Quiet(start="12:00", end="13:30", zone="UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "2026-01-05T19:59:59", None),
        (NIGHT, "2026-01-05T20:00:00", "2026-01-06T05:00:00"),
        (NIGHT, "2026-01-05T23:30:00", "2026-01-06T05:00:00"),
        (NIGHT, "2026-01-06T04:59:59", "2026-01-06T05:00:00"),
        (NIGHT, "2026-01-06T05:00:00", None),
        (NIGHT, "2026-07-05T19:00:00", "2026-07-06T04:00:00"),  # in summer Cairo is three hours ahead
        (NIGHT, "2026-04-23T21:00:00", "2026-04-24T04:00:00"),  # the night in which its clocks go forward
        (LUNCH, "2026-01-05T12:00:00", "2026-01-05T13:30:00"),
        (LUNCH, "2026-01-05T13:30:00", None),
    ],
)
def test_quiet_hours_follow_the_clock_on_the_wall(quiet: Quiet, now: str, until: str | None) -> None:
    assert quiet.until(at(now)) == (at(until) if until else None)


@pytest.mark.parametrize(
    ("alerted", "now", "digest", "quiet", "due"),
    [
        ("2026-01-05T12:10:00", "2026-01-05T12:10:01", None, None, "2026-01-05T12:10:00"),
        ("2026-01-05T12:00:00", "2026-01-05T12:00:00", 900, None, "2026-01-05T12:15:00"),
        ("2026-01-05T12:10:00", "2026-01-05T15:00:00", 900, None, "2026-01-05T12:15:00"),
        ("2026-01-05T12:10:00", "2026-01-05T12:10:00", None, LUNCH, "2026-01-05T13:30:00"),
        ("2026-01-05T11:55:00", "2026-01-05T11:55:00", 900, LUNCH, "2026-01-05T13:30:00"),
        ("2026-01-05T11:50:00", "2026-01-05T12:30:00", None, LUNCH, "2026-01-05T13:30:00"),
        ("2026-01-05T12:10:00", "2026-01-05T18:00:00", None, LUNCH, "2026-01-05T13:30:00"),
    ],
)
def test_an_alert_has_its_slot(alerted: str, now: str, digest: int | None, quiet: Quiet | None, due: str) -> None:
    assert slot(at(alerted), at(now), digest, quiet) == at(due)


def item(told: Alert, *, first: bool = False) -> Item:
    share = Share(None, 0, 0, 0)  # type: ignore[arg-type]
    return Item(Arrived(told, None, told.alerted_at, share, known=False), told.alerted_at, first)  # type: ignore[arg-type]


def test_a_digest_has_each_alert_once_and_none_that_came_and_went() -> None:
    group = [
        item(alert("a"), first=True),
        item(alert("b"), first=True),
        item(alert("a", "confirmed", revision=2)),
        item(alert("b", "retracted", revision=2)),
        item(alert("c", "retracted", revision=3)),
    ]
    assert [(one.alert_id, one.revision) for one in digest_of(group)] == [("en-a", 2), ("en-c", 3)]


def test_envelopes_carry_the_alerts_as_they_are() -> None:
    one, two = alert("a"), alert("b", revision=2)
    single, digest = envelope([one]), envelope([one, two])
    assert single.id == "en-a/1"
    told = msgspec.json.decode(single.body)
    assert told["type"] == "alert.opened"
    assert msgspec.convert(told["data"], Alert) == one
    assert digest.id == envelope([one, two]).id != envelope([two]).id
    told = msgspec.json.decode(digest.body)
    assert told["type"] == "alerts.digest"
    assert [each["alert_id"] for each in told["data"]["alerts"]] == ["en-a", "en-b"]


def test_people_read_the_kind_in_the_storys_language() -> None:
    title, body = text(
        [alert(articles=[article("A", url="https://ledger.example/a"), article("B", url="javascript:x")])]
    )
    assert title == "Breaking: Dam breaks in the north, report 1"
    assert body.splitlines()[:2] == ["ledger.example", "https://ledger.example/a"]
    assert "javascript" not in body
    assert text([ARABIC]).title == "عاجل: وزير الماليّة يعلن استقالته"
    assert text([alert(lang="fr", kind="retracted")]).title.startswith("Retiré: ")


def test_a_strangers_title_stays_on_its_line_and_a_message_within_its_limit() -> None:
    title, _ = text([alert(title="A\n\x1b[31mB\u202e" + "c" * 5000)])
    assert title.startswith("Breaking: A [31mB c")
    assert len(title) <= 250
    many = text([alert(n, title="long " * 40) for n in range(100)])
    assert many.title == "100 alerts"
    assert len(many.body) <= MAX_CHARS + 20
    held = HeldBack(
        story_id="s", alert_id="a", title="Kept back", lang="en", source=None, held_back_at=at("2026-01-05")
    )
    assert "- Kept back" in text([alert(kind="summary", held_back=[held])]).body


def test_a_circuit_opens_closes_and_waits_as_asked() -> None:
    now = [0.0]
    circuit = Circuit(Backoff(1, 60), clock=lambda: now[0], jitter=lambda low, high: high)
    assert [circuit.failed() for _ in range(4)] == [1, 2, 4, 8]
    assert not circuit.is_open
    assert circuit.failed() == 16
    assert circuit.is_open
    assert [circuit.failed() for _ in range(2000)][-1] == 60
    assert circuit.failed(retry_after=600) == 600
    assert circuit.failed(retry_after=10**9) == 3600
    assert circuit.wait == 3600
    now[0] = 3600.0
    assert circuit.wait == 0
    circuit.succeeded()
    assert not circuit.is_open
    assert circuit.failed() == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff0e::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "::127.0.0.1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_addresses_of_the_public_internet(address: str) -> None:
    assert not forbidden(address)


def destination(url: str, **fields: Any) -> Destination:
    told = {
        "name": "desk.hook",
        "service": "webhook",
        "url": url,
        "secret": SECRET,
        "allow_private": True,
        "timeout": 5,
        "give_up_after": 60,
        "filters": Filters(),
        "quiet": None,
        "digest": None,
    }
    return Destination(**told | fields)


async def send(told: Destination, *alerts: Alert, resolver: Resolver | None = None) -> None:
    sender = WebhookSender(told, resolver)
    try:
        await sender.send(alerts or [alert()])
    finally:
        await sender.close()


async def test_a_webhook_is_signed() -> None:
    async with Receiver() as receiver:  # which verifies with the standard's own library
        await send(destination(receiver.url), alert("x", revision=3))
        assert receiver.taken == ["en-x/3"]
        assert receiver.bodies[0]["data"]["alert_id"] == "en-x"


@pytest.mark.parametrize("status", [301, 307, 401, 404, 408, 410, 429, 500, 503])
async def test_what_may_be_mended_has_failed(status: int) -> None:
    def answer(*_: object) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "30", "Location": "/elsewhere"})

    async with Receiver(answer) as receiver:
        with pytest.raises(Failed, match=f"answered {status}") as raised:
            await send(destination(receiver.url))
        assert len(receiver.asked) == 1  # no redirect was followed
        assert raised.value.retry_after == (None if status < 400 else 30)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_what_will_not_be_wanted_is_refused(status: int) -> None:
    async with Receiver(lambda *_: web.Response(status=status)) as receiver:
        with pytest.raises(Refused, match=f"answered {status}"):
            await send(destination(receiver.url))


async def test_a_receiver_that_does_not_answer_has_failed() -> None:
    async with Receiver(hold=asyncio.Event().wait) as receiver:
        with pytest.raises(Failed, match="no answer within 1 s"):
            await send(destination(receiver.url, timeout=1))
    with pytest.raises(Failed, match="Cannot connect"):
        await send(destination(receiver.url))


async def test_a_name_that_leads_inside_is_refused_where_it_is_connected_to() -> None:
    looked_up: list[str] = []

    def lookup(host: str, port: int, *_: object) -> list[Any]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "desk.example")
        guarded = destination(url, allow_private=False)
        with pytest.raises(Failed, match=r"desk.example is at 127.0.0.1.*allow_private"):
            await send(guarded, resolver=Resolver(lookup))
        for other in ("0x7f.1", "2130706433"):  # names to us, loopback to the system's resolver
            with pytest.raises(Failed):
                await send(destination(receiver.url.replace("127.0.0.1", other), allow_private=False))
        assert receiver.asked == []
    assert looked_up == ["desk.example"]


class Inform(BaseHTTPRequestHandler):
    """A service that Apprise posts JSON to; what it gets is in `server.got`, its answer in `server.status`."""

    def do_POST(self) -> None:
        self.server.got.append(msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Inform)
    server.got, server.status = [], 200  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def test_services_get_words_for_people_and_their_secrets_stay_secret(
    service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"json://127.0.0.1:{service.server_port}/a-secret-token"
    sender = AppriseSender(destination(url, service="json", secret=None))
    try:
        await sender.send([alert()])
        (got,) = service.got
        assert (got["title"], got["type"]) == ("Breaking: Dam breaks in the north, report 1", "warning")
        assert "https://ledger.example/dam" in got["message"]
        service.status = 500
        with pytest.raises(Failed) as raised:
            await sender.send([alert()])
    finally:
        await sender.close()
    assert "500" in str(raised.value)
    assert "a-secret-token" not in caplog.text + str(raised.value)


def test_an_alert_waits_until_everything_before_it_is_done() -> None:
    share = Share(SimpleNamespace(partition=0), start=0, resume=5, position=5)  # type: ignore[arg-type]
    share.position, share.unsent = 9, share.unsent | {6: None, 8: None}
    assert share.done == 6
    del share.unsent[6]
    assert share.done == 8
    del share.unsent[8]
    assert share.done == 9


def test_held_alerts_are_those_with_another_time() -> None:
    one = item(alert())
    assert not one.held
    assert one._replace(due=one.due + timedelta(minutes=1)).held
    assert one.arrived.time.tzinfo is UTC
