"""A way to PostgreSQL that can be cut: between a client and a server on Unix sockets, each connection a thread."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
WARNING = b"SWARNING\0VWARNING\0C57P02\0Mterminating connection at once\0\0"


class Road:
    """Passes bytes on between clients and the server, until it is told otherwise.

    Attributes:
        folder: where clients find it.
        loses_commits: how many more answers to a COMMIT are lost, and the connection with them, when the server
            has already given them.
        cuts_commits: how many more COMMITs are lost before they reach the server, and the connection with them.
        on_cut: called when one is, before the client knows.
        carried: to the server, as it came.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._server = server
        self.loses_commits = 0
        self.cuts_commits = 0
        self.on_cut: Callable[[], None] = lambda: None
        self.carried: list[bytes] = []
        self._cutting = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._clients: list[socket.socket] = []

    def open(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / SOCKET))
        self._listener.listen()
        self._start(self._accept, self._listener)

    def close(self) -> None:
        """Cut everything, and let nobody through."""
        (self.folder / SOCKET).unlink()
        for one in (self._listener, *self._clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        self._threads, self._clients = [], []

    def warn(self) -> None:
        """Cut every connection as a server does whose other processes are in doubt: with a last word that is no error."""
        for client in self._clients:
            with suppress(OSError):
                client.sendall(b"N" + (len(WARNING) + 4).to_bytes(4, "big") + WARNING)
                client.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def closed(self) -> Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self.open()

    def _start(self, work: Callable[[socket.socket], None], one: socket.socket) -> None:
        thread = threading.Thread(target=work, args=[one], daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._clients.append(client)
                self._start(self._carry, client)

    def _carry(self, client: socket.socket) -> None:
        """Question and answer in turn, as the protocol has it."""
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self._server / SOCKET))
            back = threading.Thread(target=self._carry_back, args=[server, client], daemon=True)
            back.start()
            while data := client.recv(65_536):
                if b"COMMIT" in data and self.cuts_commits:
                    self.cuts_commits -= 1
                    with self._cutting:
                        self.on_cut()
                    break
                if b"COMMIT" in data and self.loses_commits:
                    self.loses_commits -= 1
                    client.shutdown(socket.SHUT_WR)  # before it could have its answer
                self.carried.append(data)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _carry_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                with suppress(OSError):
                    client.sendall(data)
            with self._cutting:
                client.shutdown(socket.SHUT_RDWR)


@contextmanager
def road_to(server: Path) -> Iterator[Road]:
    """A road to the server whose socket is in this folder."""
    with tempfile.TemporaryDirectory(prefix="gateway-road-") as folder:
        road = Road(Path(folder), server)
        road.open()
        try:
            yield road
        finally:
            road.close()
