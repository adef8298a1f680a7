"""The listening port: accepts, does the TLS handshake, and opens the door for each connection."""

from __future__ import annotations

import errno
import socket
import ssl

import structlog
import trio

from gateway.errors import ConfigError
from gateway.net.door import Door
from gateway.net.stream import PlainStream

BACKLOG = 4_096
HANDSHAKE_S = 15.0
ACCEPTS_PER_TURN = 64
"""Connections taken before the loop yields, so that a connect storm does not stop everybody else."""

FILES_S = 0.1
"""Between two tries when there are no files left."""

_OUT_OF_FILES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

log = structlog.get_logger(__name__)


def listen(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Bound, listening, non-blocking sockets for every address that ``host`` stands for.

    Args:
        shared: other processes listen there too, and the kernel chooses one for each connection.

    Raises:
        ConfigError: the port is in use, or the host is not this machine's.
    """
    listeners: list[socket.socket] = []
    try:
        for family, kind, proto, _, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            sock = socket.socket(family, kind, proto)
            listeners.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Port 0: the same chosen port for every address.
            chosen = listeners[0].getsockname()[1] if len(listeners) > 1 and not port else port
            sock.bind((address[0], chosen, *address[2:]))
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except OSError as error:
        for sock in listeners:
            sock.close()
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listeners


def server_tls(certificate: str, key: str) -> ssl.SSLContext:
    """A context that offers HTTP/2 and HTTP/1.1.

    Raises:
        OSError, ssl.SSLError: a file cannot be read or does not fit.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


class Listener:
    """Accepts on some sockets until cancelled; connections live in the nursery given, and outlive it.

    Args:
        most: connections at once, over all kinds; beyond that new ones are closed at once.
    """

    def __init__(
        self, *, door: Door, connections: trio.Nursery, tls: ssl.SSLContext | None, most: int
    ) -> None:
        self._door = door
        self._connections = connections
        self._tls = tls
        self._most = most
        self._opening = 0  # accepted, and not yet counted by the door
        self._turned_away = 0

    async def run(self, listener: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener)
            if not self._accept(listener, ACCEPTS_PER_TURN):
                await trio.sleep(FILES_S)

    def take_waiting(self, listener: socket.socket) -> None:
        """Accept what waits for it: closing the socket would reset those connections."""
        self._accept(listener, BACKLOG)

    def _accept(self, listener: socket.socket, most: int) -> bool:
        """Accept those who wait; False when there are no files left to accept with."""
        for _ in range(most):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    log.error("cannot accept", error=error.strerror)
                    return False
                break  # the client has gone already
            if self._door.load + self._opening >= self._most:
                sock.close()
                self._turned_away += 1
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._opening += 1
            self._connections.start_soon(self._serve, sock, str(address[0]))
        else:
            self._door.crowded()
        return True

    async def _serve(self, sock: socket.socket, peer: str) -> None:
        stream: trio.abc.Stream | None = None
        try:
            stream = PlainStream(sock) if self._tls is None else await self._shake_hands(sock, self._tls)
        finally:
            self._opening -= 1
        if stream is not None:
            await self._door.serve(stream, peer=peer, secure=self._tls is not None)

    @staticmethod
    async def _shake_hands(sock: socket.socket, context: ssl.SSLContext) -> trio.abc.Stream | None:
        """TLS on an accepted socket; None when it came to nothing."""
        transport = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        stream = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
        done = False
        try:
            with trio.move_on_after(HANDSHAKE_S):
                await stream.do_handshake()
                done = True
        except (trio.BrokenResourceError, ssl.SSLError, OSError):
            pass  # the client went away, or speaks something else
        finally:
            if not done:
                await trio.aclose_forcefully(stream)
        return stream if done else None

    def statistics(self) -> dict[str, int]:
        return {"opening": self._opening, "turned_away": self._turned_away}
