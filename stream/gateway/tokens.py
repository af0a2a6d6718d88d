"""Who is who: tokens from a file, and the cookies that stand for them in browsers."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from stream.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCOPES", "Caller", "Scope", "Tokens"]

Scope = Literal["publish", "read", "feedback"]
SCOPES: frozenset[str] = frozenset(get_args(Scope))
MIN_CHARS = 16

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]{1,64}):(?P<scopes>[a-z, ]+):(?P<token>\S+)")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_COOKIE = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


class Caller(NamedTuple):
    """Who sent a request: `name` is the token's, None without one."""

    name: str | None
    scopes: frozenset[str]


class Tokens:
    """The tokens of a file; only their digests are kept.

    >>> tokens = Tokens({"desk": (frozenset({"read"}), hashlib.sha256(b"a long enough one").digest())})
    >>> tokens.caller("a long enough one")
    Caller(name='desk', scopes=frozenset({'read'}))
    >>> tokens.caller_of_cookie(tokens.cookie("desk", until=100), now=99).name
    'desk'
    """

    def __init__(self, known: dict[str, tuple[frozenset[str], bytes]]) -> None:
        self._known = known

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """Raises `SettingError` that names the line; it never shows a token."""
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"cannot read the tokens file {path} (AJIL_GATEWAY_TOKENS_FILE): {error}") from None
        known: dict[str, tuple[frozenset[str], bytes]] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            where = f"{path}, line {number}"
            found = _LINE.fullmatch(line.strip())
            if not found:
                raise SettingError(f"{where}: not NAME:SCOPES:TOKEN (a name has letters, digits, - and _)")
            scopes = frozenset(scope.strip() for scope in found["scopes"].split(","))
            if not scopes <= SCOPES:
                raise SettingError(f"{where}: scopes are {', '.join(sorted(SCOPES))}, with commas")
            if found["name"] in known:
                raise SettingError(f"{where}: a second token named {found['name']}")
            known[found["name"]] = scopes, _digest(found["token"], where)
        if not known:
            raise SettingError(f"the tokens file {path} (AJIL_GATEWAY_TOKENS_FILE) has no token")
        return cls(known)

    def caller(self, token: str) -> Caller | None:
        """Whose token it is. Every digest is compared, in constant time."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = None
        for name, (scopes, known) in self._known.items():
            if hmac.compare_digest(known, digest):
                found = Caller(name, scopes)
        return found

    def cookie(self, name: str, until: int) -> str:
        """A value that stands for the token until that Unix time: signed with it, so it ends when the token does."""
        signed = hmac.digest(self._known[name][1], f"ajil session\n{name}\n{until}".encode(), "sha256")
        return f"{name}.{until}.{signed.hex()}"

    def caller_of_cookie(self, cookie: str, now: float) -> Caller | None:
        found = _COOKIE.fullmatch(cookie)
        if not found or found[1] not in self._known or int(found[2]) <= now:
            return None
        name = found[1]
        if not hmac.compare_digest(self.cookie(name, int(found[2])), cookie):
            return None
        return Caller(name, self._known[name][0])


def _digest(token: str, where: str) -> bytes:
    if token.startswith("sha256:"):
        found = _DIGEST.fullmatch(token)
        if not found:
            raise SettingError(f"{where}: after sha256: come 64 hexadecimal digits, in lower case")
        return bytes.fromhex(found[1])
    if len(token) < MIN_CHARS:
        raise SettingError(f"{where}: the token has under {MIN_CHARS} characters; `openssl rand -hex 32` makes one")
    return hashlib.sha256(token.encode()).digest()
