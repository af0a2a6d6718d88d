"""A TCP proxy between clients and the broker: the network, and what goes wrong with it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

from tests.ports import HOST, free_ports

__all__ = ["Proxy"]

CHUNK = 64 * 1024


class Proxy:
    """Forwards `address` to `target` (host:port, may be set later)."""

    def __init__(self) -> None:
        (port,) = free_ports(1)
        self.address = f"{HOST}:{port}"
        self.target = ""
        self._open = threading.Event()
        self._open.set()
        self._delay = 0.0
        self._bytes_per_second = float("inf")
        self._sockets: set[socket.socket] = set()
        self._server = socket.create_server((HOST, port), backlog=100)
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def cut(self) -> None:
        """Let nothing through, as a pulled cable does: connections stay, and what was sent arrives after `mend`."""
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def slow(self, delay: float = 0.0, bytes_per_second: float = float("inf")) -> None:
        """Seconds that each piece of data waits, and how fast it goes in each direction of a connection."""
        self._delay, self._bytes_per_second = delay, bytes_per_second

    def reset(self) -> None:
        """End every connection with a TCP reset."""
        ended = list(self._sockets)
        for end in ended:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Only then: the threads that wake close both ends.
        for end in ended:
            _wake(end)

    def close(self) -> None:
        self._server.close()
        self.mend()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._open.wait()
        host, _, port = self.target.rpartition(":")
        try:
            broker = socket.create_connection((host, int(port)), timeout=5)
        except OSError:
            client.close()
            return
        broker.settimeout(None)
        for end in (client, broker):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets |= {client, broker}
        for source, sink in ((client, broker), (broker, client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                time.sleep(self._delay + len(data) / self._bytes_per_second)
                self._open.wait()
                sink.sendall(data)
        self._open.wait()
        for ended in (source, sink):
            self._sockets.discard(ended)
            _wake(ended)
            ended.close()


def _wake(ended: socket.socket) -> None:
    """Let the thread that waits in recv see an end; nothing is told to the peer before the socket is closed."""
    with suppress(OSError):
        ended.shutdown(socket.SHUT_RD)
