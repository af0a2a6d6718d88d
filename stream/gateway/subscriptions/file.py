"""The subscriptions file: one TOML file, checked as a whole.

Secrets are in files or in the environment, never in this one; a relative file name is relative to it.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import os
import re
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from yarl import URL

from stream.errors import SettingError
from stream.gateway.subscriptions.addresses import forbidden
from stream.gateway.subscriptions.filters import Filled, Filters, phrase
from stream.gateway.subscriptions.schedule import Duration, Quiet, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Destination", "SubscriptionsFile", "load", "read"]

MAX_BYTES = 1 << 20
WEBHOOK = "webhook"
GIVE_UP = {True: "24h", False: "1h"}
"""By whether it is a webhook: a program wants yesterday's alert too, a person's phone should not ring for it."""


class _Destination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    webhook: str | None = None
    secret_file: str | None = None
    secret_env: str | None = None
    apprise_file: str | None = None
    apprise_env: str | None = None
    allow_private: bool = False
    timeout: Duration = "10s"
    give_up_after: Duration | None = None


class _Subscription(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    watch: tuple[Filled, ...] = ()
    quiet: Quiet | None = None
    digest: Duration | None = None
    destinations: dict[str, dict[str, Any]]


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """One destination of one subscription, ready to be run. `name` is `subscription.destination`; times are seconds."""

    name: str
    service: str
    """`webhook`, or the scheme of the Apprise URL."""
    url: str
    secret: str | None
    allow_private: bool
    timeout: int
    give_up_after: int
    filters: Filters
    quiet: Quiet | None
    digest: int | None

    def __repr__(self) -> str:
        return f"Destination({self.name!r})"  # the URL may be a secret


class SubscriptionsFile(NamedTuple):
    """`problems` has one sentence for each; `files` are all that were read, to be watched."""

    destinations: dict[str, Destination]
    problems: list[str]
    files: list[Path]


def load(path: Path, environ: Mapping[str, str] = os.environ) -> SubscriptionsFile:
    """The file, without a problem. Raises `SettingError` that tells the first."""
    found = read(path, environ)
    if found.problems:
        more = len(found.problems) - 1
        told = f" (and {more} more: ajil subscriptions check {path})" if more else ""
        raise SettingError(f"{path}: {found.problems[0]}{told}")
    return found


def read(path: Path, environ: Mapping[str, str] = os.environ) -> SubscriptionsFile:
    """The file with all its problems. Raises `SettingError` when it cannot be read or is no TOML."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise SettingError(f"{path}: more than {MAX_BYTES} bytes")
        told = tomllib.loads(text.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingError(f"cannot read the subscriptions file {path}: {error}") from None
    reading = _Reading(path, environ)
    destinations = reading.destinations(told)
    return SubscriptionsFile(destinations, reading.problems, [path, *reading.files])


# A host that ends in a number is an address to some resolvers: 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1.
_NUMBERS = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$", re.ASCII | re.IGNORECASE)

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class _Problem(Exception):
    """What is wrong, in words for a person; where, is known further up."""


class _Reading:
    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self.problems: list[str] = []
        self.files: list[Path] = []

    def destinations(self, told: dict[str, Any]) -> dict[str, Destination]:
        found = {}
        for name in told.keys() - {"lists", "subscriptions"}:
            self.problems.append(f"{name!r} is not known here: there are [lists] and [subscriptions.NAME]")
        lists = self._lists(told.get("lists", {}))
        subscriptions = told.get("subscriptions", {})
        if not isinstance(subscriptions, dict) or not all(isinstance(table, dict) for table in subscriptions.values()):
            self.problems.append("subscriptions: expected tables, [subscriptions.NAME]")
            subscriptions = {}
        elif not subscriptions and not self.problems:
            self.problems.append("there is no subscription: expected a table [subscriptions.NAME]")
        for name, table in subscriptions.items():
            try:
                for destination in self._subscription(name, table, lists):
                    found[destination.name] = destination
            except _Problem as problem:
                self.problems.append(f"subscription {name!r}: {problem}")
        return found

    def _lists(self, told: Any) -> dict[str, tuple[str, ...]]:
        try:
            return msgspec.convert(told, dict[str, tuple[Filled, ...]])
        except msgspec.ValidationError as error:
            self.problems.append(f"lists: expected NAME = [words and phrases]: {error}")
            return {}

    def _subscription(
        self, name: str, table: dict[str, Any], lists: dict[str, tuple[str, ...]]
    ) -> Iterator[Destination]:
        _check_name(name)
        told = _convert(table, _Subscription)
        unknown = [f"there is no list {watched!r}" for watched in told.watch if watched not in lists]
        if unknown:
            raise _Problem(unknown[0])
        keywords = (*told.keywords, *(word for watched in told.watch for word in lists[watched]))
        if empty := [keyword for keyword in keywords if not phrase(keyword)]:
            raise _Problem(f"keyword {empty[0]!r} has no word in it")
        if told.watch and not keywords:
            raise _Problem("the lists it watches are empty, so that it would be sent everything")
        if not set(told.kinds) - {"retracted"}:
            raise _Problem("kinds must name more than retracted: a retraction goes to those who got the alert")
        if told.quiet:
            _check_quiet(told.quiet)
        if told.digest and not 60 <= seconds(told.digest) <= 86400:
            raise _Problem(f"digest is {told.digest}: 1m to 24h are allowed")
        if not told.destinations:
            raise _Problem("it has no destination: expected a table [subscriptions.NAME.destinations.NAME]")
        fields = {field: getattr(told, field) for field in Filters.__struct_fields__}
        filters = Filters(**fields | {"keywords": keywords})
        for short, given in told.destinations.items():
            try:
                _check_name(short)
                yield self._destination(f"{name}.{short}", _convert(given, _Destination), told, filters)
            except _Problem as problem:
                self.problems.append(f"destination {name}.{short}: {problem}")

    def _destination(self, name: str, given: _Destination, told: _Subscription, filters: Filters) -> Destination:
        if given.webhook:
            if given.apprise_file or given.apprise_env:
                raise _Problem("a destination is either a webhook or an Apprise URL")
            service, url, secret = WEBHOOK, _webhook(given.webhook, given.allow_private), self._signing(given)
        else:
            url = self._secret("apprise", given.apprise_file, given.apprise_env)
            service, secret = _apprise_service(url), None
            if given.secret_file or given.secret_env or given.allow_private:
                raise _Problem("secret_file, secret_env and allow_private are for webhooks")
        return Destination(
            name=name,
            service=service,
            url=url,
            secret=secret,
            allow_private=given.allow_private,
            timeout=seconds(given.timeout),
            give_up_after=seconds(given.give_up_after or GIVE_UP[service == WEBHOOK]),
            filters=filters,
            quiet=told.quiet,
            digest=seconds(told.digest) if told.digest else None,
        )

    def _signing(self, given: _Destination) -> str:
        secret = self._secret("secret", given.secret_file, given.secret_env)
        try:
            raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) < 24:
            raise _Problem("the secret must be base64 of 24 bytes or more: openssl rand -base64 32")
        return secret

    def _secret(self, what: str, file: str | None, variable: str | None) -> str:
        if (file is None) == (variable is None):
            wanted = "webhook, apprise_file or apprise_env" if what == "apprise" else "secret_file or secret_env"
            raise _Problem(f"expected one of {wanted}")
        if file is None:
            secret = self._environ.get(str(variable), "").strip()
            place = f"the variable {variable} ({what}_env)"
        else:
            path = self._path.parent / file
            self.files.append(path)
            place = f"{path} ({what}_file)"
            try:
                secret = path.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise _Problem(f"cannot read {place}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
        if not secret or "\n" in secret:
            raise _Problem(f"{place} must hold one line")
        return secret


def _convert(table: Any, kind: type[_Struct]) -> _Struct:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        if found := re.search(r"unknown field `(.+?)`", message):
            near = difflib.get_close_matches(found[1], kind.__struct_encode_fields__, 1)
            message += f" (did you mean {near[0]}?)" if near else ""
        if "matching regex" in message:
            named = message.partition("`$.")[2].rstrip("`")
            message = f"{named or 'a value'}: {_FORMS.get(named.split('[')[0], message)}"
        raise _Problem(message) from None


_FORMS = {
    "digest": "expected a time such as 15m or 6h",
    "timeout": "expected a time such as 10s",
    "give_up_after": "expected a time such as 90m or 2d",
    "languages": "expected two or three small letters, such as ar",
    "quiet.from": "expected a time of day such as 22:00",
    "quiet.to": "expected a time of day such as 07:00",
}


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name):
        raise _Problem("a name has 1 to 60 letters, digits, - and _: it becomes a part of a consumer group's")


def _check_quiet(quiet: Quiet) -> None:
    if quiet.start == quiet.end:
        raise _Problem("quiet hours begin and end at one time")
    try:
        ZoneInfo(quiet.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _Problem(f"quiet: {quiet.zone!r} is not a time zone such as Africa/Cairo") from None


def _webhook(text: str, allow_private: bool) -> str:
    """The address, when a webhook may go there as far as can be said without resolving it."""
    try:
        url = URL(text)
        host, scheme = url.host, url.scheme
    except ValueError:
        host = scheme = None
    if not host or scheme not in ("http", "https"):
        raise _Problem("webhook must be an address such as https://example.org/alerts")
    if url.user or url.password:
        raise _Problem("webhook must not carry a user or password: the receiver checks the signature")
    if allow_private:
        return text
    if scheme != "https":
        raise _Problem("webhook must be https (allow_private = true allows http, for receivers of your own network)")
    try:
        inside = forbidden(host)
    except ValueError:  # a name: checked each time it is resolved
        inside = _NUMBERS.search(host) is not None
    if inside:
        raise _Problem(f"{host} is not an address of the public internet (allow_private = true allows it)")
    return text


def _apprise_service(url: str) -> str:
    from apprise import Apprise  # half a second, for those who use it

    from stream.gateway.subscriptions.services import silence

    silence()
    if any(character.isspace() for character in url) or Apprise.instantiate(url) is None:
        raise _Problem("what the Apprise URL says is not known to Apprise (https://github.com/caronc/apprise/wiki)")
    return url.partition(":")[0].lower()
