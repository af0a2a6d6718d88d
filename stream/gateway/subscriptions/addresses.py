"""No webhook into the operator's own network: addresses are checked where they are resolved, and then connected to.

A name is resolved by `Resolver` for every new connection, and aiohttp connects to what it returned: a name that answers
differently the second time gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Forbidden", "Resolver", "forbidden"]

# NAT64 (RFC 6052), and the IPv4-compatible addresses that it came after: the last 32 bits are an IPv4 address.
_EMBEDDING = [ipaddress.ip_network(network) for network in ("64:ff9b::/96", "::/96")]
# What `is_global` of Python 3.11 lets through: protocol assignments (Oracle's metadata are at 192.0.0.192), and the
# public address that every virtual machine of Azure reaches its host at.
_OTHERS = [ipaddress.ip_network(network) for network in ("192.0.0.0/24", "168.63.129.16/32")]


class Forbidden(OSError):
    """A host whose address a webhook may not go to."""


def forbidden(address: str) -> bool:
    """Whether an IP address is not one of the public internet: private, loopback, link-local (cloud metadata),
    shared, reserved, unspecified or multicast; an IPv4 address inside an IPv6 one is looked at as itself.

    >>> [forbidden(a) for a in ("93.184.215.14", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "::", "ff02::1")]
    [False, True, True, True, True, True]
    """
    ip: Any = ipaddress.ip_address(address)
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour
        if any(ip in network for network in _EMBEDDING):
            inner = ipaddress.ip_address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return not ip.is_global or ip.is_multicast or any(ip in network for network in _OTHERS)


class Resolver(AbstractResolver):
    """Resolves in a thread of its own, so that one slow name server delays one destination.

    Raises `Forbidden` when any address of the name is forbidden.
    """

    def __init__(self, lookup: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._lookup = lookup
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._lookup(host, port, family, socket.SOCK_STREAM)
        )
        results = []
        for kind, _, protocol, _, (address, *_) in found:
            if forbidden(address):
                raise Forbidden(f"{host} is at {address}, which is not an address of the public internet")
            results.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
