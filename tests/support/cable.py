"""The network between a client and a server, which a test can cut: a TCP forwarder with a switch."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from urllib.parse import urlsplit


class Cable:
    """Forwards connections to a server until it is cut, and again once it is mended.

    Args:
        url: the server's; ``retarget`` names another.
    """

    def __init__(self, url: str) -> None:
        self._target = _address(url)
        self._whole = True
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, name="cable")]
        self._threads[0].start()

    def cut(self) -> None:
        """End every connection, with what is on its way, and let none through."""
        with self._lock:
            self._whole = False
            for sock in self._sockets:
                _end(sock)

    def mend(self) -> None:
        with self._lock:
            self._whole = True

    def retarget(self, url: str) -> None:
        """Lead new connections to another server."""
        self._target = _address(url)

    def close(self) -> None:
        _end(self._listener)
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(near,), name="cable")
            self._threads.append(thread)
            thread.start()

    def _carry(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(self._target) as far:
            with self._lock:
                if not self._whole:
                    return
                self._sockets |= {near, far}
            try:
                _forward(near, far)
            finally:
                with self._lock:
                    self._sockets -= {near, far}


def _forward(near: socket.socket, far: socket.socket) -> None:
    """Until either end has nothing more to say."""
    with selectors.DefaultSelector() as selector:
        selector.register(near, selectors.EVENT_READ, far)
        selector.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(65_536)
                if not data:
                    return
                key.data.sendall(data)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
