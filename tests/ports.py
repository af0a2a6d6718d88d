"""Ports of this machine for the servers that tests start."""

from __future__ import annotations

import random
import socket

__all__ = ["HOST", "free_ports", "is_open"]

HOST = "127.0.0.1"
# Below the range from which Linux takes the local ports of outgoing connections (32768 and up): no client's
# socket can sit on a port between our choosing it and Kafka's binding it, or while the broker is down.
PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now; all are held while choosing, so they differ."""
    held: list[socket.socket] = []
    try:
        for port in random.sample(PORTS, len(PORTS)):
            probe = socket.socket()
            try:
                probe.bind((HOST, port))
            except OSError:
                probe.close()
                continue
            held.append(probe)
            if len(held) == count:
                break
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()


def is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
